//! postconf(1): shows and changes main.cf and master.cf.

/// Changing main.cf and master.cf.
mod change;
/// The command line.
mod options;
/// Services, fields and overrides of master.cf.
mod services;
/// Parameters of main.cf.
mod show;
/// The texts of notices.
mod templates;

use super::{Applet, Invocation, Purpose};
use crate::conf::{ConfError, MainCf, main_cf};
use crate::exit::{Exit, Failure};
use options::{Editing, Options, Subject};
use std::io::Write;

pub const APPLET: Applet = Applet {
    name: "postconf",
    aliases: &[],
    links: &["sbin/postconf"],
    section: 1,
    purpose: Purpose::Configure,
    about: "show and change the configuration",
    cli: options::cli,
    run,
};

/// Lock methods that mailbox_delivery_lock may name.
const LOCKS: &[&str] = &["flock", "fcntl", "dotlock"];
/// What smtpd_sasl_type may name.
const SASL_SERVER_TYPES: &[&str] = &["cyrus", "dovecot"];
/// What smtp_sasl_type may name.
const SASL_CLIENT_TYPES: &[&str] = &["cyrus"];
/// Public key algorithms of TLS certificates.
const KEY_ALGORITHMS: &[&str] = &["dsa", "ecdsa", "rsa"];

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let options = options::parse(call)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut list = |names: &mut dyn Iterator<Item = &str>| -> Result<Exit, Failure> {
        for name in names {
            writeln!(out, "{name}")?;
        }
        out.flush()?;
        Ok(Exit::OK)
    };
    match &options.subject {
        Subject::Locks => return list(&mut LOCKS.iter().copied()),
        Subject::Maps => {
            let mut names: Vec<&str> =
                crate::table::open::LISTED.iter().copied().flatten().map(|row| row.name).collect();
            names.sort_unstable();
            return list(&mut names.into_iter());
        }
        Subject::SaslServer => return list(&mut SASL_SERVER_TYPES.iter().copied()),
        Subject::SaslClient => return list(&mut SASL_CLIENT_TYPES.iter().copied()),
        Subject::Tls(mode) => {
            return match mode.as_str() {
                "public-key-algorithms" => list(&mut KEY_ALGORITHMS.iter().copied()),
                "compile-version" | "run-version" => {
                    Err(Failure::fatal(format!("-T {mode}: this program has no OpenSSL in it")))
                }
                _ => {
                    warn(&call.program, &format!("unknown 'postconf -T' mode: {mode}"));
                    Ok(Exit::FAIL)
                }
            };
        }
        Subject::Templates | Subject::Main | Subject::Services | Subject::Fields | Subject::Overrides => {}
    }
    let mut said = |text: &str| warn(&call.program, text);
    let directory = main_cf::directory(options.config.as_deref());
    if options.editing != Editing::None {
        change::run(&options, &directory, &mut said)?;
        return Ok(Exit::OK);
    }
    match options.subject {
        Subject::Templates => templates::run(&options, &directory, &mut out)?,
        Subject::Main => show::run(&options, &directory, &mut out, &mut said)?,
        _ => services::run(&options, &directory, &mut out, &mut said)?,
    }
    out.flush()?;
    Ok(Exit::OK)
}

/// Each byte that is not ASCII text is a question mark, as in all that the reference's programs say.
fn warn(program: &str, text: &str) {
    for line in text.lines() {
        let shown = |byte| if (b' '..0x7f).contains(&byte) { char::from(byte) } else { '?' };
        let line: String = line.bytes().map(shown).collect();
        let _ = writeln!(std::io::stderr(), "{program}: warning: {line}");
    }
}

/// Tells what is wrong with a configuration, as `program`; what would end it ends this in silence, for others tell.
pub fn tell_faults(cf: &MainCf, program: &str) {
    let mut said = |text: &str| warn(program, text);
    cf.notes().iter().for_each(|note| said(&note.to_string()));
    let Ok(services) = read_services(cf.directory(), &mut said) else { return };
    let Ok(scope) = show::known(false, cf, &services, &mut said) else { return };
    show::unused(false, cf, &scope, &services, &mut said);
}

/// main.cf with the overrides of -o.
fn read_main(options: &Options, directory: &std::path::Path) -> Result<MainCf, Failure> {
    let mut cf = MainCf::read(directory).map_err(Failure::fatal)?;
    if directory != std::path::Path::new(main_cf::DEFAULT_DIRECTORY) && !cf.settings().contains_key("config_directory")
    {
        cf.set("config_directory", &directory.display().to_string());
    }
    for (name, value) in &options.overrides {
        cf.set(name, value);
    }
    Ok(cf)
}

/// The services of master.cf; a missing file is told and taken for empty.
fn read_services(
    directory: &std::path::Path,
    warn: &mut dyn FnMut(&str),
) -> Result<Vec<crate::conf::master_text::Entry>, Failure> {
    match crate::conf::master_text::read(directory, &mut |text| warn(&text)) {
        Ok(entries) => Ok(entries),
        Err(error @ ConfError::Open { .. }) => {
            warn(&error.to_string());
            Ok(Vec::new())
        }
        Err(ConfError::Master { source: source @ crate::conf::master_text::EntryError::Field { .. }, .. }) => {
            Err(Failure::fatal(source))
        }
        Err(error) => Err(Failure::fatal(error)),
    }
}

/// A macro error as postconf tells it.
fn macro_failure(error: &ConfError, warn: &mut dyn FnMut(&str)) -> Failure {
    match error {
        ConfError::Expand { source, .. } => warn(&source.to_string()),
        other => warn(&other.to_string()),
    }
    Failure::fatal("macro processing error")
}

/// An object of JSON on a line (-j), spaced as postqueue -j spaces its.
fn object(members: &[(&str, &str)]) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect();
    format!("{{{}}}", members.join(", "))
}

/// "name = value" with single blanks, folded at the line limit when asked.
fn line(name: Option<&str>, value: &str, fold: bool) -> String {
    let mut text = name.map(|name| format!("{name} =")).unwrap_or_default();
    let mut length = text.len();
    for word in value.split_ascii_whitespace() {
        if text.is_empty() {
            text.push_str(word);
            length = word.len();
            continue;
        }
        if fold && length + 1 + word.len() > crate::conf::master_text::LINE_LIMIT {
            text.push_str("\n    ");
            length = 4 + word.len();
        } else {
            text.push(' ');
            length += 1 + word.len();
        }
        text.push_str(word);
    }
    text
}
