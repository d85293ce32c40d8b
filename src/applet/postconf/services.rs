//! Showing master.cf: services (-M), fields (-F), overrides (-P), all or those that match "service/type[/name]".

use super::options::{Options, Subject};
use super::{line, macro_failure, object, read_main, show};
use crate::conf::master_text::{Entry, FIELDS, LINE_LIMIT};
use crate::conf::scope::READ_ONLY;
use crate::conf::{ConfError, MainCf, master_text};
use crate::exit::Failure;
use std::io::Write;
use std::path::Path;

pub fn run(
    options: &Options,
    directory: &Path,
    out: &mut dyn Write,
    warn: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let mut cf = read_main(options, directory)?;
    cf.notes().iter().for_each(|note| warn(&note.to_string()));
    let mut services = match master_text::read(directory, &mut |text| warn(&text)) {
        Ok(services) => services,
        Err(ConfError::Master { source: source @ master_text::EntryError::Field { .. }, .. }) => {
            return Err(Failure::fatal(source));
        }
        Err(error) => return Err(Failure::fatal(error)),
    };
    let scope = show::known(options.quiet, &cf, &services, warn)?;
    READ_ONLY.iter().for_each(|name| cf.unset(name));
    let plain = services.clone();
    if options.expand {
        for service in &mut services {
            expand(service, &cf).map_err(|error| macro_failure(&error, warn))?;
        }
    }
    let all = match options.subject {
        Subject::Services => "*/*",
        _ => "*/*/*",
    };
    let requests: Vec<String> =
        if options.operands.is_empty() { vec![all.to_owned()] } else { options.operands.clone() };
    let mut wanted = Vec::new();
    for request in &requests {
        let parts: Vec<&str> = request.split('/').collect();
        let (most, form) = match options.subject {
            Subject::Services => (2, "-M option requires service_name[/type]"),
            Subject::Fields => (3, "-F option requires service_name[/type[/field]]"),
            _ => (3, "-P option requires service_name[/type[/parameter]]"),
        };
        if parts.len() > most || parts.first().is_none_or(|name| name.is_empty()) {
            return Err(Failure::fatal(form));
        }
        if options.subject == Subject::Fields
            && let Some(&field) = parts.get(2)
            && field != "*"
            && !FIELDS.contains(&field)
        {
            return Err(Failure::fatal(format!("invalid service attribute name: \"{field}\"")));
        }
        wanted.push((request, parts, options.operands.is_empty()));
    }
    for service in &services {
        for (_, parts, matched) in wanted.iter_mut().filter(|(_, parts, _)| matches(service, parts)) {
            *matched |= show_one(options, service, parts.get(2).copied().unwrap_or("*"), out)?;
        }
    }
    out.flush()?;
    for (request, ..) in wanted.iter().filter(|(.., matched)| !matched) {
        warn(&format!("unmatched request: \"{request}\""));
    }
    out.flush()?;
    show::unused_services(options.quiet, &cf, &scope, &plain, warn);
    Ok(())
}

/// Whether a service is meant by "service/type"; "*" is any, a missing part too.
pub fn matches(service: &Entry, parts: &[&str]) -> bool {
    let fits = |at: usize, value: &str| {
        parts.get(at).is_none_or(|part| *part == "*" || *part == value || (at == 1 && part.is_empty()))
    };
    fits(0, &service.fields[0]) && fits(1, &service.fields[1])
}

/// False when the service has nothing of this name.
fn show_one(options: &Options, service: &Entry, name: &str, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut shown = false;
    let put = |name: &str, value: &str, out: &mut dyn Write| -> Result<(), Failure> {
        let full = format!("{}/{name}", service.key());
        if options.hide_value {
            return Ok(writeln!(out, "{full}")?);
        }
        if options.json {
            return Ok(writeln!(out, "{}", object(&[(&full, &line(None, value, false))]))?);
        }
        let label = (!options.hide_name).then_some(full.as_str());
        Ok(writeln!(out, "{}", line(label, value, options.fold))?)
    };
    match options.subject {
        Subject::Fields => {
            for field in FIELDS.into_iter().filter(|field| name == "*" || *field == name) {
                shown = true;
                let value = service.field(field).unwrap_or_default();
                if options.hide_value || options.json {
                    put(field, &value, out)?;
                    continue;
                }
                let label = if options.hide_name { String::new() } else { format!("{}/{field} = ", service.key()) };
                if field == "command" {
                    writeln!(out, "{}", service.command_text(&label, options.fold))?;
                } else if !label.is_empty() && label.len() + value.len() > LINE_LIMIT {
                    writeln!(out, "{label}\n    {value}")?;
                } else {
                    writeln!(out, "{label}{value}")?;
                }
            }
        }
        Subject::Overrides => {
            let mut overrides = service.settings();
            overrides.retain(|(parameter, _)| !READ_ONLY.contains(parameter));
            overrides.sort_unstable();
            for (parameter, value) in overrides.into_iter().filter(|(parameter, _)| name == "*" || *parameter == name) {
                shown = true;
                put(parameter, value, out)?;
            }
        }
        _ if options.json => {
            let fields = FIELDS.map(|field| (field, service.field(field).unwrap_or_default()));
            let fields = fields.each_ref().map(|(field, value)| (*field, value.as_str()));
            writeln!(out, "{}", object(&fields))?;
            shown = true;
        }
        _ => {
            writeln!(out, "{}", service.text(options.fold))?;
            shown = true;
        }
    }
    Ok(shown)
}

/// Expands the overrides of a service; its own overrides come before main.cf.
fn expand(service: &mut Entry, cf: &MainCf) -> Result<(), ConfError> {
    let mut own = cf.clone();
    own.set("service_name", &service.fields[0]);
    own.set("process_name", service.process_name());
    let overrides: Vec<(String, String)> =
        service.overrides().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in &overrides {
        own.set(name, value);
    }
    for at in service.override_places() {
        service.arguments[at] = own.expand_text("", &service.arguments[at])?;
    }
    Ok(())
}
