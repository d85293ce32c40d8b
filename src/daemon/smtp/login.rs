//! AUTH as a client (RFC 4954): who we are to which server, by which mechanism, and what the server thinks of it.
//! Passwords are told to servers only, never to the log.

use super::conversation::Conversation;
use super::destination::Unreachable;
use super::policy::of;
use crate::conf::MainCf;
use crate::daemon::passwords::Passwords;
use crate::ipc::delivery::Request;
use crate::log::Log;
use crate::proto::sasl_client::{Credentials, Demands, Login, Mechanism, Refusal};
use crate::status::{Code, Report};
use crate::table::matchlist::Flavour;
use crate::table::{MatchList, Options, TableError};
use std::time::Duration;

/// Challenges that are answered in one login.
const MAX_CHALLENGES: u32 = 100;

pub struct Sasl {
    pub passwords: Passwords,
    /// In clear, by TLS, by TLS to a server that is who it should be.
    demands: [Demands; 3],
    filter: MatchList,
    by_sender: bool,
    soft_bounce: bool,
    /// smtp_send_dummy_mail_auth.
    pub dummy: bool,
    delimiters: String,
    destinations: MatchList,
    origin: String,
    timeout: Duration,
}

/// How safe the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    Clear,
    Encrypted,
    /// The certificate has what the policy asks for.
    Matched,
}

impl Sasl {
    /// None: no one logs in. The error ends the program.
    pub fn new(cf: &MainCf, lmtp: bool, passwords: Option<Passwords>, log: &Log) -> Result<Option<Sasl>, String> {
        if !of!(cf, lmtp, smtp_sasl_auth_enable lmtp_sasl_auth_enable) {
            return Ok(None);
        }
        let family = if lmtp { "lmtp" } else { "smtp" };
        let Some(passwords) = passwords.filter(|opened| !opened.maps.is_empty()) else {
            return Err(format!(
                "specify a password table via the `{family}_sasl_password_maps' configuration parameter"
            ));
        };
        let kind = of!(cf, lmtp, smtp_sasl_type lmtp_sasl_type);
        if kind != "cyrus" {
            log.warning(format!("unsupported SASL client implementation: {kind}"));
            return Err("SASL library initialization".to_owned());
        }
        let demands = |list: String| {
            Demands::parse(&list).map_err(|word| {
                log.warning(format!("unknown SASL security options value \"{word}\" in \"{list}\""));
                log.warning("bad per-session SASL security properties");
                "SASL per-connection initialization failed".to_owned()
            })
        };
        let list = |name: &str, text: &str| MatchList::parse(name, text, Flavour::Strings, &Options::default());
        Ok(Some(Sasl {
            passwords,
            demands: [
                demands(of!(cf, lmtp, smtp_sasl_security_options lmtp_sasl_security_options))?,
                demands(of!(cf, lmtp, smtp_sasl_tls_security_options lmtp_sasl_tls_security_options))?,
                demands(
                    of!(cf, lmtp, smtp_sasl_tls_verified_security_options lmtp_sasl_tls_verified_security_options),
                )?,
            ],
            filter: list(
                &format!("{family}_sasl_mechanism_filter"),
                &of!(cf, lmtp, smtp_sasl_mechanism_filter lmtp_sasl_mechanism_filter),
            ),
            by_sender: !lmtp && cf.smtp_sender_dependent_authentication(),
            soft_bounce: of!(cf, lmtp, smtp_sasl_auth_soft_bounce lmtp_sasl_auth_soft_bounce),
            dummy: of!(cf, lmtp, smtp_send_dummy_mail_auth lmtp_send_dummy_mail_auth),
            delimiters: cf.recipient_delimiter(),
            destinations: list("mydestination", &cf.mydestination()),
            origin: cf.origin(),
            timeout: of!(cf, lmtp, smtp_helo_timeout lmtp_lhlo_timeout),
        }))
    }

