//! [`Check`]: one run through restriction lists, with what is known of the client and the transaction, and what was
//! found: the verdict, what becomes of the message, what a later refusal or permission turns into.

use super::restriction::{Plain, Restriction, Subject};
use super::{List, Restrictions};
use crate::cleanup::envelope::Login;
use crate::daemon::smtpd::patience::patiently;
use crate::daemon::smtpd::peer::Peer;
use crate::daemon::smtpd::settings::Settings;
use crate::dns::Dns;
use crate::log::Log;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::proto::tls_server::Established;
use crate::route::Resolution;
use crate::status::Code;
use crate::table::TableError;
use crate::table::trace::{self, Step as Trace};
use std::time::Duration;

/// What a restriction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing: the next one decides.
    Dunno,
    Permit,
    /// The reply stands in the check.
    Reject,
}

/// What leaves all lists at once: the reply stands in the check.
pub struct Stop;
pub type Step = Result<Status, Stop>;

/// What permission (or refusal) later on turns into, since it may be owed to a passing trouble only.
#[derive(Clone, Debug)]
pub struct Deferral {
    pub code: i64,
    pub dsn: String,
    pub reason: String,
}

/// What becomes of the message, by actions of access tables.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    pub hold: bool,
    pub discard: bool,
    pub filter: Option<String>,
    pub redirect: Option<String>,
    pub bcc: Vec<String>,
    pub prepend: Vec<String>,
}

/// What the session does.
pub enum Outcome {
    Accepted,
    Refused(String),
    /// Refused, and the session ends ("421", "521", HANGUP).
    Disconnect(String),
}

pub struct Check<'a> {
    pub settings: &'a Settings,
    pub dns: &'a Dns,
    pub log: &'a Log,
    pub peer: &'a Peer,
    /// As of now: "RCPT", "END-OF-MESSAGE".
    pub stage: &'a str,
    pub queue_id: String,
    pub instance: &'a str,
    pub protocol: &'a str,
    /// The name after HELO or EHLO.
    pub helo: Option<&'a str>,
    /// In internal form, as it was named.
    pub sender: Option<&'a str>,
    pub recipient: Option<&'a str>,
    pub etrn: Option<&'a str>,
    pub login: Option<&'a Login>,
    /// MAIL FROM AUTH=.
    pub login_sender: Option<&'a str>,
    /// The encryption of the session.
    pub secured: Option<&'a Established>,
    /// Recipients accepted so far.
    pub recipients: usize,
    pub size: u64,
    /// Whether the client sent more than it was asked for.
    pub talks_ahead: bool,
    pub effects: Effects,
    pub defer_if_permit: Option<Deferral>,
    defer_if_reject: Option<Deferral>,
    pub recipient_checked: bool,
    pub sender_checked: bool,
    pub reply: String,
    pub hang_up: bool,
    /// What a table without a word before it is about.
    own: Option<Subject>,
    depth: u32,
    /// The depth at which warn_if_reject holds.
    pub(super) warn_only: Option<u32>,
}

/// Restriction classes within classes end here.
const MAX_DEPTH: u32 = 100;
/// Longest that `sleep` may hold a client.
const MAX_SLEEP: u64 = 3600;

