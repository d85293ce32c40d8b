//! Recipients as people name them: lists of addresses and aliases, as mailutils understands them. What cannot be an
//! address is an error, never a guess: a mail to the wrong person is worse than none.

use super::letter::Letter;
use super::session::{Session, Trouble};
use crate::message::address::{self, Address};

/// An address that is none.
pub fn malformed(session: &Session, text: &str) -> Trouble {
    let reason = session.texts.say("Malformed email address", &[]);
    Trouble::Address(session.texts.say("Cannot parse address `{}': {}", &[text, &reason]))
}

/// A recipient line with its aliases followed: local names stay as they are, all else becomes `<a@b>,<c@d>`.
pub fn written(session: &Session, value: &str) -> Result<String, Trouble> {
    let because = |text: &str, reason: &str| {
        let reason = session.texts.say(reason, &[]);
        Trouble::Address(session.texts.say("Cannot parse address `{}': {}", &[text, &reason]))
    };
    let malformed = |text: &str| malformed(session, text);
    let mut all: Vec<Address> = Vec::new();
    // What a shell or a file name would be is no mailbox (CVE-2004-2771); refused, and that is a failure.
    let bare = |one: &str| one.trim_start_matches(['"', '<', ' ']).starts_with(['|', '/']);
    if let Some(bad) = value.split(',').map(str::trim).find(|one| bare(one)) {
        let reason = session.texts.say("Malformed email address", &[]);
        return Err(session.trouble("Cannot parse address `{}': {}", &[bad, &reason]));
    }
    let parsed = address::parse(value).ok().filter(|parsed| is_plain(value, parsed)).ok_or_else(|| malformed(value))?;
    if parsed.is_empty() && !value.trim().is_empty() {
        let reason = if value.contains('(') { "Malformed email address" } else { "Empty address list" };
        return Err(because(value, reason));
    }
    for one in parsed {
        expand_alias(session, one, 0, &mut all).map_err(|text| malformed(&text))?;
    }
    // An alias may hold one too.
    if let Some(bad) = all.iter().find(|one| one.mailbox.starts_with(['|', '/'])) {
        let reason = session.texts.say("Malformed email address", &[]);
        return Err(session.trouble("Cannot parse address `{}': {}", &[&bad.mailbox, &reason]));
    }
    let shown = |one: Address| {
        let local = one.name.is_none() && !one.mailbox.contains('@') && !one.mailbox.contains(' ');
        if local { one.mailbox } else { one.qualified(&session.host).to_string() }
    };
    Ok(all.into_iter().map(shown).collect::<Vec<_>>().join(","))
}

/// Checks a letter's recipients. A field with a mistake is left out, for the others have done nothing wrong; the last mistake
/// is given back, and those before it are told. `write`: the fields become what [`written`] makes of them.
pub fn check(session: &mut Session, letter: &mut Letter, write: bool) -> Result<Option<Trouble>, Trouble> {
    let mut mistake = None;
    for name in FIELDS {
        let Some(value) = letter.header(name).map(str::to_owned) else { continue };
        match written(session, &value) {
            Ok(written) if write => letter.put(name, &written),
            Ok(_) => {}
            Err(trouble @ Trouble::Address(_)) => {
                letter.put(name, "");
                if let Some(earlier) = mistake.replace(trouble) {
                    session.tell(earlier)?;
                }
            }
            Err(other) => return Err(other),
        }
    }
    Ok(mistake)
}

/// Whether a letter has any.
pub fn any(letter: &Letter) -> bool {
    FIELDS.iter().any(|name| letter.header(name).is_some())
}

/// The fields that name them.
pub const FIELDS: [&str; 3] = ["To", "Cc", "Bcc"];

/// What could be understood, and still is none of the forms that mailutils takes: local names with more than their
/// letters, two domains, empty atoms, stray separators.
fn is_plain(value: &str, parsed: &[Address]) -> bool {
    let inside = |c: char| value.contains(c);
    let group = inside(':') && inside(';');
    let local = |one: &Address| !one.mailbox.contains('@');
    (group || !(inside(':') || inside(';')) || inside('"'))
        // In a list the marks may belong to another of its members: there a name tells.
        && !(parsed.iter().any(|one| local(one) && (one.name.is_some() || parsed.len() == 1))
            && value.contains(['<', '(', '"']))
        && !parsed.iter().any(|one| {
            let unquoted = !one.mailbox.contains('"');
            unquoted
                && (one.mailbox.matches('@').count() > 1
                    || one.mailbox.contains("..")
                    || one.mailbox.contains(['\\', '(', ')'])
                    || one.local().starts_with('.')
                    || one.mailbox.contains(".@"))
        })
}

/// Several lists as one: its local names get their domain, as mailutils gives it to them. The others get their letter
/// when one of them is no address; mailutils does not even say so.
pub fn joined(session: &mut Session, lists: &[String]) -> Result<String, Trouble> {
    let lists: Vec<&String> = lists.iter().filter(|list| !list.trim().is_empty()).collect();
    if let [one] = lists.as_slice() {
        return Ok((*one).clone());
    }
    let mut good = Vec::new();
    for (place, &list) in lists.iter().enumerate() {
        match written(session, list) {
            Ok(written) => good.push((list, written)),
            // Whoever the letter is for is told about when it is written.
            Err(Trouble::Address(_)) if place == 0 => return Ok(list.clone()),
            Err(trouble @ Trouble::Address(_)) => session.tell(trouble)?,
            Err(other) => return Err(other),
        }
    }
    if let [(one, _)] = good.as_slice() {
        return Ok((*one).clone());
    }
    let mut all = Vec::new();
    for (_, written) in good {
        all.extend(address::parse(&written).unwrap_or_default());
    }
    let mut seen = std::collections::HashSet::new();
    let all: Vec<Address> = all.into_iter().map(|one| one.qualified(&session.host)).collect();
    let all: Vec<Address> = all.into_iter().filter(|one| seen.insert(one.mailbox.to_ascii_lowercase())).collect();
    Ok(address::join(&all))
}

fn expand_alias(session: &Session, one: Address, depth: usize, all: &mut Vec<Address>) -> Result<(), String> {
    let expansion = session.aliases.get(&one.mailbox).filter(|_| one.name.is_none() && depth < 20);
    let Some(expansion) = expansion else {
        all.push(one);
        return Ok(());
    };
    let follow = session.variables.is_set("recursivealiases");
    let members: Vec<&str> =
        expansion.iter().map(|member| member.trim_matches([',', ' '])).filter(|member| !member.is_empty()).collect();
    for member in address::parse(&members.join(",")).map_err(|_| members.join(","))? {
        if follow && member.mailbox != one.mailbox {
            expand_alias(session, member, depth + 1, all)?
        } else {
            all.push(member)
        }
    }
    Ok(())
}
