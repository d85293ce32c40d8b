//! THE table of mailutils' configuration: section, keyword, what its value is, and what it does here. A row without an
//! effect has its value checked as mailutils does, and nothing follows.

use crate::mailbox::locking::Locking;
use crate::message::address;
use std::time::Duration;

/// What the configuration says, as far as it means something here.
#[derive(Debug, Default)]
pub struct Site {
    /// Where addresses without a domain are.
    pub host: String,
    /// The user's own address.
    pub email: Option<String>,
    /// Path of incoming mailboxes, with `${user}`.
    pub spool: Option<String>,
    /// Where `+name` is.
    pub folder: Option<String>,
    /// mbox is made as a maildir, and so is the file of `record`.
    pub maildir: bool,
    pub locking: Locking,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Address,
    /// The sentence when it is none.
    Boolean(&'static str),
    Integer,
    Accuracy,
    Interval,
    /// An interval under an old name: the new one.
    OldInterval(&'static str),
    Mailbox,
    Locker,
    LockFlags,
    DebugLevels,
    /// A list of checks of files.
    FileChecks,
}

pub struct Keyword {
    pub section: &'static str,
    pub name: &'static str,
    /// Its value in `--config-help`.
    pub value: &'static str,
    pub kind: Kind,
    /// None: nothing here depends on it.
    pub effect: Option<fn(&mut Site, &str)>,
    pub about: &'static str,
}

const fn row(
    section: &'static str,
    name: &'static str,
    value: &'static str,
    kind: Kind,
    effect: Option<fn(&mut Site, &str)>,
    about: &'static str,
) -> Keyword {
    Keyword { section, name, value, kind, effect, about }
}

const CHECKS: &str = "Files are not checked here: TLS takes the machine's certificate authorities.";
const LOCKERS: [&str; 5] = ["default", "dotlock", "external", "kernel", "null"];

pub const KEYWORDS: &[Keyword] = &[
    row("tls-file-checks", "key-file", "arg: list", Kind::FileChecks, None, CHECKS),
    row("tls-file-checks", "cert-file", "arg: list", Kind::FileChecks, None, CHECKS),
    row("tls-file-checks", "ca-file", "arg: list", Kind::FileChecks, None, CHECKS),
    row(
        "address",
        "email-addr",
        "email: address",
        Kind::Address,
        Some(email),
        "Who sends, where neither -r nor a From line says so. Its domain is also that of names without one.",
    ),
    row(
        "address",
        "email-domain",
        "domain: string",
        Kind::Text,
        Some(|site, value| site.host = value.to_owned()),
        "Domain of names without one, the sender's too; without it, this machine's name.",
    ),
    row("debug", "level", "arg: string", Kind::DebugLevels, None, "Checked, and nothing is traced here."),
    row("debug", "line-info", "arg: boolean", Kind::Boolean("Invalid argument"), None, "Nothing is traced here."),
    row(
        "mailbox",
        "mail-spool",
        "url: string",
        Kind::Text,
        Some(|site, value| site.spool = given(value).map(|path| format!("{path}/${{user}}"))),
        "Directory of incoming mailboxes, a file for each user. It goes before $MAIL.",
    ),
    row(
        "mailbox",
        "mailbox-pattern",
        "pattern: string",
        Kind::Text,
        Some(|site, value| site.spool = given(value)),
        "Path of an incoming mailbox; ${user} in it is the user's name. It goes before $MAIL.",
    ),
    row(
        "mailbox",
        "mailbox-type",
        "protocol: string",
        Kind::Mailbox,
        Some(|site, value| site.maildir = value == "maildir"),
        "What a new mbox and a new file of the variable record are: mbox or maildir.",
    ),
    row(
        "mailbox",
        "folder",
        "dir: string",
        Kind::Text,
        Some(|site, value| site.folder = given(value)),
        "Directory of +name where the variable folder is not set, seen from the home.",
    ),
    row(
        "mailbox",
        "autodetect-accuracy",
        "n: number",
        Kind::Accuracy,
        None,
        "A number, auto, fast or minimal. Checked only: mailboxes are always looked at closely.",
    ),
    row(
        "locking",
        "type",
        "type: default | dotlock | external | kernel | null",
        Kind::Locker,
        Some(locker),
        "How mailboxes are locked: by both a dotlock and the kernel (default, external), by one of them, by none.",
    ),
    row(
        "locking",
        "retry-count",
        "arg: integer",
        Kind::Integer,
        Some(|site, value| site.locking.patience.attempts = value.parse().unwrap_or(0)),
        "How often a lock is tried.",
    ),
    row("locking", "retry-sleep", "arg: interval", Kind::Interval, Some(retry_sleep), "The pause between two tries."),
    row(
        "locking",
        "retry-timeout",
        "arg: interval",
        Kind::OldInterval("retry-sleep"),
        Some(retry_sleep),
        "Another name of retry-sleep, for old files.",
    ),
    row(
        "locking",
        "expire-timeout",
        "arg: interval",
        Kind::Interval,
        Some(|site, value| site.locking.patience.stale_after = duration(value)),
        "A dotlock older than this was left behind, and is taken away.",
    ),
    row("locking", "external-locker", "prog: string", Kind::Text, None, "No program of others locks for this one."),
    row(
        "locking",
        "pid-check",
        "arg: bool",
        Kind::Boolean("not a boolean"),
        None,
        "A dotlock of this program whose holder is gone is always taken away.",
    ),
    row("locking", "flags", "arg: string", Kind::LockFlags, None, "Letters of old files. Checked only."),
];

fn email(site: &mut Site, value: &str) {
    if let Ok([one]) = address::parse(value).as_deref() {
        if let Some((_, domain)) = one.mailbox.rsplit_once('@') {
            site.host = domain.to_owned();
        }
        site.email = Some(one.clone().qualified(&site.host).mailbox);
    }
}

/// What is empty is not given.
fn given(value: &str) -> Option<String> {
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

fn locker(site: &mut Site, value: &str) {
    (site.locking.dotlock, site.locking.kernel) = match value {
        "dotlock" => (true, false),
        "kernel" => (false, true),
        "null" => (false, false),
        _ => (true, true),
    };
}

fn retry_sleep(site: &mut Site, value: &str) {
    site.locking.patience.delay = duration(value);
}

fn duration(value: &str) -> Duration {
    Duration::from_secs(seconds(value).ok().and_then(|seconds| seconds.try_into().ok()).unwrap_or(0))
}

/// What is said about a value: English, the arguments, and whether the program ends with it.
pub struct Verdict {
    pub english: &'static str,
    pub arguments: Vec<String>,
    pub fatal: bool,
}

fn mild(english: &'static str, arguments: &[&str]) -> Verdict {
    Verdict { english, arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(), fatal: false }
}

fn fatal(english: &'static str, argument: &str) -> Verdict {
    Verdict { fatal: true, ..mild(english, &[argument]) }
}

const CONVERSION: &str = "conversion failed: {}";
const INVALID: &str = "Invalid argument";

/// What there is to say about a keyword's value, and whether the value is taken.
pub fn verdicts(kind: Kind, values: &[&str]) -> (Vec<Verdict>, bool) {
    let text = values.first().copied().unwrap_or_default();
    let interval = |text| match seconds(text) {
        Ok(_) => None,
        Err(rest) => Some(mild("conversion failed: invalid time specification near {}", &[rest])),
    };
    let one = |said: Option<Verdict>| (said.is_none(), said.into_iter().collect());
    let (taken, said): (bool, Vec<Verdict>) = match kind {
        Kind::Text => (true, Vec::new()),
        Kind::Address => {
            let wrong = text.is_empty() || !address::parse(text).is_ok_and(|all| !all.is_empty());
            one(wrong.then(|| mild("invalid email address `{}': {}", &[text, "Malformed email address"])))
        }
        Kind::Boolean(sentence) => {
            const WORDS: [&str; 9] = ["yes", "no", "true", "false", "on", "off", "t", "nil", "1"];
            let known = WORDS.contains(&text) || text == "0";
            one((!known).then(|| fatal(sentence, "")))
        }
        Kind::Accuracy if ["auto", "fast", "minimal"].contains(&text) => (true, Vec::new()),
        Kind::Accuracy | Kind::Integer => one(number(text).map(|reason| mild(CONVERSION, &[reason]))),
        Kind::Interval => one(interval(text)),
        Kind::OldInterval(new) => {
            let wrong = interval(text);
            let old = mild("retry-timeout is deprecated, please use {} instead", &[new]);
            (wrong.is_none(), std::iter::once(old).chain(wrong).collect())
        }
        // mh and dotmail are mailboxes of mailutils, and none of ours.
        Kind::Mailbox => one((!["mbox", "maildir"].contains(&text)).then(|| mild("invalid mailbox type: {}", &[text]))),
        Kind::Locker => one((!LOCKERS.contains(&text)).then(|| fatal("unrecognized locker type: {}", text))),
        Kind::LockFlags => (true, text.chars().map(lock_flag).collect()),
        Kind::DebugLevels => (true, debug_levels(text)),
        Kind::FileChecks => {
            const NAMES: [&str; 9] =
                ["none", "all", "gwrfil", "awrfil", "grdfil", "ardfil", "linkwrdir", "gwrdir", "awrdir"];
            let known = |value: &str| NAMES.contains(&value.strip_prefix(['+', '-']).unwrap_or(value));
            let strange = values.iter().filter(|value| !known(value));
            (true, strange.map(|value| mild("unknown keyword: {}", &[value])).collect())
        }
    };
    (said, taken)
}

fn lock_flag(letter: char) -> Verdict {
    let legacy = |new| mild("ignoring legacy flag {}, use {} instead", &[&letter.to_string(), new]);
    match letter {
        'E' => legacy("type external"),
        'R' => legacy("retry-count"),
        'T' => legacy("expire-timeout"),
        'P' => mild("applying legacy flag {}, use {} instead", &["P", "pid-check"]),
        _ => mild("invalid lock flag `{}'", &[&letter.to_string()]),
    }
}

/// Why a text is no number; an empty one is 0.
fn number(text: &str) -> Option<&'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.is_empty() || text.parse::<i32>().is_ok() {
        None
    } else if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Some("Numerical result out of range")
    } else {
        Some(INVALID)
    }
}