impl<'a> Check<'a> {
    pub fn new(settings: &'a Settings, dns: &'a Dns, log: &'a Log, peer: &'a Peer, stage: &'a str) -> Check<'a> {
        Check {
            settings,
            dns,
            log,
            peer,
            stage,
            queue_id: "NOQUEUE".into(),
            instance: "",
            protocol: "SMTP",
            helo: None,
            sender: None,
            recipient: None,
            etrn: None,
            login: None,
            login_sender: None,
            secured: None,
            recipients: 0,
            size: 0,
            talks_ahead: false,
            effects: Effects::default(),
            defer_if_permit: None,
            defer_if_reject: None,
            recipient_checked: false,
            sender_checked: false,
            reply: String::new(),
            hang_up: false,
            own: None,
            depth: 0,
            warn_only: None,
        }
    }

    /// Asks a list as the list of one stage; `subject` is what its bare tables and general words are about.
    pub async fn stage(&mut self, list: &List, subject: Subject) -> Status {
        self.defer_if_reject = None;
        self.same_stage(list, subject).await
    }

    /// A further list of the same stage: what an earlier one wants deferred instead of refused still is.
    pub async fn same_stage(&mut self, list: &List, subject: Subject) -> Status {
        trace::step(|| Trace::Begin { name: list.name.clone() });
        self.depth = 0;
        self.warn_only = None;
        let (name, class) = self.about(subject);
        self.own = Some(subject).filter(|own| !matches!(own, Subject::Data | Subject::EndOfData));
        match self.list(&list.restrictions, &name, class).await {
            Ok(status) => status,
            Err(Stop) => Status::Reject,
        }
    }

    /// Turns a permission that may be owed to a passing trouble into a deferral.
    pub fn settle(&mut self, status: Status) -> Status {
        match self.defer_if_permit.clone() {
            Some(deferral) if status != Status::Reject => {
                self.warn_only = None;
                self.reject_as(deferral.code, &deferral.dsn, &deferral.reason)
            }
            _ => status,
        }
    }

    pub fn outcome(self, status: Status) -> (Outcome, Effects) {
        let outcome = match status {
            Status::Reject if self.hang_up || self.reply.starts_with("421") || self.reply.starts_with("521") => {
                Outcome::Disconnect(self.reply)
            }
            Status::Reject => Outcome::Refused(self.reply),
            _ => Outcome::Accepted,
        };
        (outcome, self.effects)
    }

    /// The restrictions in order. Boxed, since classes and access tables lead back here.
    pub fn list<'s>(
        &'s mut self,
        restrictions: &'s [Restriction],
        name: &'s str,
        class: &'s str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Step> + 's>> {
        Box::pin(async move {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(self.misconfigured(&format!("access table {name} entry causes unreasonable recursion")));
            }
            let mut status = Status::Dunno;
            for restriction in restrictions {
                if self.effects.discard {
                    break;
                }
                if matches!(restriction, Restriction::Plain(Plain::WarnIfReject)) {
                    // One level deeper than this list: spent by the next restriction of this one.
                    self.warn_only.get_or_insert(self.depth + 1);
                    continue;
                }
                let warned = self.warn_only;
                trace::step(|| Trace::Restriction { name: restriction.to_string(), depth: self.depth });
                let outcome = self.one(restriction, name, class).await;
                trace::step(|| Trace::Said { status: self.said(&outcome), depth: self.depth });
                status = outcome?;
                if warned == Some(self.depth + 1) {
                    self.warn_only = None;
                }
                if status != Status::Dunno || (self.defer_if_permit.is_some() && self.defer_if_reject.is_some()) {
                    break;
                }
            }
            self.depth -= 1;
            Ok(status)
        })
    }

    async fn one(&mut self, restriction: &Restriction, name: &str, class: &str) -> Step {
        match restriction {
            Restriction::Plain(plain) => self.plain_logged(*plain, restriction, name, class).await,
            Restriction::Access(subject, word, maps) => self.access(*subject, word, maps).await,
            Restriction::CertificateAccess(order, maps) => self.certificate_access(order, maps).await,
            Restriction::ServerAccess(subject, servers, word, maps) => {
                self.server_access(*subject, *servers, word, maps).await
            }
            Restriction::DnsList { subject, by_address, permit, domain } => {
                Ok(self.dns_list(*subject, *by_address, *permit, domain).await?)
            }
            Restriction::Policy(service) => self.policy(service, name, class).await,
            Restriction::Sleep(seconds) => {
                tokio::time::sleep(Duration::from_secs((*seconds).min(MAX_SLEEP))).await;
                Ok(Status::Dunno)
            }
            Restriction::Class(class_name) => {
                let settings = self.settings;
                match settings.restrictions.classes.get(class_name) {
                    Some(inner) => self.list(&inner.restrictions, name, class).await,
                    None => Err(self.misconfigured(&format!("unknown smtpd restriction: \"{class_name}\""))),
                }
            }
            Restriction::Table(maps) => match self.own {
                Some(subject) => self.access(subject, "", maps).await,
                None => Err(self.misconfigured(&format!(
                    "specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, \
                     check_sender_access, check_recipient_access, check_etrn_access) before {class} restriction \"{}\"",
                    maps.title()
                ))),
            },
            Restriction::Final(plain, warning) => {
                let ends = self.warn_only.is_none() || *plain == Plain::Permit;
                let status = self.plain_logged(*plain, restriction, name, class).await;
                if ends {
                    self.log.warning(warning);
                }
                status
            }
            Restriction::Ignored(warning) => {
                self.log.warning(warning);
                Ok(Status::Dunno)
            }
            Restriction::Bad(text) => Err(self.misconfigured(text)),
        }
    }

