//! The aliases file: loops, a missing postmaster, commands that cannot run, members that are nobody.

use super::finding::{Findings, Span};
use super::ground::{Ground, Source};
use crate::message::envelope;
use crate::message::tokens;
use crate::sys::accounts;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

struct Alias {
    name: String,
    members: Vec<String>,
    span: Span,
}

/// The entries of a source; lines that are none are postalias's to complain of.
fn read(source: &Source) -> Vec<Alias> {
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    for (line, start, text) in source.lines() {
        let content = text.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match found.last_mut() {
            Some((_, _, entry)) if text.starts_with([' ', '\t']) => entry.push_str(text),
            _ => found.push((line, start, text.to_owned())),
        }
    }
    let alias = |(line, start, text): (usize, usize, String)| {
        let (name, value) = crate::table::alias_source::pair(text.as_bytes(), true).ok()?;
        let name = String::from_utf8_lossy(&name).to_lowercase();
        let length = text.find(':').unwrap_or(name.len());
        let members = tokens::addresses(&String::from_utf8_lossy(&value));
        Some(Alias { name, members, span: source.span(line, start..start + length) })
    };
    found.into_iter().filter_map(alias).collect()
}

fn all(ground: &Ground) -> Vec<Alias> {
    ground.aliases.iter().flat_map(read).collect()
}

/// The name of a member that is of this machine.
fn local(ground: &Ground, member: &str) -> Option<String> {
    if member.starts_with(['|', '/']) || member.to_lowercase().starts_with(":include:") {
        return None;
    }
    let (user, domain) = envelope::split(member);
    let here = match domain {
        None => true,
        Some(domain) => {
            domain.eq_ignore_ascii_case(&ground.value("myhostname")) || domain.eq_ignore_ascii_case("localhost")
        }
    };
    here.then(|| user.to_lowercase())
}

pub fn loops(ground: &Ground, found: &mut Findings) {
    let aliases = all(ground);
    let index: HashMap<&str, &Alias> = aliases.iter().map(|alias| (alias.name.as_str(), alias)).collect();
    for alias in &aliases {
        // "toto: toto, archive" is the user himself, and no loop.
        let mut path = vec![alias.name.clone()];
        let mut waiting: Vec<(String, usize)> =
            alias.members.iter().filter_map(|member| local(ground, member)).map(|name| (name, 1)).collect();
        let mut seen = Vec::new();
        while let Some((name, depth)) = waiting.pop() {
            path.truncate(depth);
            if name == alias.name && depth > 1 {
                path.push(name);
                found.error(
                    Some(alias.span.clone()),
                    format!("alias loop: {}", path.join(" -> ")),
                    "Mail to any of them is returned: \"alias database loop\".",
                    "let one of them name a user, or an address elsewhere",
                );
                break;
            }
            if depth > 50 || seen.contains(&name) {
                continue;
            }
            seen.push(name.clone());
            path.push(name.clone());
            if let Some(next) = index.get(name.as_str()) {
                let members = next.members.iter().filter_map(|member| local(ground, member));
                waiting.extend(members.filter(|member| *member != name).map(|member| (member, depth + 1)));
            }
        }
    }
}

pub fn postmaster(ground: &Ground, found: &mut Findings) {
    let Some(source) = ground.aliases.first() else { return };
    if !all(ground).iter().any(|alias| alias.name == "postmaster") && accounts::by_name("postmaster").is_none() {
        found.warning(
            Some(source.span(1, 0..source.text.lines().next().map_or(0, str::len))),
            "there is no alias postmaster",
            "Every domain that takes mail has a postmaster (RFC 5321 section 4.5.1); bounces of bounces go there.",
            "add: postmaster: root",
        );
    }
}

pub fn commands(ground: &Ground, found: &mut Findings) {
    for alias in all(ground) {
        for member in &alias.members {
            let Some(program) = member.strip_prefix('|').and_then(|command| command.split_whitespace().next()) else {
                continue;
            };
            let executable =
                std::fs::metadata(program).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
            if program.starts_with('/') && !executable {
                found.error(
                    Some(alias.span.clone()),
                    format!("{program} cannot be run"),
                    "Mail to this alias is returned: the command dies with status 126 or 127.",
                    format!("chmod +x {program}, or mend its name"),
                );
            }
        }
    }
}

pub fn targets(ground: &Ground, found: &mut Findings) {
    if !ground.value("luser_relay").is_empty() || !ground.value("fallback_transport").is_empty() {
        return;
    }
    let aliases = all(ground);
    let delimiters = ground.value("recipient_delimiter");
    for alias in &aliases {
        for member in &alias.members {
            let Some(name) = local(ground, member) else { continue };
            let (bare, _) = envelope::split_extension(&name, &delimiters);
            let known = aliases.iter().any(|alias| alias.name == name || alias.name == bare);
            // A name service that does not answer is no proof.
            if !known && matches!(accounts::lookup(bare), Ok(None)) {
                found.error(
                    Some(alias.span.clone()),
                    format!("{} leads to {name}, which is neither a user nor an alias", alias.name),
                    "Mail to this alias is returned: \"unknown user\".",
                    format!("make the user {bare}, or mend the name"),
                );
            }
        }
    }
}
