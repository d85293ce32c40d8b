//! The texts of notices (bounce(5)): four templates, "name = <<WORD ... WORD" in a file, each a few headers, an empty
//! line and text with $name in it. What the file does not have, or has wrong, is as built in. Programs that handle
//! bounces look for the built-in sentences, so they are the reference's.

use super::expand::expand;
use super::main_cf::{ConfError, MainCf, Missing, split_assignment};
use super::params;
use super::typed::{self, Kind, Typed};
use std::cell::RefCell;
use std::path::Path;

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// failure, delay, success, verify.
    pub class: &'static str,
    pub charset: String,
    pub from: String,
    pub subject: String,
    /// The subject of the postmaster's copy, for the two that have one.
    pub postmaster_subject: Option<String>,
    pub lines: Vec<String>,
    /// The file it comes from; empty: built in.
    origin: String,
}

/// The four, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    pub failure: Template,
    pub delay: Template,
    pub success: Template,
    pub verify: Template,
}

const FROM: &str = "Mail Delivery System <MAILER-DAEMON>";
const HOST: &str = "This is the mail system at host $myhostname.";
const HELP: &str = "For further assistance, please send mail to postmaster.\n\nIf you do so, please include this problem \
report. You can\ndelete your own text from the attached returned message.\n";
const SIGNED: &str = "                   The mail system";

/// Longest template file.
const MAX_FILE: usize = 1 << 20;

impl Templates {
    pub fn built_in() -> Templates {
        let make = |class, subject: &str, postmaster: Option<&str>, body: String| Template {
            class,
            charset: "us-ascii".to_owned(),
            from: FROM.to_owned(),
            subject: subject.to_owned(),
            postmaster_subject: postmaster.map(str::to_owned),
            lines: format!("{HOST}\n\n{body}\n{SIGNED}").lines().map(str::to_owned).collect(),
            origin: String::new(),
        };
        let hashes = "#".repeat(68);
        Templates {
            failure: make(
                "failure",
                "Undelivered Mail Returned to Sender",
                Some("Postmaster Copy: Undelivered Mail"),
                format!(
                    "I'm sorry to have to inform you that your message could not\nbe delivered to one or more \
                     recipients. It's attached below.\n\n{HELP}"
                ),
            ),
            delay: make(
                "delay",
                "Delayed Mail (still being retried)",
                Some("Postmaster Warning: Delayed Mail"),
                format!(
                    "{hashes}\n# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n{hashes}\n\nYour \
                     message could not be delivered for more than $delay_warning_time_hours hour(s).\nIt will be \
                     retried until it is $maximal_queue_lifetime_days day(s) old.\n\n{HELP}"
                ),
            ),
            success: make(
                "success",
                "Successful Mail Delivery Report",
                None,
                "Your message was successfully delivered to the destination(s)\nlisted below. If the message was \
                 delivered to mailbox you will\nreceive no further notifications. Otherwise you may still \
                 receive\nnotifications of mail delivery errors from other systems.\n"
                    .to_owned(),
            ),
            verify: make(
                "verify",
                "Mail Delivery Status Report",
                None,
                "Enclosed is the mail delivery report that you requested.\n".to_owned(),
            ),
        }
    }

    /// The templates of a file over the built-in ones; `warn` hears of those that are left out.
    pub fn read(path: &Path, warn: &mut dyn FnMut(String)) -> Result<Templates, ConfError> {
        let bytes = std::fs::read(path).map_err(|source| ConfError::Open { path: path.to_owned(), source })?;
        if bytes.len() > MAX_FILE {
            return Err(ConfError::Plain(format!("{}: file too large", path.display())));
        }
        let mut templates = Templates::built_in();
        templates.add(&path.display().to_string(), &String::from_utf8_lossy(&bytes), warn)?;
        Ok(templates)
    }

    /// Those of bounce_template_file, or the built-in ones.
    pub fn of(cf: &MainCf, warn: &mut dyn FnMut(String)) -> Result<Templates, ConfError> {
        match cf.bounce_template_file().as_str() {
            "" => Ok(Templates::built_in()),
            path => Templates::read(Path::new(path), warn),
        }
    }

    pub fn all(&self) -> [&Template; 4] {
        [&self.failure, &self.delay, &self.success, &self.verify]
    }

