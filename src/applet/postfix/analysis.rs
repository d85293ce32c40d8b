//! `postfix lint` and `postfix explain`: what is wrong with a configuration, and what it would do. Anyone may ask who may
//! read the files.

use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// `postfix lint [--json] [--explain LINT]`: 0 nothing found, 1 warnings, 2 errors. Findings go to standard output.
pub fn lint(directory: &Path, words: &[String]) -> Result<Exit, Failure> {
    use crate::lint::{LINTS, Level, render};
    let mut out = io::stdout().lock();
    match words.iter().map(|word| word.as_str()).collect::<Vec<_>>()[..] {
        [] => {}
        ["--json"] => {}
        ["--explain", name] => {
            let Some(lint) = LINTS.iter().find(|lint| lint.name == name) else {
                let names: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
                return Err(Failure::fatal(format!("there is no lint {name}; there are: {}", names.join(", "))));
            };
            out.write_all(lint.page.as_bytes())?;
            return Ok(Exit::OK);
        }
        _ => return Err(Failure::fatal("usage: postfix [-c config_dir] lint [--json | --explain LINT]")),
    }
    let (ground, findings) = crate::lint::run(directory).map_err(|text| {
        let _ = writeln!(io::stderr(), "postfix: fatal: {text}");
        Failure::silent(Exit(2))
    })?;
    let colour = out.is_terminal();
    for finding in &findings {
        if words.is_empty() {
            writeln!(out, "{}", render::text(&ground, finding, colour))?;
        } else {
            writeln!(out, "{}", render::json(&ground, finding))?;
        }
    }
    Ok(match findings.iter().map(|finding| finding.level).max() {
        None => Exit::OK,
        Some(Level::Warning) => Exit(1),
        Some(Level::Error) => Exit(2),
    })
}

/// `postfix explain --from S --to R [--client IP [--helo NAME] [--sasl USER]] [--json]`: 0 the mail is taken, 1 it is refused or comes
/// back, 75 it is put off. Without a client it is a user's, by sendmail.
pub fn explain(directory: &Path, words: &[String]) -> Result<Exit, Failure> {
    use crate::explain::{Question, Verdict};
    use crate::message::envelope;
    const USAGE: &str = "postfix [-c config_dir] explain --from SENDER --to RECIPIENT [--client IP [--helo NAME] [--sasl USER]] [--json]";
    let usage = || Failure::fatal(format!("usage: {USAGE}"));
    let (mut question, mut json, mut to) = (Question::default(), false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.as_str() == "--json" {
            json = true;
            continue;
        }
        let value = words.next().ok_or_else(usage)?;
        let address = || envelope::unquote(value.trim_start_matches('<').trim_end_matches('>'));
        match word.as_str() {
            "--from" => question.sender = address(),
            "--to" => (question.recipient, to) = (address(), true),
            "--helo" => question.helo = Some(value.clone()),
            "--sasl" => question.login = Some(value.clone()),
            "--client" => {
                let client = value.parse().map_err(|_| Failure::fatal(format!("{value} is no address")))?;
                question.client = Some(client);
            }
            _ => return Err(usage()),
        }
    }
    if !to {
        return Err(usage());
    }
    let cf = MainCf::read(directory).map_err(Failure::fatal)?;
    let (steps, verdict) = crate::explain::explain(&cf, &question).map_err(Failure::fatal)?;
    let mut out = io::stdout().lock();
    if json {
        let value = serde_json::json!({ "steps": steps, "outcome": verdict });
        writeln!(out, "{value}")?;
    } else {
        out.write_all(crate::explain::text(&steps, &verdict).as_bytes())?;
    }
    Ok(match &verdict {
        Verdict::Delivered => Exit::OK,
        Verdict::Refused { reply } if reply.starts_with('4') => Exit::TEMPFAIL,
        Verdict::Refused { .. } | Verdict::Returned { .. } => Exit::FAIL,
        Verdict::Deferred { .. } => Exit::TEMPFAIL,
    })
}