    async fn plain_logged(&mut self, plain: Plain, restriction: &Restriction, name: &str, class: &str) -> Step {
        let status = self.plain(plain, name, class).await?;
        if status == Status::Permit {
            let (name, class) = match plain {
                Plain::PermitMynetworks | Plain::PermitInetInterfaces | Plain::PermitSaslAuthenticated => {
                    self.about(Subject::Client)
                }
                Plain::PermitNakedIp => self.about(Subject::Helo),
                Plain::PermitAuthDestination | Plain::PermitMxBackup | Plain::CheckRelayDomains => {
                    self.about(Subject::Recipient)
                }
                _ => return Ok(self.permitted(&restriction.to_string(), name, class, "")),
            };
            self.permitted(&restriction.to_string(), &name, class, "");
        }
        Ok(status)
    }

    fn said(&self, outcome: &Step) -> String {
        match outcome {
            Ok(Status::Dunno) => "dunno".into(),
            Ok(Status::Permit) => "permit".into(),
            Ok(Status::Reject) | Err(Stop) => self.reply.clone(),
        }
    }

    async fn plain(&mut self, plain: Plain, name: &str, class: &str) -> Step {
        let settings = self.settings;
        Ok(match plain {
            Plain::Permit => Status::Permit,
            Plain::Reject => {
                self.reject(settings.codes.reject, "5.7.1", &format!("<{name}>: {class} rejected: Access denied"))
            }
            Plain::Defer => {
                self.reject(settings.codes.defer, "4.3.2", &format!("<{name}>: {class} rejected: Try again later"))
            }
            Plain::DeferIfPermit => {
                self.defer_if_permit(450, "4.7.0", &format!("<{name}>: {class} rejected: defer_if_permit requested"))
            }
            Plain::DeferIfReject => {
                self.defer_if_reject(450, "4.7.0", &format!("<{name}>: {class} rejected: defer_if_reject requested"))
            }
            Plain::UnauthPipelining => {
                let out_of_turn = self.talks_ahead && (self.protocol != "ESMTP" || self.stage == "DATA");
                let text = format!("<{name}>: {class} rejected: Improper use of SMTP command pipelining");
                if out_of_turn { self.reject(503, "5.5.0", &text) } else { Status::Dunno }
            }
            Plain::PlaintextSession if self.secured.is_some() => Status::Dunno,
            Plain::PlaintextSession => self.reject(settings.codes.plaintext, "4.7.1", "Session encryption is required"),
            Plain::PermitMynetworks => {
                let trusted = settings.mynetworks.contains_client(self.peer.known_name(), self.peer.address);
                let trusted = self.asked(trusted, name)?;
                self.permit_if(trusted)
            }
            Plain::PermitInetInterfaces => self.permit_if(self.peer.is_own_host(settings)),
            Plain::UnknownClient | Plain::UnknownReverse => self.unknown_client(plain == Plain::UnknownReverse),
            Plain::MapsRbl => {
                self.log.warning(
                    "support for restriction \"reject_maps_rbl\" will be removed from Postfix; use \"reject_rbl_client \
                     domain-name\" instead",
                );
                for domain in &settings.maps_rbl {
                    let status = self.dns_list(Subject::Client, true, false, domain).await?;
                    if status != Status::Dunno {
                        return Ok(status);
                    }
                }
                Status::Dunno
            }
            Plain::PermitNakedIp => self.naked_address(),
            Plain::InvalidHelo | Plain::NonFqdnHelo | Plain::UnknownHelo => self.helo_name(plain).await,
            Plain::PermitSaslAuthenticated => self.permit_if(settings.sasl_wanted && self.login.is_some()),
            Plain::PermitClientCertificate { all } => self.client_certificate(all).await?,
            Plain::WarnIfReject => Status::Dunno,
            _ => self.address_check(plain).await?,
        })
    }

