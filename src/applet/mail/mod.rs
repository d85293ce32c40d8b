//! mail(1), in mailutils' ways: letters go to sendmail, mailboxes are read and never damaged, and nothing that a
//! message says reaches the terminal as a command.

/// The commands' table and the conversation.
mod command;
/// Writing a letter.
mod compose;
/// `~` escapes.
mod escapes;
/// Deleting, saving, leaving.
mod filing;
/// Mailboxes by name.
mod folder;
/// Lines from a person or a file.
mod input;
/// A letter on its way out.
mod letter;
/// Message lists.
mod msglist;
/// The command line.
mod options;
/// Commands that show.
mod reading;
/// What reaches the terminal.
mod screen;
/// One run.
mod session;
/// Commands about the program itself.
mod settings;
/// Messages as they are shown.
mod show;
/// Summary lines.
mod summary;
/// English and French.
mod texts;
/// Variables.
mod variables;
/// Words of a command line.
mod words;
/// Commands that write letters.
mod writing;

use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
use crate::message::{charset, header};
use compose::{Manner, Outcome};
use letter::{Attachment, Letter};
use options::{Asked, What};
use session::{Next, Session, Trouble};
use std::path::Path;
use variables::Value;

pub const APPLET: Applet = Applet {
    name: "mail",
    aliases: &["mailx", "Mail", "mail.mailutils", "bsd-mailx", "s-nail", "nail", "heirloom-mailx"],
    links: &["bin/mail", "bin/mailx", "bin/Mail"],
    section: 1,
    purpose: Purpose::Send,
    about: "write letters and read mail",
    cli: options::clap,
    run,
};

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let texts = texts::Texts::from_environment();
    let asked = options::parse(&call.args, texts)?;
    for (what, _) in &asked.options {
        let text = match what {
            What::Help => options::help(&call.program),
            What::Usage => options::usage(&call.program),
            What::Version => format!("{}\n", settings::version_line()),
            _ => continue,
        };
        use std::io::Write;
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut session = Session::new(&call.program);
    let done = serve(&mut session, &asked);
    let flushed = session.screen.flush();
    match done {
        Ok(exit) => {
            flushed?;
            Ok(exit)
        }
        Err(Trouble::Io(error)) => Err(Failure::from(error)),
        Err(trouble) => {
            session.tell(trouble)?;
            Err(Failure::silent(Exit::FAIL))
        }
    }
}

/// What the options ask for besides a letter's content.
#[derive(Default)]
struct Wishes {
    file: Option<String>,
    user: Option<String>,
    exist: bool,
    headers: bool,
    print: bool,
    count: bool,
    json: bool,
    to: bool,
    subject: bool,
    no_rc: bool,
    skip_empty: bool,
    commands: Vec<String>,
}

fn serve(session: &mut Session, asked: &Asked) -> Result<Exit, Trouble> {
    let mut letter = Letter::default();
    let wishes = settle(session, asked, &mut letter)?;
    let reading = wishes.file.is_some()
        || wishes.user.is_some()
        || wishes.exist
        || wishes.headers
        || wishes.print
        || wishes.count;
    let operands = operands(session, asked);
    session.sending = !reading && (wishes.to || wishes.subject || !operands.is_empty() || !letter.headers().is_empty());
    if wishes.subject && wishes.file.is_none() {
        session.sending = true;
    }
    if session.sending {
        session.variables.set("mode", Value::Text("send".into()));
    }
    start_up(session, &wishes)?;
    if session.sending { send(session, letter, &operands, &wishes) } else { read(session, &operands, &wishes) }
}

