//! Commands about the program itself: variables, aliases, header fields, conditions, other files, help.

use super::command::{self, COMMANDS, Line};
use super::places;
use super::session::{Done, Next, Session, Trouble};
use super::variables::{KNOWN, Value};
use super::words;

/// A start-up file may be this large.
const FILE_LIMIT: u64 = 4 << 20;

pub fn set(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        let text: String = session.variables.listing().iter().map(|line| format!("{line}\n")).collect();
        session.show(text.as_bytes())?;
    }
    for word in &line.words {
        if session.variables.is_strange(word) {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            let say = session.texts.say("setting unknown variable {}", &[name.strip_prefix("no").unwrap_or(name)]);
            session.complain(&say);
        }
        if let Err((english, name)) = session.variables.assign(word) {
            let say = session.texts.say(english, &[&name]);
            session.complain(&say);
        }
    }
    // `set screen` makes the screenful another one at once.
    let height = super::summary::height(session);
    session.open.iter_mut().for_each(|open| open.page.resize(height, &open.states));
    Ok(Next::Go)
}

pub fn unset(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        return set(session, line);
    }
    for word in &line.words {
        session.variables.unset(word);
    }
    Ok(Next::Go)
}

/// What is known about variables.
pub fn variable(session: &mut Session, line: &Line) -> Done {
    let mut text = String::new();
    let known = |word: &str| KNOWN.iter().find(|known| known.names.contains(&word));
    let asked = line.words.iter().map(|word| known(word).ok_or(word));
    let all: Vec<_> = if line.words.is_empty() { KNOWN.iter().map(Ok).collect() } else { asked.collect() };
    for known in all {
        let known = match known {
            Ok(known) => known,
            Err(word) => {
                text.push_str(&format!("{word}: unknown\n"));
                continue;
            }
        };
        let value = match session.variables.value(known.names[0]) {
            Some(Value::Yes) => "yes".to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Text(text)) => text.clone(),
            None if session.variables.was_taken_back(known.names[0]) => "no".to_owned(),
            None => session.texts.say("[not set]", &[]),
        };
        let kinds: Vec<String> = known.kind.split(" or ").map(|kind| session.texts.say(kind, &[])).collect();
        let kind = session.texts.say("Type: {}", &[&kinds.join(&session.texts.say(" or ", &[]))]);
        let value = session.texts.say("Current value: {}", &[&value]);
        let fixed = if known.read_only { session.texts.say(" [read-only]", &[]) } else { String::new() };
        text.push_str(&format!("{}\n{kind}\n{value}{fixed}\n{}\n\n", known.names.join(", "), known.about));
    }
    session.show(text.as_bytes())?;
    Ok(Next::Go)
}

pub fn alias(session: &mut Session, line: &Line) -> Done {
    match line.words.split_first() {
        None => {
            for (name, members) in session.aliases.clone() {
                session.screen.message(format!("{name}    {} \n", members.join(" ")).as_bytes())?;
            }
        }
        Some((name, [])) => match session.aliases.get(name).cloned() {
            Some(members) => session.screen.message(format!("{name}    {} \n", members.join(" ")).as_bytes())?,
            None => return Err(session.trouble("\"{}\": not a group", &[name])),
        },
        Some((name, members)) => {
            session.aliases.entry(name.clone()).or_default().extend(members.iter().cloned());
        }
    }
    Ok(Next::Go)
}

pub fn unalias(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        return Err(session.trouble("unalias requires at least one argument", &[]));
    }
    for word in &line.words {
        session.aliases.remove(word);
    }
    Ok(Next::Go)
}

pub fn alternates(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        if !session.alternates.is_empty() {
            let text = format!("{} \n", session.alternates.join(" "));
            session.screen.message(text.as_bytes())?;
        }
    } else {
        session.alternates.clone_from(&line.words);
    }
    Ok(Next::Go)
}

/// Adds field names to a list, or shows it.
fn names(session: &mut Session, line: &Line, list: fn(&mut Session) -> &mut Vec<String>) -> Done {
    if line.words.is_empty() {
        for name in list(session).clone() {
            session.screen.message(format!("{name}\n").as_bytes())?;
        }
        return Ok(Next::Go);
    }
    list(session).extend(line.words.iter().cloned());
    Ok(Next::Go)
}

pub fn ignore(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() && session.ignored.is_empty() {
        let say = session.texts.say("No fields are currently being ignored", &[]);
        session.screen.line(&say)?;
        return Ok(Next::Go);
    }
    names(session, line, |session| &mut session.ignored)
}

