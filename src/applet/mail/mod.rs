//! mail(1), in mailutils' ways: letters go to sendmail, mailboxes are read and never damaged, and nothing that a
//! message says reaches the terminal as a command.

/// What each command does.
mod about;
/// Texts and numbers in columns.
mod columns;
/// The commands' table and the conversation.
mod command;
/// Writing a letter.
mod compose;
/// mailutils' configuration.
mod configuration;
/// Dates in the user's language.
mod dates;
/// `~` escapes.
mod escapes;
/// Deleting, saving, leaving.
mod filing;
/// Opening and leaving a mailbox.
mod folder;
/// frm(1) and from(1).
mod frm;
/// One line of a summary.
mod headline;
/// Lines from a person or a file.
mod input;
/// The configuration's keywords.
mod keywords;
/// A letter on its way out.
mod letter;
/// How a letter leaves.
mod mailer;
/// Message lists.
mod msglist;
/// The command line.
mod options;
/// The screenful.
mod page;
/// Mailboxes by name.
mod places;
/// Entrances for tests with any bytes.
pub mod probe;
/// Commands that show.
mod reading;
/// Who a letter is for.
mod recipients;
/// Copies of letters that were sent.
mod record;
/// What reaches the terminal.
mod screen;
/// `--search`.
mod search;
/// Passwords for mailboxes on servers.
mod secrets;
/// A letter from the command line.
mod send;
/// One run.
mod session;
/// Commands about the program itself.
mod settings;
/// Messages as they are shown.
mod show;
/// Letters to a server.
mod smtp;
/// Start-up files, and how reading begins.
mod start;
/// Summaries.
mod summary;
/// Lines at a simple terminal.
mod teletype;
/// English and French.
mod texts;
/// Answers below what they answer.
mod threads;
/// The signs of message lists.
mod token;
/// The options as they are explained.
mod usage;
/// Variables.
mod variables;
/// What the options ask for.
mod wishes;
/// Words of a command line.
mod words;
/// Commands that write letters.
mod writing;

use super::{Applet, Invocation, Purpose};
use crate::exit::{Exit, Failure};
pub use frm::{FRM, FROM};

use letter::Letter;
use options::{Asked, What};
use session::{Next, Session, Trouble};
use variables::Value;

pub const APPLET: Applet = Applet {
    name: "mail",
    aliases: &["mailx", "Mail", "mail.mailutils", "bsd-mailx", "s-nail", "nail", "heirloom-mailx"],
    links: &["bin/mail", "bin/mailx", "bin/Mail"],
    section: 1,
    purpose: Purpose::Send,
    about: "write letters and read mail",
    cli: usage::clap,
    run,
};

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let texts = texts::Texts::from_environment();
    let asked = options::parse(&call.args, texts)?;
    for (what, _) in &asked.options {
        let text = match what {
            What::Help => usage::help(&call.program),
            What::Usage => usage::usage(&call.program),
            What::BuildOptions => usage::build_options(),
            What::ConfigHelp => configuration::help(&call.program),
            What::Version => format!("{}\n", settings::version_line()),
            _ => continue,
        };
        use std::io::Write;
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut session = Session::new(&call.program);
    session.complete_environment();
    if ["bsd-mailx", "Mail"].contains(&call.program.as_str()) {
        session.variables.set("prompt", Value::Text("& ".into()));
    }
    let done = serve(&mut session, &asked);
    let flushed = session.screen.flush();
    match done {
        Ok(exit) => {
            flushed?;
            Ok(exit)
        }
        Err(Trouble::Io(error)) => Err(Failure::from(error)),
        Err(trouble @ Trouble::Address(_)) => {
            session.tell(trouble)?;
            Ok(Exit::OK)
        }
        Err(trouble) => {
            session.tell(trouble)?;
            Err(Failure::silent(Exit::FAIL))
        }
    }
}

fn serve(session: &mut Session, asked: &Asked) -> Result<Exit, Trouble> {
    if let Some(exit) = configuration::configure(session, asked)? {
        return Ok(exit);
    }
    let mut letter = Letter::default();
    let wishes = wishes::settle(session, asked, &mut letter)?;
    let operands = wishes::operands(session, asked);
    if wishes.sending && wishes.file.is_some() {
        return Err(session.trouble("conflicting options", &[]));
    }
    // Start-up files are read before it is known what for, as the original does: `if s` is for sourced files.
    if start::start_up(session, &wishes)? != Next::Go {
        return Ok(Exit::OK);
    }
    let a_letter = wishes.sending || !letter.headers().is_empty() || !letter.attachments.is_empty();
    session.sending =
        wishes.file.is_none() && !wishes.count && wishes.search.is_none() && (a_letter || !operands.is_empty());
    if session.sending {
        session.variables.set("mode", Value::Text("send".into()));
        send::send(session, letter, &operands, &wishes)
    } else {
        start::read(session, &operands, &wishes)
    }
}
