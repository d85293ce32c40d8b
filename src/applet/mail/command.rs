//! The commands: one table of names, shortest abbreviations, arguments and functions. Dispatch, `?`, `list` and the
//! choice of an abbreviation read it.

use super::session::{Done, Next, Session, Trouble};
use super::variables::Value;
use super::{filing, folder, reading, settings, words, writing};
use std::process::Command as Process;

/// What a command gets.
pub struct Line<'l> {
    /// The name in the table.
    pub name: &'static str,
    /// As it was typed, for the errors of message lists.
    pub typed: &'l str,
    pub words: Vec<String>,
    /// Everything after the name, as it was typed.
    pub rest: &'l str,
}

/// One command.
pub struct Command {
    pub name: &'static str,
    /// Length of its shortest abbreviation.
    pub shortest: usize,
    pub arguments: &'static str,
    pub run: fn(&mut Session, &Line) -> Done,
    /// Whether `?` lists it.
    pub listed: bool,
}

const fn row(
    name: &'static str,
    shortest: usize,
    arguments: &'static str,
    run: fn(&mut Session, &Line) -> Done,
) -> Command {
    Command { name, shortest, arguments, run, listed: true }
}

const fn hidden(name: &'static str, shortest: usize, run: fn(&mut Session, &Line) -> Done) -> Command {
    Command { name, shortest, arguments: "", run, listed: false }
}

/// Every command; an abbreviation means the first that it fits.
pub const COMMANDS: &[Command] = &[
    row("alias", 1, "[alias [address...]]", settings::alias),
    row("alternates", 3, "name...", settings::alternates),
    row("Copy", 1, "[msglist]", filing::copy_by_sender),
    row("cd", 2, "[directory]", settings::change_directory),
    row("chdir", 2, "directory", settings::change_directory),
    row("copy", 1, "[[msglist] file]", filing::copy),
    row("decode", 3, "[msglist]", reading::decode),
    row("delete", 1, "[msglist]", filing::delete),
    row("discard", 2, "[header-field...]", settings::ignore),
    row("dp", 2, "[msglist]", filing::delete_print),
    row("dt", 2, "[msglist]", filing::delete_print),
    row("echo", 2, "string ...", settings::echo),
    row("edit", 1, "[msglist]", reading::edit),
    row("else", 2, "", settings::otherwise),
    row("endif", 2, "", settings::end_condition),
    row("envelope", 2, "", reading::envelope),
    row("exit", 2, "", filing::exit),
    row("Followup", 1, "[msglist]", writing::followup_all),
    row("file", 2, "[file]", filing::file),
    row("folder", 4, "[file]", filing::file),
    row("folders", 7, "", filing::folders),
    row("followup", 2, "[message]", writing::followup),
    row("from", 1, "[msglist]", reading::from),
    row("group", 1, "[alias [address...]]", settings::alias),
    row("headers", 1, "[msglist]", reading::headers),
    row("help", 3, "[command...]", settings::help),
    row("hold", 2, "[msglist]", filing::hold),
    row("if", 1, "s|r|t", settings::condition),
    row("ignore", 2, "[header-field...]", settings::ignore),
    row("incorporate", 3, "", filing::incorporate),
    row("list", 1, "", settings::list),
    row("mail", 1, "[address...]", writing::mail),
    row("Mail", 1, "[address...]", writing::mail),
    row("mbox", 2, "[msglist]", filing::mbox),
    row("next", 1, "[message]", reading::next),
    row("nosender", 3, "[header-field...]", settings::no_sender),
    row("nounfold", 3, "[header-field]", settings::no_unfold),
    row("Print", 1, "[msglist]", reading::print_full),
    row("pipe", 2, "[[msglist] command]", reading::pipe),
    row("preserve", 3, "[msglist]", filing::hold),
    row("previous", 4, "[message]", reading::previous),
    row("print", 1, "[msglist]", reading::print),
    row("quit", 1, "", filing::quit),
    row("Reply", 1, "[msglist]", writing::reply_sender),
    row("Respond", 1, "[msglist]", writing::reply_sender),
    row("reply", 1, "[message]", writing::reply),
    row("respond", 1, "[message]", writing::reply),
    row("retain", 3, "[header-field]", settings::retain),
    row("Save", 1, "[msglist]", filing::save_by_sender),
    row("save", 1, "[[msglist] file]", filing::save),
    row("sendheader", 3, "[[header][: value]]", settings::send_header),
    row("set", 2, "[name[=[string]]...] [name=number...] [noname...]", settings::set),
    hidden("raw", 3, reading::raw),
    hidden("setq", 4, settings::set),
    hidden("forward", 4, writing::forward),
    row("sender", 3, "[header-field...]", settings::sender),
    row("setenv", 4, "[name[=value]]", settings::set_environment),
    row("shell", 2, "[command]", settings::shell),
    row("size", 2, "[msglist]", reading::size),
    row("source", 2, "file", settings::source),
    row("struct", 2, "[msglist]", reading::structure),
    row("summary", 2, "", reading::summary),
    row("Type", 1, "[msglist]", reading::print_full),
    row("tag", 2, "[msglist]", filing::tag),
    row("top", 2, "[msglist]", reading::top),
    row("touch", 3, "[msglist]", filing::touch),
    row("type", 1, "[msglist]", reading::print),
    row("unalias", 3, "[alias]...", settings::unalias),
    row("unread", 2, "[msglist]", filing::unread),
    row("undelete", 1, "[msglist]", filing::undelete),
    row("unfold", 3, "[header-field]", settings::unfold),
    row("unset", 3, "name...", settings::unset),
    row("untag", 3, "[msglist]", filing::untag),
    row("variable", 8, "[name...]", settings::variable),
    row("version", 2, "", settings::version),
    row("visual", 1, "[msglist]", reading::edit),
    row("warranty", 2, "", settings::warranty),
    row("Write", 1, "[msglist]", filing::write_by_sender),
    row("write", 1, "[[msglist] file]", filing::write),
    row("xit", 1, "", filing::exit),
    row("z", 1, "[+|-|. [count]]", reading::scroll),
    row("?", 1, "[command...]", settings::help),
    row("!", 1, "[command]", settings::shell),
    row("=", 1, "", reading::number),
    row("#", 1, " comment", settings::nothing),
    row("*", 1, "", settings::list),
    row("+", 1, "[message]", reading::next),
    row("|", 1, "[[msglist] command]", reading::pipe),
    row("-", 1, "[message]", reading::previous),
];