/// "2 hours 3 min 4" in seconds; the error is the rest from what is not understood on.
fn seconds(text: &str) -> Result<i64, &str> {
    const UNITS: [(&str, i64); 6] = [
        ("seconds", 1),
        ("minutes", 60),
        ("hours", 3600),
        ("days", 86400),
        ("weeks", 7 * 86400),
        ("months", 31 * 86400),
    ];
    let mut total: i64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.bytes().skip(1).position(|byte| !byte.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
        let number: Option<i64> = rest.get(..end).and_then(|digits| digits.parse().ok());
        let mut unit = match number {
            Some(_) => rest[end..].trim_start(),
            None => rest,
        };
        if unit.is_empty() {
            return Ok(total.saturating_add(number.unwrap_or(0)));
        }
        // "3s" is none: a blank stands between.
        if number.is_some() && unit.len() == rest.len() - end {
            return Err(unit);
        }
        let word = unit.split_whitespace().next().unwrap_or_default();
        let known = |name: &str| {
            word.len() <= name.len() && name.as_bytes()[..word.len()].eq_ignore_ascii_case(word.as_bytes())
        };
        let &(_, length) = UNITS.iter().find(|(name, _)| known(name)).ok_or(unit)?;
        total = total.saturating_add(number.unwrap_or(1).saturating_mul(length));
        unit = &unit[word.len()..];
        rest = unit.trim_start();
    }
    Ok(total)
}

