//! Changing main.cf (-e, -X, -#) and master.cf (the same with -M, -F, -P).

use super::options::{Editing, Options, Subject, assignment};
use super::services::matches;
use crate::conf::edit::{self, Action, Fate};
use crate::conf::master_text::{Entry, FIELDS};
use crate::exit::Failure;
use std::path::Path;

pub fn run(options: &Options, directory: &Path, warn: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    if options.operands.is_empty() {
        return Err(Failure::fatal(match options.editing {
            Editing::Set => "-e requires name=value argument",
            _ => "missing service argument",
        }));
    }
    if options.operands.iter().any(|word| word.contains('\n')) {
        return Err(Failure::fatal("-e, -X, or -# accepts no multi-line input"));
    }
    if options.operands.iter().any(|word| word.trim_start().starts_with('#')) {
        return Err(Failure::fatal("-e, -X, or -# accepts no comment input"));
    }
    match options.subject {
        Subject::Main => main_cf(options, &directory.join("main.cf"), warn),
        _ => master_cf(options, &directory.join("master.cf"), warn),
    }
}

fn main_cf(options: &Options, path: &Path, warn: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let action = match options.editing {
        Editing::CommentOut => Action::CommentOut,
        Editing::Remove => Action::Remove,
        Editing::Set | Editing::None => Action::Set,
    };
    let mut changes = Vec::new();
    for word in &options.operands {
        if action != Action::Set && word.trim().is_empty() {
            return Err(Failure::fatal("-X or -# requires non-blank parameter names"));
        }
        let change = if action == Action::Set { assignment(word)? } else { (word.trim().to_owned(), String::new()) };
        if let Some((name, value)) = changes.iter().rfind(|(name, _)| action == Action::Set && *name == change.0) {
            warn(&format!("ignoring earlier request: '{name} = {value}'"));
        }
        changes.push(change);
    }
    let shown = path.display().to_string();
    let mut double = |name: &str| warn(&format!("{shown}: multiple entries for \"{name}\""));
    edit::replace(path, |text| Ok(edit::main_cf(text, action, &changes, &mut double))).map_err(Failure::fatal)
}

/// One wish about master.cf.
struct Wish {
    /// As it was typed.
    request: String,
    service: String,
    kind: String,
    what: What,
    matched: bool,
}

enum What {
    Entry(Entry),
    Field(String, String),
    Override(String, String),
    DropOverride(String),
    CommentOut,
    Remove,
}

fn master_cf(options: &Options, path: &Path, warn: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let mut wishes = Vec::new();
    for request in &options.operands {
        wishes.push(wish(options, request, warn)?);
    }
    let file = path.display().to_string();
    let keys: Vec<(String, String)> = wishes.iter().map(|wish| (wish.service.clone(), wish.kind.clone())).collect();
    let fits = |wish: &str, has: &str| wish == "*" || wish == has;
    let wanted = |service: &str, kind: &str| keys.iter().any(|(name, form)| fits(name, service) && fits(form, kind));
    edit::replace(path, |text| {
        let mut fate = |mut entry: Entry| {
            let (mut changed, mut replaced) = (false, false);
            let original = entry.clone();
            for wish in &mut wishes {
                if !matches(&original, &[&wish.service, &wish.kind]) {
                    continue;
                }
                // A new entry stands once, where the first of them stood.
                if wish.matched && matches!(wish.what, What::Entry(_)) {
                    return Ok(Fate::Remove);
                }
                wish.matched = true;
                match &wish.what {
                    What::Entry(new) => {
                        entry = new.clone();
                        replaced = true;
                    }
                    What::Field(name, value) => entry.set_field(name, value, &mut |text| warn(&text))?,
                    What::Override(name, value) => entry.set_override(name, value),
                    What::DropOverride(name) => entry.remove_override(name),
                    What::CommentOut => return Ok(Fate::CommentOut),
                    What::Remove => return Ok(Fate::Remove),
                }
                changed = true;
            }
            Ok(match (changed, replaced) {
                (false, _) => Fate::Keep,
                (true, true) => Fate::Replace(Box::new(entry)),
                (true, false) => Fate::Change(Box::new(entry)),
            })
        };
        let new = edit::master_cf(text, &file, &wanted, &mut fate, &[])?;
        let added: Vec<Entry> = wishes
            .iter()
            .filter(|wish| !wish.matched)
            .filter_map(|wish| if let What::Entry(entry) = &wish.what { Some(entry.clone()) } else { None })
            .collect();
        if added.is_empty() {
            Ok(new)
        } else {
            edit::master_cf(&new, &file, &|_, _| false, &mut |_| Ok(Fate::Keep), &added)
        }
    })
    .map_err(Failure::fatal)?;
    let silent = |what: &What| matches!(what, What::Entry(_) | What::Remove | What::CommentOut);
    for wish in wishes.iter().filter(|wish| !wish.matched && !silent(&wish.what)) {
        warn(&format!("unmatched service_name/type: \"{}\"", wish.request));
    }
    Ok(())
}

fn wish(options: &Options, request: &str, warn: &mut dyn FnMut(&str)) -> Result<Wish, Failure> {
    let needs = || {
        Failure::fatal(match options.subject {
            Subject::Services => "-Me, -MX or -M# requires service_name/type",
            Subject::Fields => "-Fe or -FX requires service_name/type/field_name",
            _ => "-Pe or -PX requires service_name/type/parameter",
        })
    };
    let set = options.editing == Editing::Set;
    let (key, value) = if set { assignment(request)? } else { (request.trim().to_owned(), String::new()) };
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > 3 {
        return Err(needs());
    }
    let (Some(service), Some(kind)) = (parts.first(), parts.get(1)) else { return Err(needs()) };
    let name = parts.get(2).map(|name| (*name).to_owned());
    let what = match (&options.subject, name) {
        (Subject::Services, None) if set => {
            let entry = Entry::parse(&value, &mut |text| warn(&text)).map_err(|error| match error {
                crate::conf::master_text::EntryError::Count => {
                    Failure::fatal(format!("bad field count: \"{request}\""))
                }
                other => Failure::fatal(other),
            })?;
            What::Entry(entry)
        }
        (Subject::Services, None) if options.editing == Editing::CommentOut => What::CommentOut,
        (Subject::Services, None) => What::Remove,
        (Subject::Fields, Some(name)) if set => {
            if !FIELDS.contains(&name.as_str()) {
                return Err(Failure::fatal(format!("invalid service attribute name: \"{name}\"")));
            }
            What::Field(name, value)
        }
        (Subject::Overrides, Some(_)) if set && value.contains(char::is_whitespace) => {
            return Err(Failure::fatal("-Pe does not accept whitespace in parameter value"));
        }
        (Subject::Overrides, Some(name)) if set => What::Override(name, value),
        (Subject::Overrides, Some(name)) if options.editing == Editing::Remove => What::DropOverride(name),
        _ => return Err(needs()),
    };
    Ok(Wish {
        request: request.to_owned(),
        service: (*service).to_owned(),
        kind: (*kind).to_owned(),
        what,
        matched: false,
    })
}
