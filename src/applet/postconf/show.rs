//! Showing main.cf: all parameters, those that are set, or those that are named.

use super::options::Options;
use super::{line, macro_failure, object, read_main, read_services};
use crate::conf::MainCf;
use crate::conf::main_cf::DEFAULT_DIRECTORY;
use crate::conf::master_text::Entry;
use crate::conf::scope::{Class, READ_ONLY, Scope, in_order, is_client_parameter};
use crate::exit::Failure;
use std::io::Write;
use std::path::Path;

pub fn run(
    options: &Options,
    directory: &Path,
    out: &mut dyn Write,
    warn: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    if options.defaults {
        let services = read_services(directory, warn)?;
        let cf = MainCf::parse(Path::new(DEFAULT_DIRECTORY), "").map_err(Failure::fatal)?;
        return parameters(options, &cf, &Scope::defaults(&services), out, warn);
    }
    let mut cf = read_main(options, directory)?;
    cf.notes().iter().for_each(|note| warn(&note.to_string()));
    let services = read_services(directory, warn)?;
    let scope = known(options.quiet, &cf, &services, warn)?;
    READ_ONLY.iter().for_each(|name| cf.unset(name));
    parameters(options, &cf, &scope, out, warn)?;
    out.flush()?;
    unused(options.quiet, &cf, &scope, &services, warn);
    Ok(())
}

/// The known names, with warnings about undefined ones and about macros that cannot be read.
pub fn known(quiet: bool, cf: &MainCf, services: &[Entry], warn: &mut dyn FnMut(&str)) -> Result<Scope, Failure> {
    let scope = Scope::new(cf, services);
    if let Some(error) = &scope.unreadable {
        warn(&error.to_string());
        return Err(Failure::fatal("dictionary mail_dict: macro processing error"));
    }
    if !quiet {
        let directory = cf.directory().display().to_string();
        for (names, file) in [(&scope.undefined_master, "master.cf"), (&scope.undefined_main, "main.cf")] {
            for name in names {
                warn(&format!("{directory}/{file}: undefined parameter: {name}"));
            }
        }
    }
    for (name, setting) in
        in_order(cf, Some("config_directory")).into_iter().filter(|(name, _)| READ_ONLY.contains(name))
    {
        let directory = cf.directory().display();
        warn(&format!("{directory}/main.cf: read-only parameter assignment: {name}={}", setting.raw));
    }
    for service in services {
        for (name, value) in service.settings().into_iter().filter(|(name, _)| READ_ONLY.contains(name)) {
            let directory = cf.directory().display();
            warn(&format!("{directory}/master.cf: read-only parameter assignment: {name}={value}"));
        }
    }
    scope.misshapen.iter().for_each(|text| warn(text));
    for (kind, file) in &scope.clients {
        client(kind, file, warn)?;
    }
    for fault in &scope.faults {
        warn(&fault.error.to_string());
        if fault.fatal {
            return Err(Failure::fatal("macro processing error"));
        }
    }
    Ok(scope)
}

/// Warnings about what a table's client configuration file sets and means nothing. A file that others must not read
/// (it may hold a password) is passed over.
fn client(kind: &str, file: &str, warn: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let path = Path::new(file);
    let cannot = |why: &str| format!("open \"{kind}\" configuration \"{file}\": {why}");
    let text = match std::fs::metadata(path) {
        Ok(about) if !about.is_file() => {
            warn(&cannot("not a regular file"));
            return Ok(());
        }
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => {
            warn(&cannot(&crate::sys::files::reason(&error).to_string()));
            return Ok(());
        }
    };
    let cf = MainCf::parse_file(path, &String::from_utf8_lossy(&text)).map_err(Failure::fatal)?;
    cf.notes().iter().for_each(|note| warn(&note.to_string()));
    for (name, setting) in in_order(&cf, None).into_iter().filter(|(name, _)| !is_client_parameter(kind, name)) {
        warn(&format!("{kind}:{file}: unused parameter: {name}={}", setting.raw));
    }
    Ok(())
}

/// Warnings about what is set and means nothing.
pub fn unused(quiet: bool, cf: &MainCf, scope: &Scope, services: &[Entry], warn: &mut dyn FnMut(&str)) {
    if quiet {
        return;
    }
    let directory = cf.directory().display().to_string();
    for (name, value) in scope.unused_main(cf) {
        warn(&format!("{directory}/main.cf: unused parameter: {name}={value}"));
    }
    unused_services(quiet, cf, scope, services, warn);
}

/// The same for master.cf alone.
pub fn unused_services(quiet: bool, cf: &MainCf, scope: &Scope, services: &[Entry], warn: &mut dyn FnMut(&str)) {
    if quiet {
        return;
    }
    let directory = cf.directory().display().to_string();
    for (name, value) in scope.unused_master(services) {
        warn(&format!("{directory}/master.cf: unused parameter: {name}={value}"));
    }
}

fn parameters(
    options: &Options,
    cf: &MainCf,
    scope: &Scope,
    out: &mut dyn Write,
    warn: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let wanted = |class: Class| match class {
        Class::Builtin => options.classes.builtin,
        Class::Service => options.classes.service,
        Class::User => options.classes.user,
        Class::Legacy => false,
    };
    let mut show = |name: &str, warn: &mut dyn FnMut(&str)| -> Result<(), Failure> {
        let read_only = READ_ONLY.contains(&name);
        if options.only_set && (read_only || !cf.settings().contains_key(name)) {
            return Ok(());
        }
        if options.hide_value {
            return Ok(writeln!(out, "{name}")?);
        }
        let raw = cf.raw(name).unwrap_or_default();
        let raw_kind = crate::conf::params::find(name).is_some_and(|row| row.kind == crate::conf::typed::Kind::Raw);
        let value = if options.expand && !raw_kind {
            match cf.expand_text(name, &raw) {
                Ok(value) => value,
                Err(error) => {
                    out.flush()?;
                    return Err(macro_failure(&error, warn));
                }
            }
        } else {
            raw
        };
        if options.json {
            return Ok(writeln!(out, "{}", object(&[(name, &line(None, &value, false))]))?);
        }
        let name = (!options.hide_name).then_some(name);
        Ok(writeln!(out, "{}", line(name, &value, options.fold))?)
    };
    if options.operands.is_empty() {
        for (name, (class, _)) in &scope.names {
            if wanted(*class) {
                show(name, warn)?;
            }
        }
    } else {
        for name in &options.operands {
            match scope.names.get(name) {
                Some((class, _)) if wanted(*class) || *class == Class::Legacy => show(name, warn)?,
                _ => warn(&format!("{name}: unknown parameter")),
            }
        }
    }
    Ok(())
}