/// Applies the options in their order.
fn settle(session: &mut Session, asked: &Asked, letter: &mut Letter) -> Result<Wishes, Trouble> {
    let mut wishes = Wishes::default();
    let (mut kind, mut encoding): (Option<String>, Option<String>) = (None, None);
    let (mut name, mut file_name): (Option<String>, Option<String>) = (None, None);
    for (what, value) in &asked.options {
        match what {
            What::Subject => {
                letter.put("Subject", value);
                wishes.subject = true;
            }
            What::Cc => letter.put("Cc", &joined(letter.header("Cc"), value)),
            What::Bcc => letter.put("Bcc", &joined(letter.header("Bcc"), value)),
            What::AppendOrAttach if options::is_header(value) => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                letter.add(name, value.trim());
            }
            What::AppendOrAttach if !Path::new(value).is_file() => {
                let say = session.texts.say("Invalid header: {}", &[value]);
                session.complain(&say);
            }
            What::Attach | What::AppendOrAttach | What::AttachDescriptor => {
                let path = if *what == What::AttachDescriptor { format!("/dev/fd/{value}") } else { value.clone() };
                let content = escapes::read_limited(Path::new(&path)).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => session.trouble("{}: file does not exist", &[value]),
                    _ => Trouble::Say(format!("{value}: {}", session.texts.reason(&error))),
                })?;
                let base = Path::new(value).file_name().map(|base| base.to_string_lossy().into_owned());
                let base = base.filter(|_| *what != What::AttachDescriptor);
                letter.attachments.push(Attachment {
                    content,
                    name: name.take().or_else(|| base.clone()),
                    content_type: kind.clone().or_else(|| type_by_name(value)),
                    file_name: file_name.take().or(base),
                    encoding: encoding.clone(),
                });
            }
            What::ContentType => kind = Some(value.clone()),
            What::Encoding => encoding = Some(value.clone()),
            What::ContentName => name = Some(value.clone()),
            What::ContentFileName => file_name = Some(value.clone()),
            What::Alternative(on) => letter.alternative = *on,
            What::Mime(on) => letter.mime = *on,
            What::SkipEmpty(_) if value == "letter" => wishes.skip_empty = true,
            What::SkipEmpty(on) => letter.skip_empty_attachments = *on,
            What::Exec => wishes.commands.push(value.clone()),
            What::Exist => wishes.exist = true,
            What::Headers => wishes.headers = true,
            What::Print => wishes.print = true,
            What::Count => wishes.count = true,
            What::Json => wishes.json = true,
            What::File => wishes.file = Some(value.clone()),
            What::User => wishes.user = Some(value.clone()),
            What::To => wishes.to = true,
            What::NoRc => wishes.no_rc = true,
            // After the start-up files, so that these do not undo the command line.
            What::ByName => wishes.commands.push("set record=".into()),
            What::IgnoreInterrupts => wishes.commands.push("set ignore".into()),
            What::NoSummary => wishes.commands.push("set noheader".into()),
            What::Quit => wishes.commands.push("set quit".into()),
            What::ReadOnly => wishes.commands.push("set readonly".into()),
            What::Verbose => wishes.commands.push("set verbose".into()),
            What::ReturnAddress => {
                crate::message::address::parse(value).map_err(|_| malformed(session, value))?;
                session.variables.set("return-address", Value::Text(letter::one_line(value)));
            }
            What::Variable => session.variables.assign(value),
            What::Tilde | What::Interactive => session.escapes = true,
            What::Help | What::Usage | What::Version | What::Nothing => {}
        }
    }
    letter.content_type = kind;
    letter.encoding = encoding;
    Ok(wishes)
}

fn malformed(session: &Session, text: &str) -> Trouble {
    let reason = session.texts.say("Malformed email address", &[]);
    session.trouble("Cannot parse address `{}': {}", &[text, &reason])
}

fn joined(old: Option<&str>, more: &str) -> String {
    old.map_or_else(|| more.to_owned(), |old| format!("{old},{more}"))
}

/// Types that every reader knows by the end of the name; texts stay a stream of bytes, as the original sends them.
fn type_by_name(name: &str) -> Option<String> {
    const TYPES: &[(&str, &str)] = &[
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("zip", "application/zip"),
        ("gz", "application/gzip"),
    ];
    let end = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == end).map(|&(_, kind)| kind.to_owned())
}

