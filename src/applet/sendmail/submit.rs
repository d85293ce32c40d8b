//! Into the maildrop: root and the mail system's own account write there themselves, everyone else through postdrop,
//! the set-gid gate. Both say the same words.

use super::refuse;
use crate::applet::voice::Voice;
use crate::conf::{MainCf, main_cf};
use crate::exit::Failure;
use crate::queue::Queue;
use crate::queue::maildrop::{self, DropError};
use crate::sys::accounts;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Whose submission it is, as refusals name him: "root(0)".
pub struct Person<'a> {
    name: String,
    voice: &'a Voice,
}

impl<'a> Person<'a> {
    pub fn new(login: &str, voice: &'a Voice) -> Person<'a> {
        Person { name: format!("{login}({})", accounts::real_uid()), voice }
    }

    pub fn caller(voice: &'a Voice) -> Person<'a> {
        let login = accounts::caller().map(|account| account.name.to_string_lossy().into_owned());
        Person::new(&login.unwrap_or_default(), voice)
    }

    pub fn refuse(&self, text: impl Display) -> Failure {
        refuse(format!("{}: {text}", self.name))
    }

    /// message_size_limit: three lines, of which scripts know the last and log readers the first.
    pub fn too_big(&self) -> Failure {
        let drop = Voice::named("postdrop", "postdrop");
        drop.warning(format!("uid={}: File too large", accounts::real_uid()));
        self.voice.warning("mail_stream_cleanup: close error");
        self.refuse("message file too big")
    }
}

/// Puts a message into the maildrop; its id there.
pub fn hand_over(cf: &MainCf, voice: &Voice, stream: &[u8]) -> Result<String, Failure> {
    let owner = accounts::by_name(cf.mail_owner()).map(|account| account.uid);
    let uid = accounts::real_uid();
    if uid != 0 && owner != Some(uid) {
        return through_postdrop(cf, voice, stream);
    }
    let queue = Queue::new(cf);
    let mut drop = Voice::named("postdrop", "postdrop");
    drop.adopt(cf);
    let stored = maildrop::submit_patiently(&queue, stream, uid, cf.message_limit(), |text| drop.warning(text));
    let id = stored.map_err(|error| match error {
        DropError::TooBig { .. } => Person::caller(voice).too_big(),
        error => refuse(error),
    })?;
    maildrop::wake_pickup(&queue, |text| drop.warning(text));
    Ok(id.to_string())
}

/// Users hand the message to the set-gid postdrop.
fn through_postdrop(cf: &MainCf, voice: &Voice, stream: &[u8]) -> Result<String, Failure> {
    let path = Path::new(&cf.command_directory()).join("postdrop");
    let shown = format!("{} -r", path.display());
    let mut command = std::process::Command::new(&path);
    if cf.directory() != Path::new(main_cf::DEFAULT_DIRECTORY) {
        command.arg("-c").arg(cf.directory());
    }
    let person = Person::caller(voice);
    let failed = |cause: &str, status: i32| {
        voice.warning(format!("command \"{shown}\" exited with status {status}"));
        person.refuse(format!("unable to execute {shown}: {cause}"))
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| {
        let _ = voice.end(Err(refuse(format!("execvp {}: {}", path.display(), crate::sys::files::reason(&error)))));
        failed("Application error", 1)
    })?;
    if let Some(mut input) = child.stdin.take() {
        // A postdrop that ends early says why itself, and its status is what counts.
        let _ = input.write_all(stream);
    }
    let output = child.wait_with_output().map_err(refuse)?;
    let fields: Vec<&[u8]> = output.stdout.split(|&byte| byte == 0).collect();
    if let [b"queue_id", b"", b"status", _, b"reason", reason, ..] = fields.as_slice() {
        return Err(refuse(String::from_utf8_lossy(reason)));
    }
    let mut answer = fields.into_iter();
    if output.status.success()
        && answer.next() == Some(b"queue_id")
        && let Some(id) = answer.next()
    {
        return Ok(String::from_utf8_lossy(id).into_owned());
    }
    Err(failed("Application error", output.status.code().unwrap_or(1)))
}
