//! The texts of notices: as they are written (-t), or with their names filled in (-b). The reference asks its bounce
//! daemon, in whose name the messages are.

use super::options::Options;
use crate::conf::bounce_template::Templates;
use crate::conf::{ConfError, MainCf};
use crate::exit::{Exit, Failure};
use std::io::Write;
use std::path::Path;

pub fn run(options: &Options, directory: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    if !options.overrides.is_empty() {
        let letter = if options.fill_in { 'b' } else { 't' };
        return Err(Failure::fatal(format!("with option -{letter}, do not specify -o")));
    }
    if options.operands.len() > 1 {
        return Err(Failure::fatal("options -b and -t require at most one template file"));
    }
    let cf = MainCf::read(directory).map_err(Failure::fatal)?;
    let mut warn = |text: String| {
        for line in text.lines() {
            let _ = writeln!(std::io::stderr(), "postfix/bounce: warning: {line}");
        }
    };
    let fatal = |text: String| {
        let _ = writeln!(std::io::stderr(), "postfix/bounce: fatal: {text}");
        Failure::silent(Exit::FAIL)
    };
    let templates = match options.operands.first().filter(|path| !path.is_empty()) {
        Some(path) => Templates::read(Path::new(path), &mut warn),
        None => Templates::of(&cf, &mut warn),
    }
    .map_err(|error: ConfError| fatal(error.to_string()))?;
    for (at, template) in templates.all().into_iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        if options.fill_in {
            let lines = template.expanded(&cf).map_err(|(warning, text)| {
                warning.into_iter().for_each(&mut warn);
                fatal(text)
            })?;
            writeln!(out, "expanded_{}_text = <<EOF", template.class)?;
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        } else {
            writeln!(out, "{}_template = <<EOF", template.class)?;
            writeln!(out, "Charset: {}\nFrom: {}\nSubject: {}", template.charset, template.from, template.subject)?;
            if let Some(subject) = &template.postmaster_subject {
                writeln!(out, "Postmaster-Subject: {subject}")?;
            }
            writeln!(out)?;
            template.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        writeln!(out, "EOF")?;
    }
    Ok(out.flush()?)
}
