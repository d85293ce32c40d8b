//! Starting: the start-up files, then a mailbox that is opened, listed, printed, counted or read.

use super::session::{self, Done, Next, Session, Trouble};
use super::wishes::{Mode, Wishes};
use super::{command, folder, msglist, places, search, settings, show, summary};
use crate::exit::Exit;
use crate::message::{charset, header};
use std::path::Path;

/// Start-up files, then -E. One of their commands may end the program.
pub fn start_up(session: &mut Session, wishes: &Wishes) -> Done {
    let own = session.setting("MAILRC");
    let system = (!wishes.no_rc).then(|| "/etc/mail.rc".to_owned());
    for file in system.into_iter().chain((!own.is_empty()).then_some(own)) {
        match settings::read_file(session, Path::new(&file)) {
            Ok(Next::Go) => {}
            Ok(next) => return Ok(next),
            Err(trouble) => session.tell(trouble)?,
        }
    }
    for line in &wishes.commands {
        match command::run_line(session, line) {
            Ok(Next::Go) => {}
            Ok(next) => return Ok(next),
            Err(trouble) => session.tell(trouble)?,
        }
    }
    // Nobody sits there to be asked, or to turn pages.
    if !session.interactive() {
        for name in ["ask", "askcc", "askbcc", "crt"] {
            session.variables.unset(name);
        }
    }
    Ok(Next::Go)
}

/// A mailbox.
pub fn read(session: &mut Session, operands: &[String], wishes: &Wishes) -> Result<Exit, Trouble> {
    let named = usize::from(wishes.file.as_ref().is_some_and(|file| !file.is_empty()));
    if operands.len() + named > 1 {
        return Err(session.trouble("-f requires at most one command line argument", &[]));
    }
    let named = wishes
        .file
        .as_ref()
        .map(|file| if file.is_empty() { operands.first().cloned().unwrap_or_default() } else { file.clone() });
    let path = match (&named, &wishes.user) {
        // These two mean something in a session only.
        (Some(name), _) if ["&", "#"].contains(&name.as_str()) => std::path::absolute(name)?,
        (Some(name), _) if !name.is_empty() => places::path_of(session, name)?,
        (Some(_), _) => places::mbox_path(session),
        (None, Some(user)) => places::system_mailbox(session, Some(user)),
        (None, None) => places::system_mailbox(session, None),
    };
    match folder::open(session, &path) {
        Ok(open) => session.open = Some(open),
        Err(Trouble::Say(sentence)) => {
            return not_opened(session, wishes, named.as_deref(), &path, &sentence).map(|()| Exit::FAIL);
        }
        Err(other) => return Err(other),
    }
    let count = session.open.as_ref().map_or(0, session::OpenBox::count);
    if let Some(text) = &wishes.search {
        let found = search::search(session, text)?;
        if wishes.count {
            session.screen.line(&found.len().to_string())?;
        } else {
            list(session, &found, wishes.json)?;
        }
        return Ok(if found.is_empty() { Exit::FAIL } else { Exit::OK });
    }
    if wishes.count {
        session.screen.line(&count.to_string())?;
        return Ok(Exit::OK);
    }
    if count == 0 && (wishes.mode != Mode::Read || !session.variables.is_set("emptystart")) {
        empty(session, wishes.mode, named.is_none() && wishes.user.is_none())?;
        return Ok(Exit::FAIL);
    }
    match wishes.mode {
        Mode::Exist => return Ok(Exit::OK),
        Mode::Headers => {
            let all: Vec<usize> = (0..count).collect();
            list(session, &all, wishes.json)?;
            return Ok(Exit::OK);
        }
        Mode::Print => {
            for index in 0..count {
                let text = show::render(session, &msglist::Chosen { index, part: Vec::new() }, show::Manner::Chosen)?;
                session.show(&text)?;
            }
            return Ok(Exit::OK);
        }
        Mode::Read => {}
    }
    greet(session)?;
    match command::converse(session)? {
        Next::Go | Next::Quit | Next::Exit => Ok(Exit(session.exit)),
    }
}

/// The mailbox's line and its first summary.
pub fn greet(session: &mut Session) -> Result<(), Trouble> {
    if !session.variables.is_set("header") {
        return Ok(());
    }
    summary::announce(session)?;
    let page = summary::screenful(session)?;
    summary::print(session, &page)
}

/// What is said of a mailbox that holds nothing.
fn empty(session: &mut Session, mode: Mode, own: bool) -> Result<(), Trouble> {
    match mode {
        Mode::Exist => Ok(()),
        Mode::Headers | Mode::Print => {
            let say = session.texts.say("No applicable messages", &[]);
            session.complain(&say);
            Ok(())
        }
        Mode::Read if own => no_mail(session),
        Mode::Read => {
            let line = summary::mailbox_line(session);
            Ok(session.screen.line(&line)?)
        }
    }
}

/// What is said of a mailbox that could not be opened.
fn not_opened(
    session: &mut Session,
    wishes: &Wishes,
    named: Option<&str>,
    path: &Path,
    sentence: &str,
) -> Result<(), Trouble> {
    let own = named.is_none() && wishes.user.is_none();
    let missing = !path.exists() && !places::is_remote(path);
    let has_place = path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
    if wishes.mode != Mode::Read && missing && has_place {
        return empty(session, wishes.mode, own);
    }
    // mbox, and a mailbox where one could make it, are empty until something comes: not missing.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let could_be = crate::sys::files::is_writable(parent);
    let absent = missing && (could_be || named.is_some_and(|name| ["", "&", "#"].contains(&name)));
    if !absent {
        session.complain(sentence);
    }
    if own {
        return no_mail(session);
    }
    if !missing && path.is_dir() {
        return Ok(());
    }
    let shown = if absent { std::path::absolute(path)?.to_string_lossy().into_owned() } else { String::new() };
    let line = session.texts.count(0, "\"{}\": {} message", "\"{}\": {} messages", &[&shown, "0"]);
    Ok(session.screen.line(&line)?)
}

fn no_mail(session: &mut Session) -> Result<(), Trouble> {
    let user = session.account.name.to_string_lossy().into_owned();
    let line = session.texts.say("No mail for {}", &[&user]);
    Ok(session.screen.line(&line)?)
}

fn list(session: &mut Session, indices: &[usize], as_json: bool) -> Result<(), Trouble> {
    if as_json { json(session, indices) } else { summary::print(session, indices) }
}

/// `--json -H`: an object a message.
fn json(session: &mut Session, indices: &[usize]) -> Result<(), Trouble> {
    let Some(open) = &session.open else { return Ok(()) };
    for &index in indices {
        let Some(message) = open.mbox.messages().get(index) else { continue };
        let block = open.mbox.header(message, 64 * 1024)?;
        let field = |name: &str| header::find(&block, name).map(|value| charset::decode_words(&value).into_owned());
        let object = serde_json::json!({
            "number": index + 1,
            "from": field("From"),
            "to": field("To"),
            "subject": field("Subject"),
            "date": field("Date"),
            "message_id": field("Message-Id"),
            "lines": message.lines,
            "size": message.written_size(),
            "new": open.is_new(index),
            "read": open.is_read(index),
        });
        session.screen.line(&object.to_string())?;
    }
    Ok(())
}