/// Longer command lines are no commands.
const DEPTH: usize = 32;

/// The command that a word means.
pub fn find(word: &str) -> Option<&'static Command> {
    if word.strip_prefix('z').is_some_and(|rest| rest.starts_with(['+', '-', '.'])) {
        return find("z");
    }
    if word == "U" {
        return find("unread");
    }
    // "nos" stands in the list, and is no command.
    let shortest = |command: &Command| if command.name == "nosender" { command.name.len() } else { command.shortest };
    COMMANDS.iter().find(|command| word.len() >= shortest(command) && command.name.starts_with(word))
}

/// `d[elete] [msglist]`.
pub fn usage(command: &Command) -> String {
    // The original's list knows the shortest form of every command but this one.
    let shortest = if command.name == "unread" { command.name.len() } else { command.shortest };
    let (short, long) = command.name.split_at(shortest.min(command.name.len()));
    let name = if long.is_empty() { short.to_owned() } else { format!("{short}[{long}]") };
    match command.arguments {
        "" => name,
        arguments if command.name == "z" || command.name == "!" => format!("{name}{arguments}"),
        arguments => format!("{name} {}", arguments.trim_start()),
    }
}

/// Runs one line. Troubles are the caller's to tell.
pub fn run_line(session: &mut Session, line: &str) -> Done {
    if session.depth > DEPTH {
        return Err(Trouble::Say("commands within commands too deep".into()));
    }
    session.depth += 1;
    let done = one(session, line);
    session.depth -= 1;
    done
}

fn one(session: &mut Session, line: &str) -> Done {
    let line = line.trim();
    let (word, rest) = split_name(line);
    let skipping = session.conditions.contains(&false);
    if skipping && !["if", "else", "endif"].contains(&find(word).map_or("", |command| command.name)) {
        // What is no command is told even where it would not run.
        let strange = find(word).is_none() && word.starts_with(|first: char| first.is_ascii_alphabetic());
        return if strange { Err(session.trouble("Unknown command: {}", &[word])) } else { Ok(Next::Go) };
    }
    if line.is_empty() || line.starts_with('#') {
        return Ok(Next::Go);
    }
    // A message's number alone shows it.
    let digits = line.strip_prefix(['+', '-']).unwrap_or(line);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0');
    if (is_number || ["$", "^"].contains(&line)) && session.open.is_some() {
        let words = vec![line.to_owned()];
        return reading::print(session, &Line { name: "print", typed: "print", words, rest: line });
    }
    let words =
        words::split(rest).map_err(|words::Unclosed| Trouble::Say(format!("\"{line}\": missing closing quote")))?;
    let Some(command) = find(word) else {
        return Err(session.trouble("Unknown command: {}", &[word]));
    };
    session.last_command = line.to_owned();
    let height = super::summary::height(session);
    if let Some(open) = &mut session.open {
        open.page.resize(height, &open.states);
    }
    (command.run)(session, &Line { name: command.name, typed: word, words, rest: rest.trim() })
}