    /// The name and class that refusals give for a subject.
    pub fn about(&self, subject: Subject) -> (String, &'static str) {
        match subject {
            Subject::Client => (self.peer.shown(), "Client host"),
            Subject::ReverseClient => (self.peer.reverse.clone(), "Unverified Client host"),
            Subject::Helo => (self.helo.unwrap_or_default().to_owned(), "Helo command"),
            Subject::Sender => (self.sender.unwrap_or_default().to_owned(), "Sender address"),
            Subject::Recipient => (self.recipient.unwrap_or_default().to_owned(), "Recipient address"),
            Subject::Etrn => (self.etrn.unwrap_or_default().to_owned(), "Etrn command"),
            Subject::Login => (self.login_name().to_owned(), "SASL login name"),
            Subject::Certificate => (self.peer.shown(), "Client certificate"),
            Subject::Data => (self.stage.to_owned(), "Data command"),
            Subject::EndOfData => (self.stage.to_owned(), "End-of-data"),
        }
    }

    /// Empty: nobody has logged in.
    pub fn login_name(&self) -> &str {
        self.login.map_or("", |own| &own.name)
    }

    pub fn permit_if(&self, condition: bool) -> Status {
        if condition { Status::Permit } else { Status::Dunno }
    }

    /// Refuses, or only says so under warn_if_reject. `text` comes after the codes.
    pub fn reject(&mut self, code: i64, dsn: &str, text: &str) -> Status {
        self.reject_as(code, dsn, text)
    }

    fn reject_as(&mut self, code: i64, dsn: &str, text: &str) -> Status {
        let (mut code, mut dsn, mut text) = (code, dsn.to_owned(), text);
        if !(400..600).contains(&code) {
            self.log.warning(format!("SMTP reply code configuration error: {code} {dsn} {text}"));
            (code, dsn, text) = (450, "4.7.1".into(), "Service unavailable");
        }
        // A refusal for good gives way to an earlier trouble that may have kept us from accepting.
        let deferral = self.defer_if_reject.take_if(|_| self.warn_only.is_none() && code >= 500);
        if let Some(deferral) = &deferral {
            (code, dsn, text) = (deferral.code, deferral.dsn.clone(), deferral.reason.as_str());
        }
        if self.settings.soft_bounce && code >= 500 {
            code -= 100;
        }
        // The class of the enhanced code is that of the reply.
        dsn.replace_range(..1, if code >= 500 { "5" } else { "4" });
        let reply = printable(&format!("{code} {dsn} {text}"));
        self.verdict(if self.warn_only.is_some() { "reject_warning" } else { "reject" }, &reply);
        if self.warn_only.is_some() {
            return Status::Dunno;
        }
        self.reply = reply;
        Status::Reject
    }

    /// A later permission becomes this deferral.
    pub fn defer_if_permit(&mut self, code: i64, dsn: &str, text: &str) -> Status {
        if self.warn_only.is_some() {
            return self.reject_as(code, dsn, text);
        }
        self.defer_if_permit.get_or_insert_with(|| Deferral { code, dsn: dsn.into(), reason: text.into() });
        Status::Dunno
    }

    /// A later refusal becomes this deferral.
    pub fn defer_if_reject(&mut self, code: i64, dsn: &str, text: &str) -> Status {
        self.defer_if_reject.get_or_insert_with(|| Deferral { code, dsn: dsn.into(), reason: text.into() });
        Status::Dunno
    }