/// Recipients, or the file of -f; what followed "--" in the old way goes to sendmail.
fn operands(session: &mut Session, asked: &Asked) -> Vec<String> {
    let mut operands = asked.operands.clone();
    let Some(at) = asked.after_dashes.filter(|at| *at > 0) else { return operands };
    let after = operands.split_off(at);
    let mut words = after.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-f" | "-r" => {
                if let Some(sender) = words.next() {
                    session.variables.set("return-address", Value::Text(letter::one_line(&sender)));
                }
            }
            "-F" => session.sendmail_arguments.extend(words.next().map(|name| format!("-F{name}"))),
            _ => match word.strip_prefix("-f").or_else(|| word.strip_prefix("-r")) {
                Some(sender) => session.variables.set("return-address", Value::Text(letter::one_line(sender))),
                None => operands.push(word),
            },
        }
    }
    operands
}

/// Start-up files, then -E.
fn start_up(session: &mut Session, wishes: &Wishes) -> Result<(), Trouble> {
    if !wishes.no_rc {
        settings::read_file(session, Path::new("/etc/mail.rc"))?;
    }
    let own = session.setting("MAILRC");
    if !own.is_empty() {
        settings::read_file(session, Path::new(&own))?;
    }
    // Nobody sits there to be asked, or to turn pages.
    if !session.interactive() {
        for name in ["ask", "askcc", "askbcc", "crt"] {
            session.variables.unset(name);
        }
    }
    for line in &wishes.commands {
        match command::run_line(session, line) {
            Err(trouble) => session.tell(trouble)?,
            Ok(_) => {}
        }
    }
    Ok(())
}

/// A letter from the command line.
fn send(session: &mut Session, mut letter: Letter, operands: &[String], wishes: &Wishes) -> Result<Exit, Trouble> {
    if wishes.to {
        let text = session.input.rest()?;
        from_text(session, &mut letter, &text)?;
        return finish(session, letter, Manner { skip_empty: wishes.skip_empty, ..Manner::default() }, true);
    }
    if !operands.is_empty() {
        let to = joined(letter.header("To"), &join_recipients(operands));
        letter.put("To", &to);
    }
    if letter.header("To").is_none()
        && letter.header("Cc").is_none()
        && letter.header("Bcc").is_none()
        && !session.interactive()
    {
        return Err(session.trouble("No recipients specified", &[]));
    }
    // A mistaken address is told before the text is written.
    for name in ["To", "Cc", "Bcc"] {
        if let Some(value) = letter.header(name).map(str::to_owned) {
            compose::recipients(session, &value)?;
        }
    }
    let manner = Manner { ask: true, whole_input: true, about: None, skip_empty: wishes.skip_empty };
    finish(session, letter, manner, false)
}

fn finish(session: &mut Session, letter: Letter, manner: Manner, complete: bool) -> Result<Exit, Trouble> {
    let manner = if complete { Manner { whole_input: true, ask: false, ..manner } } else { manner };
    match compose::compose(session, letter, manner)? {
        Outcome::Sent => Ok(Exit::OK),
        Outcome::Failed => Ok(Exit::FAIL),
    }
}

/// Operands as one list; words of a name stay together as they were quoted.
fn join_recipients(words: &[String]) -> String {
    words.join(",")
}

/// `-t`: the header that begins the text is the letter's.
fn from_text(session: &mut Session, letter: &mut Letter, text: &[u8]) -> Result<(), Trouble> {
    let (block, body) = header::split(text);
    let complete = block.ends_with(b"\n\n") || block == b"\n" || body.is_empty();
    let first_bad = block.split(|&byte| byte == b'\n').position(|line| {
        !line.is_empty()
            && !line.starts_with(b" ")
            && !line.starts_with(b"\t")
            && header::fields(&[line, b"\n"].concat()).next().is_none()
    });
    if let Some(line) = first_bad.filter(|_| complete) {
        session.complain(&format!("{}: not a header line", line + 1));
        return Err("Errors parsing message".into());
    }
    let own = letter.clone();
    let mut merged = Letter::default();
    for field in header::fields(block) {
        let name = String::from_utf8_lossy(field.name).into_owned();
        let value = charset::decode(&header::unfold(field.value), None);
        if own.header(&name).is_some() && name.eq_ignore_ascii_case("Subject") {
            continue;
        }
        merged.add(&name, &value);
    }
    for (name, value) in own.headers().to_vec() {
        merged.add(&name, &value);
    }
    merged.body = body.to_vec();
    merged.attachments = own.attachments;
    merged.content_type = own.content_type;
    merged.encoding = own.encoding;
    merged.mime = own.mime;
    *letter = merged;
    Ok(())
}

