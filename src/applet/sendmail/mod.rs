//! sendmail(1), which also answers to mailq and newaliases. Delivery mode leaves the message in maildrop/: status 0
//! means that it is on disk. Every refusal has status 75: the caller keeps the mail and may try again.

/// From the submission to the records that the maildrop takes.
mod compose;
/// The content: lines of standard input, and the headers that -t reads.
mod content;
/// The command line.
mod options;
/// Into the maildrop, itself or through postdrop.
mod submit;

use super::voice::Voice;
use super::{Applet, Invocation, Purpose};
use crate::conf::MainCf;
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::table::{Options, rebuild};
use clap::{Arg, ArgAction, Command};
pub use options::Flush;
use options::{Mode, Submission};
use std::ffi::OsString;
use std::sync::Arc;

pub const APPLET: Applet = Applet {
    name: "sendmail",
    aliases: &["mailq", "newaliases"],
    links: &["sbin/sendmail", "lib/sendmail", "bin/mailq", "bin/newaliases"],
    section: 1,
    purpose: Purpose::Send,
    about: "send a message, as programs do; mailq lists the queue, newaliases rebuilds the aliases",
    cli,
    run,
};

fn cli() -> Command {
    let ignored = "accepted for Sendmail's sake, without effect";
    let flag = |letter: char, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).action(ArgAction::Count).help(help)
    };
    let value = |letter: char, name: &'static str, help: &'static str| {
        Arg::new(letter.to_string()).short(letter).value_name(name).action(ArgAction::Append).help(help)
    };
    Command::new("sendmail")
        .about("hand a message to the mail system")
        .arg(flag('t', "take the recipients from the message's headers too"))
        .arg(flag('i', "a line with a single dot does not end the message"))
        .arg(value('f', "SENDER", "the envelope sender"))
        .arg(value('r', "SENDER", "the same as -f"))
        .arg(value('F', "NAME", "the sender's full name"))
        .arg(value(
            'b',
            "MODE",
            "m: deliver (default), p: list the queue, i: rebuild aliases, s: SMTP on standard input, v: deliver nothing and report by mail what would be done, d: start the mail system",
        ))
        .arg(value('q', "WHAT", "flush the queue; with Iid one message, with Rsite the mail for a site"))
        .arg(value('o', "OPTION", "i: as -i, A: the aliases file for -bi, others: without effect"))
        .arg(value('C', "FILE", "the main.cf, or its directory"))
        .arg(value('N', "DSN", "never, or success, failure, delay"))
        .arg(value('R', "RET", "what a bounce returns: full or hdrs"))
        .arg(value('V', "ENVID", "the envelope id"))
        .arg(value('X', "V", "V, or V and two delimiters: each recipient gets an envelope sender of its own"))
        .arg(value('B', "TYPE", "7BIT or 8BITMIME"))
        .arg(flag('G', "a gateway submits: headers are not completed"))
        .arg(flag('I', "rebuild the aliases"))
        .arg(flag('v', "report delivery by mail; more of them: be verbose"))
        .args(["A", "L", "O", "e", "h", "p"].map(|name| {
            Arg::new(name).short(name.chars().next()).value_name("X").action(ArgAction::Append).help(ignored)
        }))
        .args(
            ["U", "c", "m", "x"].map(|name| Arg::new(name).short(name.chars().next()).action(ArgAction::Count).help(ignored)),
        )
        .arg(Arg::new("recipient").action(ArgAction::Append).num_args(0..).value_parser(clap::value_parser!(OsString)))
}

/// A fatal error, with the status that keeps the mail with the caller.
fn refuse(text: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::TEMPFAIL, format!("fatal: {text}"))
}

fn run(call: &Invocation) -> Result<Exit, Failure> {
    let mut voice = Voice::of(call, "sendmail");
    let outcome = serve(call, &mut voice);
    voice.end(outcome)
}

fn serve(call: &Invocation, voice: &mut Voice) -> Result<Exit, Failure> {
    // The configuration comes first, and with it the log that the rest is told in.
    let directory = options::configuration(call);
    let cf = voice.configuration(directory.as_deref(), Exit::TEMPFAIL)?;
    voice.enter_queue(&cf, Exit::TEMPFAIL)?;
    let submission = options::parse(call, &cf, voice)?;
    match &submission.mode {
        Mode::Nothing => Ok(Exit::OK),
        Mode::ListQueue => super::postqueue::list_for_sendmail(&cf),
        Mode::Flush(what) => super::postqueue::flush_for_others(&cf, what),
        Mode::RebuildAliases => rebuild_aliases(&cf, submission.aliases.as_deref()),
        Mode::Smtp => smtp_on_stdin(&cf),
        Mode::Daemon => super::postfix::start_for_sendmail(&cf),
        Mode::Deliver => deliver(&cf, &submission, voice),
    }
}

/// newaliases: every table of alias_database, or the one that -oA names, is built again. It speaks as postalias, which
/// the reference runs.
fn rebuild_aliases(cf: &MainCf, named: Option<&str>) -> Result<Exit, Failure> {
    let mut voice = Voice::named("postalias", "postalias");
    voice.adopt(cf);
    let warnings = Arc::new(voice);
    let voice = warnings.clone();
    let options = Options { warn: Some(Arc::new(move |text: &str| warnings.warning(text))), ..Options::default() };
    let configured = cf.alias_database();
    for spec in MainCf::list(named.unwrap_or(&configured)) {
        // Without a type it is the default one's.
        let spec = if spec.contains(':') { spec } else { format!("{}:{spec}", cf.default_database_type()) };
        if let Err(error) = rebuild::aliases(&spec, &cf.myhostname(), &options) {
            return voice.end(Err(Failure::fatal(error)));
        }
    }
    Ok(Exit::OK)
}

/// -bs: a whole SMTP session on standard input and output, by smtpd's own code; the mail goes into the maildrop.
fn smtp_on_stdin(cf: &MainCf) -> Result<Exit, Failure> {
    let log = Log::open(&cf.syslog_name(), "smtpd", &cf.syslog_facility(), &cf.maillog_file());
    let own = cf.clone();
    let submit = move |stream: Vec<u8>| {
        let mut voice = Voice::named("sendmail", "sendmail");
        voice.adopt(&own);
        submit::hand_over(&own, &voice, &stream).map_err(|failure| failure.message.unwrap_or_default())
    };
    crate::daemon::smtpd::on_standard_streams(cf, Arc::new(log), Arc::new(submit)).map_err(Failure::fatal)?;
    Ok(Exit::OK)
}

fn deliver(cf: &MainCf, submission: &Submission, voice: &Voice) -> Result<Exit, Failure> {
    let (sender, stream) = compose::compose(cf, submission, voice)?;
    submit::hand_over(cf, voice, &stream)?;
    if submission.trace != options::Trace::None {
        use std::io::Write;
        let shown = crate::message::envelope::quote(&sender);
        writeln!(std::io::stdout(), "Mail Delivery Status Report will be mailed to <{shown}>.")?;
    }
    Ok(Exit::OK)
}
