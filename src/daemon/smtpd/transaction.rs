//! A mail transaction: MAIL and RCPT with their parameters (RFC 5321, 1870, 3461, 6152, 6531).

use super::access::{Deferral, Effects};
use super::anvil;
use super::patience::patiently;
use super::session::{Next, Session};
use super::stream::Duplex;
use crate::cleanup::envelope::Named;
use crate::log::event::{Event, text};
use crate::message::verp;
use crate::proto::smtp_command::{self, Path, PathError, Verb};
use crate::proto::xtext;
use crate::queue::create::NewFile;
use crate::queue::file::notify;
use std::time::Instant;

/// From MAIL to the end of DATA or RSET.
#[derive(Default)]
pub struct Transaction {
    /// Internal form, as it was named. None: no MAIL yet.
    pub sender: Option<String>,
    pub recipients: Vec<Named>,
    /// Made at the first accepted recipient: it gives the queue id.
    pub file: Option<NewFile>,
    /// That id.
    id: String,
    /// What followed MAIL, as it was sent, and the filter that is told of it (smtpd_proxy_filter).
    pub mail_command: String,
    pub talk: Option<super::before_queue::Talk>,
    /// AUTH=, as it was sent.
    pub login_sender: Option<String>,
    /// "7bit" or "8bit", as BODY= said.
    pub encoding: Option<&'static str>,
    pub utf8: bool,
    pub envelope_id: Option<String>,
    /// XVERP: the delimiters.
    pub verp: Option<String>,
    /// RET: 1 for the whole message, 2 for its header.
    pub ret: u32,
    /// What SIZE= said, then what came.
    pub size: u64,
    pub effects: Effects,
    pub deferral: Option<Deferral>,
    pub sender_checked: bool,
    /// Recipients beyond the limit.
    pub overshoot: usize,
    /// Names the transaction for policy servers.
    pub instance: String,
    /// The content that BDAT brings.
    pub chunks: Option<super::bdat::Chunks>,
}

impl Transaction {
    pub fn queue_id(&self) -> String {
        if self.id.is_empty() { "NOQUEUE".to_owned() } else { self.id.clone() }
    }

    /// What access tables asked for, on top of what they asked for before.
    pub fn apply(&mut self, effects: Effects) {
        let all = &mut self.effects;
        all.hold |= effects.hold;
        all.discard |= effects.discard;
        all.filter = effects.filter.or(all.filter.take());
        all.redirect = effects.redirect.or(all.redirect.take());
        all.bcc.extend(effects.bcc);
        all.prepend.extend(effects.prepend);
    }
}

impl<S: Duplex> Session<S> {
    pub async fn mail(&mut self, rest: &str) {
        let verb = Verb::Mail;
        if self.settings.helo_required && self.helo.is_none() {
            return self.error(verb, "503 5.5.1 Error: send HELO/EHLO first").await;
        }
        if self.transaction.sender.is_some() {
            return self.error(verb, "503 5.5.1 Error: nested MAIL command").await;
        }
        let path = smtp_command::path(rest, "FROM", self.settings.strict_envelopes);
        if path == Err(PathError::Syntax) {
            return self.error(verb, "501 5.5.4 Syntax: MAIL FROM:<address>").await;
        }
        let settings = self.settings.clone();
        if self.is_over(anvil::Event::Message, settings.limits.message_rate, "Message delivery request") {
            let reply = format!("450 4.7.1 Error: too much mail from {}", self.peer.address_name());
            return self.error(verb, &reply).await;
        }
        let path = match self.valid_path(path, "MAIL").await {
            Ok(Some(path)) => path,
            Ok(None) => return self.error(verb, "501 5.1.7 Bad sender address syntax").await,
            Err(reply) => return self.error(verb, &reply).await,
        };
        let mut transaction = match self.sender_parameters(&path, rest) {
            Ok(transaction) => transaction,
            Err(reply) => return self.error(verb, &reply).await,
        };
        if !path.address.is_ascii() && settings.utf8 && settings.strict_utf8 && !transaction.utf8 {
            return self.error(verb, "553 5.6.7 Must declare SMTPUTF8 to send unicode address").await;
        }
        self.transactions += 1;
        let since = self.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        transaction.instance =
            format!("{:x}.{:x}.{:x}.{}", std::process::id(), since.as_secs(), since.subsec_micros(), self.transactions);
        let size = transaction.size;
        self.transaction = transaction;
        let mut refused = None;
        if let Err(reply) = self.room_for(size) {
            self.log_refusal("MAIL", &reply);
            refused = Some(reply);
        }
        if refused.is_none() && !settings.delay_reject && !self.peer.is_user {
            refused = self.check_mail().await.err();
        }
        if refused.is_none() {
            refused = self.filter_mail(&path).await;
        }
        match refused {
            Some(reply) => {
                self.reset_transaction().await;
                self.error(verb, &reply).await;
            }
            None => self.good(verb, "250 2.1.0 Ok").await,
        }
    }