    fn add(&mut self, file: &str, text: &str, warn: &mut dyn FnMut(String)) -> Result<(), ConfError> {
        let mut lines = text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            // The reference counts the line at which it has noticed.
            let (name, value) = split_assignment(line).map_err(|missing| {
                let path = file.into();
                let (line, text) = (number + 1, line.to_owned());
                match missing {
                    Missing::Equals => ConfError::MissingEquals { path, line, text },
                    Missing::Name => ConfError::MissingName { path, line, text },
                }
            })?;
            let Some(word) = value.strip_prefix("<<").map(str::trim) else { continue };
            let mut body = Vec::new();
            let mut last = number;
            let mut ended = false;
            for (line, number) in lines.by_ref() {
                last = number;
                if line.trim_end() == word {
                    ended = true;
                    break;
                }
                body.push(line);
            }
            if !ended {
                warn(format!("{file}, line {}: missing \"{word}\" end marker", last + 1));
            }
            let slot = match name {
                "failure_template" => &mut self.failure,
                "delay_template" => &mut self.delay,
                "success_template" => &mut self.success,
                "verify_template" => &mut self.verify,
                _ => {
                    let here = last + 1;
                    warn(format!("{file}, line {here}: unknown template name: {name} -- ignoring this template"));
                    continue;
                }
            };
            match slot.filled(file, &body) {
                Ok(template) => *slot = template,
                Err(fault) => warn(fault),
            }
        }
        Ok(())
    }
}

impl Template {
    /// This template with the headers and the text of `body`.
    fn filled(&self, file: &str, body: &[&str]) -> Result<Template, String> {
        let class = self.class;
        let mut new = Template { origin: file.to_owned(), ..self.clone() };
        let mut rest = body;
        while let [line, after @ ..] = rest {
            if line.is_empty() {
                rest = after;
                break;
            }
            // A line that is no header is the first line of the text.
            let Some((label, value)) = line.split_once(':').filter(|(label, _)| !label.contains(' ')) else { break };
            let value = value.trim().to_owned();
            match label.to_ascii_lowercase().as_str() {
                "charset" => new.charset = value,
                "from" => new.from = value,
                "subject" => new.subject = value,
                "postmaster-subject" if self.postmaster_subject.is_some() => new.postmaster_subject = Some(value),
                "postmaster-subject" => {
                    return Err(format!(
                        "{file}: inapplicable \"{label}\" header label in {class} template -- ignoring this template"
                    ));
                }
                _ => {
                    return Err(format!(
                        "{file}: unknown \"{label}\" header label in {class} template -- ignoring this template"
                    ));
                }
            }
            rest = after;
        }
        if rest.iter().all(|line| line.is_empty()) {
            return Err(format!("{file}: missing message text in {class} template -- ignoring this template"));
        }
        if new.charset.eq_ignore_ascii_case("us-ascii") && rest.iter().any(|line| !line.is_ascii()) {
            return Err(format!(
                "{file}: 8-bit message text in {class} template\nplease specify a charset value other than \
                 us-ascii\n-- ignoring this template for now"
            ));
        }
        new.lines = rest.iter().map(|line| (*line).to_owned()).collect();
        Ok(new)
    }

    /// The text with its names filled in. The error is a warning, if there is one, and the fatal text.
    pub fn expanded(&self, cf: &MainCf) -> Result<Vec<String>, (Option<String>, String)> {
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let undefined = RefCell::new(false);
            let text = expand(line, &|name| {
                let value = in_units(cf, name).or_else(|| cf.text(name).ok().filter(|_| cf.raw(name).is_some()));
                if value.is_none() {
                    *undefined.borrow_mut() = true;
                }
                // The value is text, not to be expanded once more.
                value.map(|value| value.replace('$', "$$"))
            });
            let of = |what: &str| format!("{}: {what} in {} template: {line}", self.origin, self.class);
            match text {
                Err(fault) => return Err((Some(fault.to_string()), of("bad $name syntax"))),
                Ok(_) if undefined.into_inner() => return Err((None, of("undefined $name"))),
                Ok(text) => lines.push(text),
            }
        }
        Ok(lines)
    }
}

/// "maximal_queue_lifetime_days": a time parameter in a unit.
fn in_units(cf: &MainCf, name: &str) -> Option<String> {
    const UNITS: [(&str, u64); 5] =
        [("_seconds", 1), ("_minutes", 60), ("_hours", 3600), ("_days", 86_400), ("_weeks", 604_800)];
    UNITS.iter().find_map(|(suffix, seconds)| {
        let row = params::find(name.strip_suffix(suffix)?).filter(|row| row.kind == Kind::Time)?;
        let time = typed::Time::parse(&cf.text(row.name).ok()?, row.default)?;
        Some((time.as_secs() / seconds).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_filled_in() {
        let cf = MainCf::parse(Path::new("/x"), "myhostname = h.example.org\nmaximal_queue_lifetime = 3\n").unwrap();
        let delay = Templates::built_in().delay.expanded(&cf).unwrap();
        assert_eq!(delay[0], "This is the mail system at host h.example.org.");
        assert!(delay.contains(&"It will be retried until it is 3 day(s) old.".to_owned()));
    }
}
