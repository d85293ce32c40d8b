//! access(5): what the right-hand side of an access table, or the answer of a policy server, asks for.

use super::check::{Check, Status, Step};
use super::restriction::{self, Restriction};

impl Check<'_> {
    /// `table` and `key` are for the administrator; `name` and `class` for the client.
    pub async fn act(&mut self, table: &str, value: &str, key: &str, name: &str, class: &str) -> Step {
        let value = value.trim();
        let (word, words) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let words = words.trim();
        let or = |default: &str| if words.is_empty() { default.to_owned() } else { words.to_owned() };
        let about = |words: &str| format!("<{name}>: {class} {words}");
        let codes = &self.settings.codes;
        let (reject_code, defer_code) = (codes.access_reject, codes.access_defer);
        let permit = || self.permitted(word, name, class, &format!("from {table}"));
        if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
            return Ok(permit());
        }
        if is_reply_code(word) {
            let code: i64 = word.parse().unwrap_or(450);
            let (dsn, words) = self.split_dsn(if code < 500 { "4.7.1" } else { "5.7.1" }, words, class);
            let words = if words.is_empty() { "Access denied" } else { words };
            return Ok(self.reject(code, &dsn, &about(&format!("rejected: {words}"))));
        }
        Ok(match word.to_ascii_uppercase().as_str() {
            "OK" | "RELAY" => permit(),
            "DUNNO" => Status::Dunno,
            "REJECT" => {
                let (dsn, words) = self.split_dsn("5.7.1", words, class);
                let words = if words.is_empty() { "Access denied" } else { words };
                self.reject(reject_code, &dsn, &about(&format!("rejected: {words}")))
            }
            "DEFER" => {
                let (dsn, words) = self.split_dsn("4.7.1", words, class);
                let words = if words.is_empty() { "Access denied" } else { words };
                self.reject(defer_code, &dsn, &about(&format!("rejected: {words}")))
            }
            deferral @ ("DEFER_IF_PERMIT" | "DEFER_IF_REJECT") => {
                let (dsn, words) = self.split_dsn("4.7.1", words, class);
                let words = if words.is_empty() { "Service unavailable" } else { words };
                let text = about(&format!("rejected: {words}"));
                if deferral == "DEFER_IF_PERMIT" {
                    self.defer_if_permit(defer_code, &dsn, &text)
                } else {
                    self.defer_if_reject(defer_code, &dsn, &text)
                }
            }
            "HANGUP" => {
                self.verdict("hangup", words);
                self.hang_up = true;
                self.reply.clear();
                Status::Reject
            }
            "WARN" => {
                self.verdict("warn", words);
                Status::Dunno
            }
            "INFO" => {
                self.verdict("info", words);
                Status::Dunno
            }
            "HOLD" => {
                // Once for a message is enough.
                if self.may_touch_message(table, "HOLD") && !self.effects.hold {
                    self.verdict("hold", &about(&or("triggers HOLD action")));
                    self.effects.hold = true;
                }
                Status::Dunno
            }
            "DISCARD" => {
                if !self.may_touch_message(table, "DISCARD") {
                    return Ok(Status::Dunno);
                }
                self.verdict("discard", &about(&or("triggers DISCARD action")));
                self.effects.discard = true;
                self.permitted(word, name, class, &format!("from {table}"))
            }
            "FILTER" => {
                if !self.may_touch_message(table, "FILTER") {
                } else if words.is_empty() {
                    self.log.warning(format!("access table {table} entry \"{key}\" has FILTER entry without value"));
                } else if !words.contains(':') {
                    self.log.warning(format!("access table {table} entry \"{key}\" requires transport:destination"));
                } else {
                    self.verdict("filter", &about(&format!("triggers FILTER {words}")));
                    self.effects.filter = Some(words.to_owned());
                }
                Status::Dunno
            }
            target @ ("REDIRECT" | "BCC") => {
                if !self.may_touch_message(table, target) {
                } else if !words.contains('@') {
                    self.log.warning(format!("access table {table} entry \"{key}\" requires user@domain target"));
                } else {
                    self.verdict(&target.to_ascii_lowercase(), &about(&format!("triggers {target} {words}")));
                    if target == "BCC" {
                        self.effects.bcc.push(words.to_owned());
                    } else {
                        self.effects.redirect = Some(words.to_owned());
                    }
                }
                Status::Dunno
            }
            "PREPEND" => {
                if !self.may_touch_message(table, "PREPEND") {
                } else if self.stage == "END-OF-MESSAGE" {
                    self.log.warning(format!(
                        "access table {table}: action PREPEND must be used before smtpd_end_of_data_restrictions"
                    ));
                } else if !words.split_once(':').is_some_and(|(label, _)| is_label(label)) {
                    self.log.warning(format!("access table {table} entry \"{key}\" requires header: text"));
                } else {
                    self.effects.prepend.push(words.to_owned());
                }
                Status::Dunno
            }
            _ => return self.restrictions_as_action(table, value, key, name, class).await,
        })
    }

    /// Restrictions and classes by name; what they would have to open does not belong here.
    async fn restrictions_as_action(&mut self, table: &str, value: &str, key: &str, name: &str, class: &str) -> Step {
        if value.is_empty() {
            return Err(self.misconfigured(&format!("access table {table} entry {key} has empty value")));
        }
        let classes = &self.restrictions().classes;
        let parsed = match restriction::parse(value, &|word| classes.contains_key(word), &self.settings.policy) {
            Ok(parsed) => parsed,
            Err(text) => return Err(self.misconfigured(&text)),
        };
        let opens = |step: &Restriction| {
            matches!(step, Restriction::Access(..) | Restriction::ServerAccess(..) | Restriction::Table(_))
        };
        if parsed.iter().any(opens) {
            self.log.warning(format!("access table {table} has entry with lookup table: {value}"));
            self.log.warning("do not specify lookup tables inside SMTPD access maps");
            return Err(self.misconfigured("define a restriction class and specify its name instead."));
        }
        self.list(&parsed, name, class).await
    }

    /// Before MAIL there is no message that an action could touch.
    fn may_touch_message(&self, table: &str, action: &str) -> bool {
        if self.stage == "ETRN" {
            self.log
                .warning(format!("access table {table}: action {action} is unavailable in smtpd_etrn_restrictions"));
            return false;
        }
        if self.sender.is_some() {
            return true;
        }
        self.log.warning(format!(
            "access table {table}: with smtpd_delay_reject=no, action {action} is always skipped in \
             Client host or Helo command restrictions"
        ));
        false
    }
}

/// "4nn" or "5nn".
fn is_reply_code(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 3 && matches!(bytes[0], b'4' | b'5') && bytes.iter().all(u8::is_ascii_digit)
}

fn is_label(label: &str) -> bool {
    let label = label.trim_end();
    !label.is_empty() && label.bytes().all(|byte| (33..127).contains(&byte))
}