    fn sender_parameters(&self, path: &Path<'_>, rest: &str) -> Result<Transaction, String> {
        let mut made = Transaction { sender: Some(path.address.clone()), ..Transaction::default() };
        if self.asks_before_queue() {
            made.mail_command = rest.to_owned();
        }
        let unsupported = |parameter: &str| Err(format!("555 5.5.4 Unsupported option: {parameter}"));
        for parameter in &path.parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let has_value = parameter.contains('=');
            match name.to_ascii_uppercase().as_str() {
                "SIZE" if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return if has_value {
                        Err("501 5.5.4 Bad message size syntax".into())
                    } else {
                        unsupported(parameter)
                    };
                }
                "SIZE" => {
                    let too_large = |_| "552 5.3.4 Message size exceeds file system imposed limit".to_owned();
                    made.size = value.parse::<i64>().map_err(too_large)?.unsigned_abs();
                }
                "BODY" if value.eq_ignore_ascii_case("8BITMIME") => made.encoding = Some("8bit"),
                "BODY" if value.eq_ignore_ascii_case("7BIT") => made.encoding = Some("7bit"),
                "SMTPUTF8" if !has_value && self.settings.utf8 => made.utf8 = true,
                "AUTH" if has_value && made.login_sender.is_some() => {
                    return Err("503 5.5.4 Error: multiple AUTH= options".into());
                }
                "AUTH" if has_value => {
                    made.login_sender = Some(value.to_owned()).filter(|_| self.has_logins() && value != "<>");
                }
                "RET" | "ENVID" if has_value && self.discards("dsn") => {
                    return Err("501 5.7.1 DSN support is disabled".into());
                }
                "RET" if has_value => {
                    let bad = || "501 5.5.4 Bad RET parameter syntax".to_owned();
                    made.ret = match value.to_ascii_uppercase().as_str() {
                        _ if made.ret != 0 => return Err(bad()),
                        "FULL" => 1,
                        "HDRS" => 2,
                        _ => return Err(bad()),
                    };
                }
                "ENVID" if has_value => {
                    // It ends up in a notice, decoded: no controls.
                    let id = xtext::decode(value).filter(|id| !id.is_empty() && !id.chars().any(char::is_control));
                    if made.envelope_id.is_some() || id.is_none() {
                        return Err("501 5.5.4 Bad ENVID parameter syntax".into());
                    }
                    made.envelope_id = id;
                }
                "XVERP" if self.peer.is_in(&self.settings.verp_clients) => {
                    let pair = if has_value { value } else { &self.settings.verp_default };
                    let allowed = &self.settings.verp_filter;
                    if !verp::is_valid(pair, allowed) {
                        return Err(format!("501 5.5.4 Error: XVERP needs two characters from {allowed}"));
                    }
                    made.verp = Some(pair.to_owned());
                }
                _ => return unsupported(parameter),
            }
        }
        if made.verp.is_some() && path.address.is_empty() {
            return Err("503 5.5.4 Error: XVERP requires non-null sender".into());
        }
        Ok(made)
    }

    /// Room for a message of this size, by message_size_limit, queue_minfree and the disk.
    fn room_for(&self, size: u64) -> Result<(), String> {
        let limit = self.settings.message_size_limit;
        if limit > 0 && size > limit {
            return Err("552 5.3.4 Message size exceeds fixed limit".into());
        }
        let needed = self.settings.queue_minfree.max(limit.saturating_mul(3) / 2).max(size);
        match crate::sys::files::free_space(std::path::Path::new(".")) {
            Ok((bytes, inodes)) if bytes < needed || inodes < 1 => {
                self.log
                    .warning(format!("not enough free space in mail queue: {bytes} bytes < 1.5*message size limit"));
                Err("452 4.3.1 Insufficient system storage".into())
            }
            _ => Ok(()),
        }
    }

    pub async fn rcpt(&mut self, rest: &str) -> Next {
        let verb = Verb::Rcpt;
        if let Err((reply, counts)) = self.recipient(rest).await {
            if self.hang_up && reply.is_empty() {
                self.count(verb, false);
                return Next::Close;
            }
            if counts {
                self.error(verb, &reply).await;
            } else {
                self.good(verb, &reply).await;
            }
        } else {
            self.good(verb, "250 2.1.5 Ok").await;
        }
        Next::Continue
    }

    /// Takes a recipient. The error is the reply, and whether it is the client's fault.
    async fn recipient(&mut self, rest: &str) -> Result<(), (String, bool)> {
        let fault = |reply: &str| (reply.to_owned(), true);
        if self.transaction.sender.is_none() {
            return Err(fault("503 5.5.1 Error: need MAIL command"));
        }
        if self.transaction.chunks.is_some() {
            return Err(fault("503 5.5.1 Error: RCPT after BDAT"));
        }
        let path = smtp_command::path(rest, "TO", self.settings.strict_envelopes);
        if path == Err(PathError::Syntax) {
            return Err(fault("501 5.5.4 Syntax: RCPT TO:<address>"));
        }
        let settings = self.settings.clone();
        if self.is_over(anvil::Event::Recipient, settings.limits.recipient_rate, "Recipient address") {
            return Err((format!("450 4.7.1 Error: too many recipients from {}", self.peer.address_name()), true));
        }
        let path = self.recipient_path(path, "RCPT").await.map_err(|reply| (reply, true))?;
        let named = self.recipient_parameters(&path).map_err(|reply| (reply, true))?;
        if !path.address.is_ascii() && settings.utf8 && settings.strict_utf8 && !self.transaction.utf8 {
            return Err(fault("553 5.6.7 Must declare SMTPUTF8 to send unicode address"));
        }
        if self.transaction.recipients.len() >= settings.limits.recipients {
            // A client that sends the rest in another transaction makes no mistake; one that goes on and on does.
            self.transaction.overshoot += 1;
            let counts = self.transaction.overshoot > settings.limits.recipient_overshoot;
            return Err(("452 4.5.3 Error: too many recipients".to_owned(), counts));
        }
        let mut checked = self.check_recipient(&path.address, "RCPT").await;
        if let Some(refused) = self.filter_rcpt(&path, checked.as_ref().err()).await {
            checked = Err(refused);
        }
        checked.map_err(|reply| (reply, true))?;
        if self.asks_before_queue() && !self.transaction.effects.discard {
            self.forward_recipient(&path.address, rest).await.map_err(|reply| (reply, true))?;
        } else if self.transaction.file.is_none() {
            match self.shared.sink.reserve() {
                Ok(file) => {
                    if let Some(file) = &file {
                        self.transaction.id = file.id().to_string();
                        let client = self.shown_with_login();
                        self.log.event(&Event::Client { queue_id: text(file.id().as_str()), client: text(&client) });
                    }
                    self.transaction.file = file;
                }
                Err(error) => {
                    self.log.warning(format!("cannot create queue file: {error}"));
                    return Err((error.reply(), true));
                }
            }
        }
        self.transaction.recipients.push(named);
        Ok(())
    }

    /// The client with who has logged in and whom it speaks for, as the log line of a new message has it.
    pub fn shown_with_login(&self) -> String {
        let mut client = self.shown();
        if let Some(own) = &self.login {
            client.push_str(&format!(", sasl_method={}, sasl_username={}", own.method, own.name));
        }
        if let Some(sender) = &self.transaction.login_sender {
            client.push_str(&format!(", sasl_sender={sender}"));
        }
        if let Some(forwarded) = &self.forwarded {
            let unknown = || "unknown".to_owned();
            if let Some(id) = &forwarded.identity {
                client.push_str(&format!(", orig_queue_id={id}"));
            }
            if forwarded.names_client {
                let name = forwarded.name.clone().unwrap_or_else(unknown);
                let address = forwarded.address.clone().unwrap_or_else(unknown);
                client.push_str(&format!(", orig_client={name}[{address}]"));
            }
        }
        client
    }

    /// RCPT parameters (RFC 3461 section 4).
    fn recipient_parameters(&self, path: &Path<'_>) -> Result<Named, String> {
        let mut named =
            Named { address: path.address.clone(), original: Some(path.address.clone()), ..Named::default() };
        named.dsn_original = Some(format!("rfc822;{}", path.bare()));
        let mut has_original = false;
        for parameter in &path.parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_dsn = name.eq_ignore_ascii_case("NOTIFY") || name.eq_ignore_ascii_case("ORCPT");
            if !is_dsn || !parameter.contains('=') {
                return Err(format!("555 5.5.4 Unsupported option: {parameter}"));
            }
            if self.discards("dsn") {
                return Err("501 5.7.1 DSN support is disabled".into());
            }
            if name.eq_ignore_ascii_case("NOTIFY") {
                if named.notify != 0 {
                    return Err("501 5.5.4 Error: Bad NOTIFY parameter syntax".into());
                }
                named.notify = notify::bits(value).map_err(|word| {
                    if !word.is_empty() {
                        self.log.warning(format!("unknown DSN NOTIFY command value \"{word}\" in \"{value}\""));
                    }
                    "501 5.5.4 Error: Bad NOTIFY parameter syntax".to_owned()
                })?;
            } else {
                // What xtext decodes to ends up in a notice: no controls (faults.md A40).
                let decoded = xtext::decode(value).filter(|text| {
                    let parts = text.split_once(';');
                    !has_original
                        && !text.chars().any(char::is_control)
                        && parts.is_some_and(|(kind, _)| !kind.is_empty())
                });
                let decoded = decoded.ok_or_else(|| "501 5.5.4 Error: Bad ORCPT parameter syntax".to_owned())?;
                has_original = true;
                named.dsn_original = Some(decoded);
            }
        }
        Ok(named)
    }

    /// The path of MAIL or RCPT, if mail could be for it; None, with a warning, if not. The error is the reply where a
    /// table did not tell.
    async fn valid_path<'r>(
        &self,
        path: Result<Path<'r>, PathError>,
        command: &str,
    ) -> Result<Option<Path<'r>>, String> {
        let path = match path {
            Ok(path) => path,
            Err(PathError::Address(written)) => {
                self.warn_of_address(command, &written);
                return Ok(None);
            }
            // What never ends is no address that could be shown.
            Err(PathError::Open | PathError::Syntax) => return Ok(None),
        };
        let router = &self.settings.router;
        if path.address.is_empty() || self.peer.is_user {
            return Ok(Some(path));
        }
        let complete = router.rewriter.rewrite(&path.address);
        match patiently(|| router.resolve(&complete)).await {
            Ok(resolution) if resolution.malformed => {
                self.warn_of_address(command, path.written);
                Ok(None)
            }
            Ok(_) => Ok(Some(path)),
            // The sender may be somebody; his mail waits at RCPT, where the recipient cannot be looked up either.
            Err(_) if command == "MAIL" => Ok(Some(path)),
            Err(error) => {
                self.log.warning(error.to_string());
                Err(format!("451 4.3.0 <{}>: Temporary lookup failure", path.address))
            }
        }
    }

    /// [`Session::valid_path`] of somebody who can get mail: not the null address.
    pub async fn recipient_path<'r>(
        &self,
        path: Result<Path<'r>, PathError>,
        command: &str,
    ) -> Result<Path<'r>, String> {
        let path = self.valid_path(path, command).await?;
        if let Some(null) = path.as_ref().filter(|path| path.address.is_empty()) {
            self.warn_of_address(command, null.written);
        }
        path.filter(|path| !path.address.is_empty()).ok_or_else(|| "501 5.1.3 Bad recipient address syntax".to_owned())
    }

    fn warn_of_address(&self, command: &str, written: &str) {
        self.log.warning(format!("Illegal address syntax from {} in {command} command: {written}", self.shown()));
    }

    /// Counts an event; whether there are too many of it.
    pub fn is_over(&mut self, event: anvil::Event, limit: u64, what: &str) -> bool {
        if limit == 0 || self.peer.is_user || self.peer.is_in(&self.settings.limits.exceptions) {
            return false;
        }
        let Some(address) = self.peer.address else { return false };
        let rate = self.shared.anvil.borrow_mut().count(address, event, Instant::now());
        if rate <= limit {
            return false;
        }
        let service = &self.shared.service;
        self.log.warning(format!("{what} rate limit exceeded: {rate} from {} for service {service}", self.shown()));
        true
    }
}