pub fn retain(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() && session.retained.is_empty() {
        let say = session.texts.say("No fields are currently being retained", &[]);
        session.screen.line(&say)?;
        return Ok(Next::Go);
    }
    names(session, line, |session| &mut session.retained)
}

/// Fields whose folded lines are shown as one.
pub fn unfold(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() && session.unfolded.is_empty() {
        let say = session.texts.say("No fields are currently being unfolded", &[]);
        session.screen.line(&say)?;
        return Ok(Next::Go);
    }
    names(session, line, |session| &mut session.unfolded)
}

pub fn no_unfold(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        return unfold(session, line);
    }
    session.unfolded.retain(|name| !line.words.iter().any(|word| word.eq_ignore_ascii_case(name)));
    Ok(Next::Go)
}

pub fn sender(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() && session.sender_fields.is_empty() {
        let say = session.texts.say("Sender address is obtained from the envelope", &[]);
        session.screen.line(&say)?;
        return Ok(Next::Go);
    }
    names(session, line, |session| &mut session.sender_fields)
}

pub fn no_sender(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        session.sender_fields.clear();
        return sender(session, line);
    }
    session.sender_fields.retain(|name| !line.words.iter().any(|word| word.eq_ignore_ascii_case(name)));
    Ok(Next::Go)
}

/// `sendheader Name: value`; without a value the line is shown.
pub fn send_header(session: &mut Session, line: &Line) -> Done {
    if line.rest.is_empty() {
        for (name, value) in session.send_headers.clone() {
            session.screen.message(format!("{name}: {value}\n").as_bytes())?;
        }
        return Ok(Next::Go);
    }
    let text = line.words.join(" ");
    let (name, value) = text.split_once([':', ' ']).unwrap_or((&text, ""));
    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
    if name.is_empty() || !name.bytes().all(|byte| (33..=126).contains(&byte)) {
        return Err(session.trouble("Invalid header: {}", &[&text]));
    }
    if value.is_empty() && !text.contains(':') {
        for (known, value) in session.send_headers.clone() {
            if known.eq_ignore_ascii_case(&name) {
                session.screen.message(format!("{known}: {value}\n").as_bytes())?;
            }
        }
    } else {
        session.send_headers.push((name, value));
    }
    Ok(Next::Go)
}

pub fn set_environment(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        for (name, value) in std::env::vars_os() {
            let text = format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy());
            session.screen.message(text.as_bytes())?;
        }
    }
    for word in &line.words {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if name.is_empty() || name.contains('\0') || value.is_some_and(|value| value.contains('\0')) {
            return Err(Trouble::Say(format!("setenv: {word}")));
        }
        crate::sys::host::set_environment(name, value);
    }
    Ok(Next::Go)
}

pub fn echo(session: &mut Session, line: &Line) -> Done {
    if line.words.is_empty() {
        return Ok(Next::Go);
    }
    match words::expand(&line.words.join(" "), &|name| session.environment(name)) {
        Ok(text) => session.screen.message(format!("{text}\n").as_bytes())?,
        Err(sentence) => {
            session.complain(sentence);
            session.screen.line("")?;
        }
    }
    Ok(Next::Go)
}

pub fn change_directory(session: &mut Session, line: &Line) -> Done {
    if line.words.len() > 1 {
        return Ok(Next::Go);
    }
    let path = match line.words.first() {
        Some(name) => std::path::absolute(places::path_of(session, name)?)?,
        None => session.home(),
    };
    std::env::set_current_dir(&path).map_err(|error| {
        session.trouble("chdir({}) failed: {}", &[&path.to_string_lossy(), &session.texts.reason(&error)])
    })?;
    Ok(Next::Go)
}

/// `!command` goes to the shell, `shell command` to no shell but the program itself.
pub fn shell(session: &mut Session, line: &Line) -> Done {
    match line.words.split_first() {
        Some((program, arguments)) if line.name == "shell" => {
            session.screen.flush()?;
            // A program that is not there does nothing.
            let _ = std::process::Command::new(program).args(arguments).status();
        }
        _ => command::shell(session, line.rest)?,
    }
    Ok(Next::Go)
}

pub fn source(session: &mut Session, line: &Line) -> Done {
    let [name] = line.words.as_slice() else {
        return Err(session.trouble("source requires a single argument", &[]));
    };
    let path = places::path_of(session, name)?;
    read_file(session, &path)
}

