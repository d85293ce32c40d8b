//! How the commands of the mail system speak: what they say goes to stderr under the name that they were called by, and
//! to the mail log under their own ("postfix/sendmail[PID]"), a fatal error included. Before main.cf is read they log
//! under the names of its defaults.

use super::Invocation;
use crate::conf::{ConfError, MainCf, common, main_cf};
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
    /// It alone does: nothing is logged.
    Alone,
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

    /// A program that only shows something: the log does not hear of it.
    pub fn unlogged(call: &Invocation) -> Voice {
        Voice::open(call.program.clone(), "", Stderr::Alone)
    }

    fn open(program: String, service: &'static str, stderr: Stderr) -> Voice {
        let mut voice = Voice { log: Log::nowhere(), program, service, stderr };
        voice.log = voice.heard(Log::on_demand("postfix", service, "mail", ""));
        voice
    }

    fn heard(&self, log: Log) -> Log {
        match self.stderr {
            Stderr::Alone => Log::nowhere().with_stderr(&self.program),
            Stderr::Always => log.with_stderr(&self.program),
            Stderr::Terminal if io::stderr().is_terminal() => log.with_stderr(&self.program),
            Stderr::Terminal => log,
        }
    }

    /// Reads main.cf of the directory that -c or MAIL_CONFIG names, or of the default one. What is odd about it is told,
    /// and a wrong value among those that every program reads is an error. From then on the log is the one that it names.
    pub fn configuration(&mut self, option: Option<&Path>, status: Exit) -> Result<MainCf, Failure> {
        self.allowed(option, status)?;
        let read = MainCf::read(&main_cf::directory(option)).and_then(|cf| {
            self.adopt(&cf);
            crate::table::process::adopt(&cf, None);
            common::verify(&cf).map(|()| cf)
        });
        read.map_err(|error| match error {
            // Two lines, as the reference has them: what is wrong, and that it cannot go on.
            ConfError::Expand { source, .. } => {
                source.to_string().lines().for_each(|line| self.warning(line));
                Failure::new(status, "fatal: dictionary mail_dict: macro processing error")
            }
            error => Failure::new(status, format!("fatal: {error}")),
        })
    }

    /// The queue directory can be entered, which is what programs that work there do first.
    pub fn enter_queue(&self, cf: &MainCf, status: Exit) -> Result<(), Failure> {
        let queue = cf.queue_directory();
        let entered = nix::unistd::access(queue.as_str(), nix::unistd::AccessFlags::X_OK)
            .and_then(|()| if Path::new(&queue).is_dir() { Ok(()) } else { Err(nix::errno::Errno::ENOTDIR) });
        entered.map_err(|errno| Failure::new(status, format!("fatal: chdir {queue}: {}", errno.desc())))
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

    /// Speaks by this configuration from now on, beginning with what is odd about it.
    pub fn adopt(&mut self, cf: &MainCf) {
        let log = Log::on_demand(&cf.syslog_name(), self.service, &cf.syslog_facility(), &cf.maillog_file());
        self.log = self.heard(log.with_utf8(cf.shows_utf8()));
        cf.notes().iter().for_each(|note| self.warning(note.to_string()));
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
