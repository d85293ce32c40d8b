//! Exit statuses after sysexits(3), and [`Failure`], what an applet returns instead of ending the process.

use std::fmt;

/// An exit status. The constants are those of sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    pub const OK: Exit = Exit(0);
    /// The plain "no" of most programs here, fatal errors of the Postfix commands included.
    pub const FAIL: Exit = Exit(1);
    pub const USAGE: Exit = Exit(64);
    pub const DATAERR: Exit = Exit(65);
    pub const NOINPUT: Exit = Exit(66);
    pub const NOUSER: Exit = Exit(67);
    pub const UNAVAILABLE: Exit = Exit(69);
    pub const SOFTWARE: Exit = Exit(70);
    pub const OSERR: Exit = Exit(71);
    pub const CANTCREAT: Exit = Exit(73);
    pub const IOERR: Exit = Exit(74);
    pub const TEMPFAIL: Exit = Exit(75);
    pub const NOPERM: Exit = Exit(77);
    pub const CONFIG: Exit = Exit(78);
}

/// Why an applet ends with a status other than 0: the status, and the line for stderr if there is one to say.
/// `message` is printed after "NAME: ", NAME being argv[0]'s last component as the caller wrote it.
#[derive(Debug)]
pub struct Failure {
    pub status: Exit,
    pub message: Option<String>,
}

impl Failure {
    pub fn new(status: Exit, message: impl Into<String>) -> Failure {
        Failure { status, message: Some(message.into()) }
    }

    /// A Postfix command's fatal error: status 1, and the word that scripts look for.
    pub fn fatal(message: impl fmt::Display) -> Failure {
        Failure::new(Exit::FAIL, format!("fatal: {message}"))
    }

    /// A status with nothing to say (everything was said already).
    pub fn silent(status: Exit) -> Failure {
        Failure { status, message: None }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        // A reader that went away (`| head`) is a normal end, see style 14.
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::BrokenPipe
        {
            return Failure::silent(Exit::OK);
        }
        Failure::fatal(format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::from(anyhow::Error::from(error))
    }
}