/// Runs the commands of a file; a file that is not there is none. One of them may end the program.
pub fn read_file(session: &mut Session, path: &std::path::Path) -> Done {
    use std::io::Read;
    let Ok(file) = std::fs::File::open(path) else { return Ok(Next::Go) };
    let mut bytes = Vec::new();
    if file.take(FILE_LIMIT).read_to_end(&mut bytes).is_err() {
        return Ok(Next::Go);
    }
    let conditions = session.conditions.len();
    let text = String::from_utf8_lossy(&bytes).replace("\\\n", "");
    let mut next = Next::Go;
    for line in text.lines() {
        match command::run_line(session, line) {
            Ok(Next::Go) => {}
            Ok(end) => {
                next = end;
                break;
            }
            Err(trouble) => session.tell(trouble)?,
        }
    }
    session.conditions.truncate(conditions);
    Ok(next)
}

pub fn condition(session: &mut Session, line: &Line) -> Done {
    let [word] = line.words.as_slice() else {
        return Err(session.trouble("if requires an argument: s | r | t", &[]));
    };
    let holds = match word.as_str() {
        "s" => session.sending,
        "r" => !session.sending,
        "t" => session.interactive(),
        _ => return Err(session.trouble("Valid if arguments are: s | r | t", &[])),
    };
    let skipping = session.conditions.contains(&false);
    session.conditions.push(skipping || holds);
    Ok(Next::Go)
}

pub fn otherwise(session: &mut Session, _: &Line) -> Done {
    let trouble = session.trouble("else without matching if", &[]);
    let last = session.conditions.last_mut().ok_or(trouble)?;
    *last = !*last;
    Ok(Next::Go)
}

pub fn end_condition(session: &mut Session, _: &Line) -> Done {
    let trouble = session.trouble("endif without matching if", &[]);
    session.conditions.pop().ok_or(trouble)?;
    Ok(Next::Go)
}

pub fn help(session: &mut Session, line: &Line) -> Done {
    let mut text = String::new();
    if line.words.is_empty() {
        for command in COMMANDS.iter().filter(|command| command.listed) {
            text.push_str(&command::usage(command));
            text.push('\n');
        }
    }
    for word in &line.words {
        match command::find(word) {
            Some(command) => text.push_str(&format!("{}\n", command::usage(command))),
            None => {
                let found = super::about::search(word);
                for (name, about) in &found {
                    let usage = command::find(name).map_or_else(|| (*name).to_owned(), command::usage);
                    text.push_str(&format!("{usage:<40} {about}\n"));
                }
                if found.is_empty() {
                    text.push_str(&format!("{}\n", session.texts.say("Unknown command: {}", &[word])));
                }
            }
        }
    }
    if line.words.is_empty() {
        session.show_paged(text.as_bytes())?;
    } else {
        session.show(text.as_bytes())?;
    }
    Ok(Next::Go)
}

/// The names alone, in lines as wide as the screen.
pub fn list(session: &mut Session, _: &Line) -> Done {
    let columns = usize::try_from(session.variables.number("columns").unwrap_or(80)).unwrap_or(80);
    let mut text = String::new();
    let mut used = 0;
    // These are of other mails, and in no list of this one.
    for command in COMMANDS.iter().filter(|command| !["forward", "raw"].contains(&command.name)) {
        // Two are known by their short names alone.
        let short = ["nosender", "sender"].contains(&command.name);
        let name = if short { &command.name[..command.shortest] } else { command.name };
        if used + name.len() + 1 >= columns {
            text.push('\n');
            used = 0;
        }
        text.push_str(name);
        text.push(' ');
        used += name.len() + 1;
    }
    text.push('\n');
    session.show(text.as_bytes())?;
    Ok(Next::Go)
}

pub fn version(session: &mut Session, _: &Line) -> Done {
    session.screen.line(&version_line())?;
    Ok(Next::Go)
}

pub fn version_line() -> String {
    // Scripts that choose their options by the name find the one whose options these are.
    format!("mail (pillarbox {}, as GNU Mailutils 3.15)", env!("CARGO_PKG_VERSION"))
}

pub fn warranty(session: &mut Session, _: &Line) -> Done {
    session.screen.line(&version_line())?;
    session.screen.line("Licence MIT or Apache-2.0. There is no warranty, to the extent permitted by law.")?;
    Ok(Next::Go)
}

/// A comment.
pub fn nothing(_: &mut Session, _: &Line) -> Done {
    Ok(Next::Go)
}