/// The command's name and what follows: what is no name as a whole ends with its last letter ("d1-2", "p*").
pub fn split_name(line: &str) -> (&str, &str) {
    if line.starts_with(['!', '#']) {
        return line.split_at(1);
    }
    // A name in quotes is a name.
    if let Some(quote) = line.chars().next().filter(|c| ['"', '\''].contains(c))
        && let Some((word, rest)) = line[1..].split_once(quote)
        && find(word).is_some()
    {
        return (word, rest);
    }
    let word = &line[..line.find(char::is_whitespace).unwrap_or(line.len())];
    // "z+", "zz": what follows z belongs to it.
    if word.starts_with('z') {
        return line.split_at(1);
    }
    if find(word).is_some() {
        return line.split_at(word.len());
    }
    let one = word.chars().next().map_or(0, char::len_utf8);
    let end = word.rfind(|c: char| c.is_ascii_alphabetic()).map_or(one, |at| at + 1);
    line.split_at(end)
}

/// Reads and runs commands until one ends the session. Returns whether the mailbox is to be changed.
pub fn converse(session: &mut Session) -> Result<Next, Trouble> {
    let mut interrupted = false;
    loop {
        session.screen.flush()?;
        let prompt = session.variables.text("prompt").unwrap_or_default();
        match session.input.line(&prompt, "", true)? {
            super::input::Event::Line(line) => {
                interrupted = false;
                let mut line = String::from_utf8_lossy(&line).into_owned();
                // A backslash at the end: the command goes on in the next line.
                while line.ends_with('\\') && line.len() < 1 << 20 {
                    line.pop();
                    match session.input.line("> ", "", false)? {
                        super::input::Event::Line(more) => line.push_str(&String::from_utf8_lossy(&more)),
                        _ => break,
                    }
                }
                let done = if line.trim().is_empty() && session.interactive() && !session.conditions.contains(&false) {
                    reading::next(session, &Line { name: "next", typed: "next", words: Vec::new(), rest: "" })
                } else {
                    run_line(session, &line)
                };
                match done {
                    Ok(Next::Go) => {}
                    Ok(Next::Quit) => match folder::quit(session) {
                        Ok(()) => return Ok(Next::Quit),
                        Err(trouble) => session.tell(trouble)?,
                    },
                    Ok(Next::Exit) => return Ok(Next::Exit),
                    Err(trouble) => session.tell(trouble)?,
                }
                folder::look_for_news(session)?;
            }
            super::input::Event::Interrupt => {
                if session.variables.is_set("quit") || interrupted {
                    return Ok(Next::Exit);
                }
                interrupted = session.variables.is_set("quit");
                let say = session.texts.say("Interrupt", &[]);
                session.screen.line(&say)?;
            }
            super::input::Event::End => {
                if session.interactive() && session.variables.is_set("ignoreeof") {
                    let say = session.texts.say("Use \"quit\" to quit.", &[]);
                    session.screen.line(&say)?;
                    continue;
                }
                session.screen.line("")?;
                folder::quit(session)?;
                return Ok(Next::Quit);
            }
        }
    }
}

/// The variable that holds the last shell command.
const LAST_SHELL: &str = "gnu-last-command";

/// A shell command at the user's wish.
pub fn shell(session: &mut Session, command: &str) -> Result<(), Trouble> {
    use std::os::unix::process::CommandExt;
    session.screen.flush()?;
    let mut command = command.to_owned();
    if session.variables.is_set("bang") {
        command = command.replace('!', &session.variables.text(LAST_SHELL).unwrap_or_default());
    }
    session.variables.set(LAST_SHELL, Value::Text(command.clone()));
    let shell = session.setting("SHELL");
    let mut process = Process::new(&shell);
    // In its complaints the shell calls itself by its short name.
    process.arg0(shell.rsplit('/').next().unwrap_or(&shell));
    if !command.is_empty() {
        process.arg("-c").arg(&command);
    }
    process.status().map_err(|error| Trouble::Say(format!("{shell}: {}", session.texts.reason(&error))))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_mean_the_first_that_fits() {
        for (word, name) in [
            ("d", "delete"),
            ("t", "type"),
            ("p", "print"),
            ("en", "endif"),
            ("env", "envelope"),
            ("un", "unread"),
            ("u", "undelete"),
            ("s", "save"),
            ("su", "summary"),
            ("se", "set"),
            ("sen", "sendheader"),
            ("r", "reply"),
            ("h", "headers"),
            ("x", "xit"),
            ("fo", "followup"),
            ("f", "from"),
            ("fi", "file"),
            ("fold", "folder"),
            ("unread", "unread"),
            ("ch", "chdir"),
            ("mb", "mbox"),
        ] {
            assert_eq!(find(word).map_or("", |command| command.name), name, "{word}");
        }
        assert_eq!(split_name("d1 2"), ("d", "1 2"));
        assert_eq!(split_name("!ls"), ("!", "ls"));
        assert_eq!(split_name("p1-2,3"), ("p", "1-2,3"));
        assert_eq!(split_name("type/x/"), ("type/x", "/"));
        assert_eq!(split_name("+2 3"), ("+", "2 3"));
        assert_eq!(split_name("1 2"), ("1", " 2"));
    }
}