/// What is wrong with `[!]CATEGORY[.[!=]LEVEL,…];…`.
pub fn debug_levels(text: &str) -> Vec<Verdict> {
    const CATEGORIES: [&str; 25] = [
        "all",
        "address",
        "auth",
        "config",
        "app",
        "mailer",
        "locker",
        "mailbox",
        "folder",
        "message",
        "envelope",
        "header",
        "body",
        "filter",
        "remote",
        "tls",
        "mime",
        "list",
        "mailcap",
        "acl",
        "server",
        "property",
        "assoc",
        "attribute",
        "stream",
    ];
    let mut said = Vec::new();
    for one in text.split(';').filter(|one| !one.is_empty()) {
        let one = one.strip_prefix('!').unwrap_or(one);
        let (category, levels) = one.split_once('.').unwrap_or((one, ""));
        let numbered = !category.is_empty() && category.bytes().all(|byte| byte.is_ascii_digit());
        if !CATEGORIES.contains(&category) && category != "url" && !numbered {
            said.push(mild("unknown category: {}", &[category]));
            continue;
        }
        for level in levels.split([',', '-']).filter(|level| !level.is_empty()) {
            let level = level.trim_start_matches(['!', '=']);
            let traced = level.strip_prefix("trace").filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
            match traced {
                Some(number) if number.len() > 1 => said.push(mild("invalid level: {}", &[level])),
                Some(_) => {}
                None if ["error", "prot", ""].contains(&level) => {}
                None => said.push(mild("unknown level `{}'", &[level])),
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        assert_eq!(seconds("2 hours 3 min 4"), Ok(7384));
        assert_eq!(seconds("minute"), Ok(60));
        assert_eq!((seconds("-1"), seconds("")), (Ok(-1), Ok(0)));
        for (text, rest) in [
            ("3s", "s"),
            ("1 fortnight", "fortnight"),
            ("1 hour, 2", "hour, 2"),
            ("1 hour and 2", "and 2"),
            ("1 2", "2"),
            ("é", "é"),
            ("1é", "é"),
        ] {
            assert_eq!(seconds(text), Err(rest), "{text}");
        }
    }

    #[test]
    fn every_section_stands_together() {
        let mut sections: Vec<&str> = KEYWORDS.iter().map(|keyword| keyword.section).collect();
        sections.dedup();
        let mut once = sections.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), sections.len());
    }
}