    /// A parameter that says how a passing trouble is answered: "defer_if_permit" or "defer".
    pub fn passing_trouble(&mut self, action: &str, code: i64, dsn: &str, text: &str) -> Status {
        if action == "defer" { self.reject_as(code, dsn, text) } else { self.defer_if_permit(code, dsn, text) }
    }

    /// A mistake of the administrator's: nobody is let in by it, not even under warn_if_reject.
    pub fn misconfigured(&mut self, warning: &str) -> Stop {
        self.log.warning(warning);
        self.warn_only = None;
        self.reject_as(451, "4.3.5", "Server configuration error");
        Stop
    }

    /// A table's answer, or the refusal that tells the client to try again.
    pub fn asked<T>(&mut self, answer: Result<T, TableError>, name: &str) -> Result<T, Stop> {
        answer.map_err(|error| {
            self.log.warning(format!("{} is unavailable. {error}", error.table));
            self.warn_only = None;
            self.reject_as(451, "4.3.0", &format!("<{name}>: Temporary lookup failure"));
            Stop
        })
    }

    pub async fn resolve(&mut self, address: &str) -> Result<Resolution, Stop> {
        let router = &self.settings.router;
        let complete = router.rewriter.rewrite(address);
        let resolved = patiently(|| router.resolve(&complete)).await;
        self.asked(resolved, address)
    }

    /// Splits "5.7.1 text" off a table's or a server's words.
    pub fn split_dsn<'t>(&self, default: &str, text: &'t str, class: &str) -> (String, &'t str) {
        match Code::split(text.trim()) {
            Some((code, words)) => (self.fitting(code.to_string(), class), words),
            None => (default.to_owned(), text.trim()),
        }
    }

    /// A status that tells of an address (RFC 3463 section 3.2) as one of the address that is refused: tables and the
    /// error mailer do not know whose it is. Its first digit is the reply's to decide.
    pub fn fitting(&self, dsn: String, class: &str) -> String {
        let Some(detail) = dsn.get(1..).and_then(|rest| rest.strip_prefix(".1.")) else { return dsn };
        let fitting = match (class, detail) {
            ("Sender address", "2" | "8") => ".1.8",
            ("Sender address", "1" | "3" | "4" | "6" | "7") => ".1.7",
            ("Sender address", _) => ".1.0",
            ("Recipient address", "7") => ".1.3",
            ("Recipient address", "8") => ".1.2",
            ("Recipient address", "1" | "2" | "3" | "4" | "5" | "6") => return dsn,
            ("Recipient address", _) => ".1.0",
            _ => ".0.0",
        };
        let mapped = format!("{}{fitting}", &dsn[..1]);
        if mapped != dsn {
            self.log.info(format!("mapping DSN status {dsn} into {class} status {mapped}"));
        }
        mapped
    }

    /// A permission, for the log if smtpd_log_access_permit_actions names the action and nothing overrules it.
    pub fn permitted(&self, action: &str, name: &str, class: &str, more: &str) -> Status {
        if self.defer_if_permit.is_none() && self.settings.permits_logged.contains(action).unwrap_or(false) {
            self.verdict("permit", &format!("action={action} for {class}={name} {more}"));
        }
        Status::Permit
    }

    /// "QUEUE_ID: action: STAGE from client: words; from=<> to=<> proto= helo=<>"
    pub fn verdict(&self, action: &str, words: &str) {
        let mut line = format!("{} from {}: {words};", self.stage, self.peer.shown());
        if let Some(sender) = self.sender {
            line.push_str(&format!(" from=<{}>", envelope::quote_path(sender)));
        }
        if let Some(recipient) = self.recipient {
            line.push_str(&format!(" to=<{}>", envelope::quote(recipient)));
        }
        line.push_str(&format!(" proto={}", self.protocol));
        if let Some(helo) = self.helo {
            line.push_str(&format!(" helo=<{helo}>"));
        }
        self.log.event(&Event::Verdict { queue_id: text(&self.queue_id), action: text(action), text: text(&line) });
    }

    pub fn restrictions(&self) -> &'a Restrictions {
        let settings: &'a Settings = self.settings;
        &settings.restrictions
    }
}

/// No control characters in a reply.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