    /// Who we are to a host: by sender, by the host's name, or by the next hop as it is written.
    pub fn credentials(&self, request: &Request, host: &str, nexthop: &str) -> Result<Option<Credentials>, TableError> {
        let mut found = None;
        if self.by_sender && !request.sender.is_empty() {
            let is_local = |domain: &[u8]| {
                let domain = String::from_utf8_lossy(domain);
                domain.eq_ignore_ascii_case(&self.origin) || self.destinations.contains(&domain).unwrap_or(false)
            };
            let (sender, delimiters) = (request.sender.as_bytes(), self.delimiters.as_bytes());
            let own = self.passwords.maps.find_address(sender, delimiters, &is_local)?;
            found = own.map(|own| String::from_utf8_lossy(&own.value).into_owned());
        }
        for key in [host, nexthop] {
            if found.is_none() {
                found = self.passwords.maps.find_text(&key.to_ascii_lowercase())?;
            }
        }
        Ok(found.map(|text| {
            let (user, password) = text.split_once(':').unwrap_or((&text, ""));
            Credentials { user: user.to_owned(), password: password.to_owned() }
        }))
    }

    /// The mechanisms of an offer that smtp_sasl_mechanism_filter lets through. An offer of none is told.
    pub fn usable(&self, offered: &[Vec<String>], shown: &str, log: &Log) -> Vec<String> {
        let mut all = Vec::new();
        for (at, list) in offered.iter().enumerate() {
            let wanted = |name: &&String| self.filter.is_empty() || self.filter.contains(name).unwrap_or(false);
            let before = all.len();
            all.extend(list.iter().filter(wanted).cloned());
            // Only the first list: others add to it.
            if at == 0 && list.is_empty() {
                log.warning(format!("{shown} offered null AUTH mechanism list"));
            } else if at == 0 && all.len() == before {
                log.warning(format!("{shown} offered no supported AUTH mechanisms: '{}'", list.join(" ")));
            }
        }
        all
    }

    /// The dialogue; an error is the report for all recipients.
    pub fn login(
        &self,
        conversation: &mut Conversation,
        credentials: Credentials,
        offered: &[String],
        safety: Safety,
        name: &str,
        log: &Log,
    ) -> Result<(), Unreachable> {
        let failed =
            |text: String| Unreachable::temporary(Code::new(4, 7, 0), format!("SASL authentication failed{text}"));
        if offered.is_empty() {
            return Err(failed(format!(
                ": server {name} offered no compatible authentication mechanisms for this type of connection security"
            )));
        }
        let cannot = |why: &str| failed(format!("; cannot authenticate to server {name}: {why}"));
        let refused = |refusal: Refusal| {
            if refusal == Refusal::Over {
                log.warning("SASL authentication problem: attempting client step after doneflag");
            }
            cannot(&refusal.to_string())
        };
        if credentials.user.trim().is_empty() {
            log.warning("SASL authentication failure: All-whitespace username.");
            return Err(cannot("generic failure"));
        }
        let Some(mechanism) = Mechanism::choose(offered, self.demands[safety as usize]) else {
            log.warning("SASL authentication failure: No worthy mechs found");
            return Err(cannot("no mechanism available"));
        };
        let (mut login, first) = Login::start(mechanism, credentials).map_err(refused)?;
        let separator = if first.is_empty() { "" } else { " " };
        let mut command = format!("AUTH {}{separator}{first}", mechanism.name());
        for _ in 0..=MAX_CHALLENGES {
            let reply = conversation
                .ask(&command, self.timeout)
                .map_err(|broken| broken.while_doing(name, "performing the EHLO handshake"))?;
            match reply.code / 100 {
                2 if login.is_over() => return Ok(()),
                // Yes before SCRAM has shown who the server is.
                2 => return Err(refused(Refusal::Malformed)),
                3 => {
                    let challenge = reply.lines.first().map_or("", String::as_str);
                    command = login.answer(challenge).map_err(refused)?;
                }
                _ => {
                    let code = if reply.is_permanent() { Code::new(5, 0, 0) } else { Code::new(4, 0, 0) };
                    let said = super::said(code, name, &reply, "AUTH command");
                    let code = if self.soft_bounce { said.code.softened() } else { said.code };
                    let reason = format!("SASL authentication failed; server {name} said: {}", reply.text());
                    let report = Report { code, reason, ..said };
                    return Err(Unreachable { report, ..failed(String::new()) });
                }
            }
        }
        let text = format!("SASL authentication failed; authentication protocol loop with server {name}");
        Err(Unreachable::temporary(Code::new(4, 3, 0), text))
    }
}