/// A mailbox.
fn read(session: &mut Session, operands: &[String], wishes: &Wishes) -> Result<Exit, Trouble> {
    if operands.len() > 1 {
        return Err("-f requires at most one command line argument".into());
    }
    let named = wishes
        .file
        .as_ref()
        .map(|file| if file.is_empty() { operands.first().cloned().unwrap_or_default() } else { file.clone() });
    let path = match (&named, &wishes.user) {
        (Some(name), _) if !name.is_empty() => folder::path_of(session, name)?,
        (Some(_), _) => folder::mbox_path(session),
        (None, Some(user)) => folder::system_mailbox(session, Some(user)),
        (None, None) => folder::system_mailbox(session, None),
    };
    let own = named.is_none() && wishes.user.is_none();
    match folder::open(session, &path) {
        Ok(open) => session.open = Some(open),
        Err(Trouble::Say(sentence)) => {
            // mbox is made when something is saved: until then it is empty, not missing.
            let absent_mbox = named.as_deref() == Some("") && !path.exists();
            if !absent_mbox {
                session.complain(&sentence);
            }
            if own {
                no_mail(session)?;
            } else {
                let shown = if absent_mbox { path.to_string_lossy().into_owned() } else { String::new() };
                let line = session.texts.count(0, "\"{}\": {} message", "\"{}\": {} messages", &[&shown, "0"]);
                session.screen.line(&line)?;
            }
            return Ok(Exit::FAIL);
        }
        Err(other) => return Err(other),
    }
    let count = session.open.as_ref().map_or(0, session::OpenBox::count);
    if wishes.count {
        session.screen.line(&count.to_string())?;
        return Ok(Exit::OK);
    }
    if count == 0 && wishes.exist {
        return Ok(Exit::FAIL);
    }
    if count == 0 && !session.variables.is_set("emptystart") {
        if own {
            no_mail(session)?;
        } else {
            let line = summary::mailbox_line(session);
            session.screen.line(&line)?;
        }
        return Ok(Exit::FAIL);
    }
    if wishes.exist {
        return Ok(Exit::OK);
    }
    let all: Vec<usize> = (0..count).collect();
    if wishes.headers {
        if wishes.json {
            json(session)?
        } else {
            summary::print(session, &all)?
        }
        return Ok(Exit::OK);
    }
    if wishes.print {
        for index in all {
            let text = show::render(session, &msglist::Chosen { index, part: Vec::new() }, show::Manner::Chosen)?;
            session.screen.message(&text)?;
        }
        return Ok(Exit::OK);
    }
    greet(session)?;
    match command::converse(session)? {
        Next::Go | Next::Quit | Next::Exit => Ok(Exit(session.exit)),
    }
}

/// The mailbox's line and its first summary.
fn greet(session: &mut Session) -> Result<(), Trouble> {
    if !session.variables.is_set("header") {
        return Ok(());
    }
    let line = summary::mailbox_line(session);
    session.screen.line(&line)?;
    let page = summary::screenful(session);
    summary::print(session, &page)
}

fn no_mail(session: &mut Session) -> Result<(), Trouble> {
    let user = session.account.name.to_string_lossy().into_owned();
    let line = session.texts.say("No mail for {}", &[&user]);
    Ok(session.screen.line(&line)?)
}

/// `--json -H`: an object a message.
fn json(session: &mut Session) -> Result<(), Trouble> {
    let Some(open) = &session.open else { return Ok(()) };
    for (index, message) in open.mbox.messages().iter().enumerate() {
        let block = open.mbox.header(message, 64 * 1024)?;
        let field = |name: &str| header::find(&block, name).map(|value| charset::decode_words(&value));
        let object = serde_json::json!({
            "number": index + 1,
            "from": field("From"),
            "to": field("To"),
            "subject": field("Subject"),
            "date": field("Date"),
            "message_id": field("Message-Id"),
            "lines": message.lines,
            "size": message.size(),
            "new": open.is_new(index),
            "read": open.is_read(index),
        });
        session.screen.line(&object.to_string())?;
    }
    Ok(())
}
