//! How the commands of the mail system speak: what they say goes to stderr under the name that they were called by, and
//! to the mail log under their own ("postfix/sendmail[PID]"), a fatal error included. Before main.cf is read they log
//! under the names of its defaults.

use super::Invocation;
use crate::conf::{ConfError, MainCf, main_cf};
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::sys::accounts;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether stderr hears what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stderr {
    Always,
    /// Only a person at a terminal does: for programs that scripts run for the log's sake.
    Terminal,
}

/// The voice of one program.
pub struct Voice {
    log: Log,
    /// The name on stderr.
    program: String,
    service: &'static str,
    stderr: Stderr,
}

impl Voice {
    /// A program that says everything on stderr too.
    pub fn of(call: &Invocation, service: &'static str) -> Voice {
        Voice::named(&call.program, service)
    }

    /// The voice of another program, whose work is done by a call here.
    pub fn named(program: &str, service: &'static str) -> Voice {
        Voice::open(program.to_owned(), service, Stderr::Always)
    }

    /// A program that says on stderr only what a person at a terminal may read.
    pub fn at_terminal(service: &'static str) -> Voice {
        Voice::open(format!("postfix/{service}"), service, Stderr::Terminal)
    }

    fn open(program: String, service: &'static str, stderr: Stderr) -> Voice {
        let mut voice = Voice { log: Log::nowhere(), program, service, stderr };
        voice.log = voice.heard(Log::on_demand("postfix", service, "mail", ""));
        voice
    }

    fn heard(&self, log: Log) -> Log {
        if self.stderr == Stderr::Always || io::stderr().is_terminal() { log.with_stderr(&self.program) } else { log }
    }

    /// Reads main.cf of the directory that -c or MAIL_CONFIG names, or of the default one; a wrong value is an error,
    /// whoever would use it. From then on the log is the one that it names.
    pub fn configuration(&mut self, option: Option<&Path>, status: Exit) -> Result<MainCf, Failure> {
        self.allowed(option, status)?;
        let verified = self.unverified(option).and_then(|cf| cf.verify().map(|()| cf));
        verified.map_err(|error| match error {
            // Two lines, as the reference has them: what is wrong, and that it cannot go on.
            ConfError::Expand { source, .. } => {
                source.to_string().lines().for_each(|line| self.warning(line));
                Failure::new(status, "fatal: dictionary mail_dict: macro processing error")
            }
            error => Failure::new(status, format!("fatal: {error}")),
        })
    }

    /// A user may use a configuration of his own, and those that the system's main.cf lists.
    fn allowed(&self, option: Option<&Path>, status: Exit) -> Result<(), Failure> {
        let directory = main_cf::directory(option);
        let default = Path::new(main_cf::DEFAULT_DIRECTORY);
        let own = || std::fs::metadata(&directory).is_ok_and(|data| data.uid() == accounts::effective_uid());
        if directory == default || own() || controls(Some(&directory)) {
            return Ok(());
        }
        match MainCf::read(default) {
            Ok(system) if !system.allows_directory(&directory) => {
                let shown = directory.display();
                self.error(format!("unauthorized configuration directory name: {shown}"));
                let lists = ["alternate_config_directories", "multi_instance_directories"];
                let wanted = lists.map(|list| format!("\"{list} = {shown}\"")).join(" or ");
                let file = system.file();
                Err(Failure::new(status, format!("fatal: specify {wanted} in {}", file.display())))
            }
            _ => Ok(()),
        }
    }

    fn unverified(&mut self, option: Option<&Path>) -> Result<MainCf, ConfError> {
        let cf = MainCf::read(&main_cf::directory(option))?;
        self.adopt(&cf);
        Ok(cf)
    }

    /// Speaks by this configuration from now on.
    pub fn adopt(&mut self, cf: &MainCf) {
        let log = Log::on_demand(&cf.syslog_name(), self.service, &cf.syslog_facility(), &cf.maillog_file());
        self.log = self.heard(log);
    }

    pub fn warning(&self, text: impl AsRef<str>) {
        self.log.warning(text);
    }

    pub fn info(&self, text: impl AsRef<str>) {
        self.log.info(text);
    }

    pub fn error(&self, text: impl AsRef<str>) {
        self.log.event(&crate::log::Event::Error(text.as_ref().as_bytes().into()));
    }

    /// The end of the program: a fatal error is said and logged here, and only its status goes further.
    pub fn end(&self, outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
        let Err(failure) = outcome else { return outcome };
        match failure.message.as_deref().and_then(|message| message.strip_prefix("fatal: ")) {
            Some(text) => {
                self.log.fatal(text);
                Err(Failure::silent(failure.status))
            }
            None => Err(failure),
        }
    }
}

/// Whether the caller may run the mail system: root, or the owner of a rootless instance.
pub fn controls(option: Option<&Path>) -> bool {
    let uid = accounts::effective_uid();
    uid == 0
        || MainCf::read(&main_cf::directory(option))
            .is_ok_and(|cf| accounts::by_name(cf.mail_owner()).is_some_and(|owner| owner.uid == uid))
}
