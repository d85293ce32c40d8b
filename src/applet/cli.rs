//! getopt(3) habits for clap: bundled flags, glued values, POSIX order (options end at the first operand), historic
//! spellings. [`normalise`] rewrites a command line by the program's getopt string into one that clap reads without
//! guessing (each flag alone, each value as `-x=VALUE`, operands after `--`); clap then holds names, help, manual
//! page and completions.

use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One option as it stood on the command line, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    pub letter: char,
    pub value: Option<OsString>,
}

/// What getopt makes of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub options: Vec<Opt>,
    pub operands: Vec<OsString>,
}

/// What is wrong with a command line; the text is getopt's own.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptError {
    #[error("invalid option -- '{0}'")]
    Invalid(char),
    #[error("option requires an argument -- '{0}'")]
    NoArgument(char),
}

impl OptError {
    /// Says it as getopt does, in a line of its own before anything that the program says.
    pub fn say(&self, program: &str) {
        let _ = writeln!(std::io::stderr(), "{program}: {self}");
    }
}

/// A command line that is being read, as getopt(3) reads it: options end at the first operand or at "--". Reading may go
/// on after an error, as programs that look twice do.
pub struct Getopt<'a> {
    optstring: &'a str,
    words: &'a [OsString],
    /// The word that is being read, and the letter in it; 0 between words.
    at: usize,
    letter: usize,
}

impl<'a> Getopt<'a> {
    pub fn new(optstring: &'a str, words: &'a [OsString]) -> Getopt<'a> {
        Getopt { optstring, words, at: 0, letter: 0 }
    }

    /// The word that comes next; None in the middle of one, and at the end.
    pub fn word(&self) -> Option<&'a OsStr> {
        if self.letter > 0 { None } else { self.words.get(self.at).map(OsString::as_os_str) }
    }

    /// The word after the next one.
    pub fn word_after(&self) -> Option<&'a OsStr> {
        self.words.get(self.at + 1).map(OsString::as_os_str)
    }

    /// Passes over the next word.
    pub fn pass(&mut self) {
        self.at += 1;
        self.letter = 0;
    }

    /// What was not read: the operands, once there are no more options.
    pub fn operands(&self) -> &'a [OsString] {
        self.words.get(self.at..).unwrap_or_default()
    }
}

impl Iterator for Getopt<'_> {
    type Item = Result<Opt, OptError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.words.get(self.at)?.as_bytes();
        if self.letter == 0 {
            if bytes == b"--" {
                // What follows is operands: a word that is none ends the reading.
                self.at += 1;
                self.words = self.words.get(self.at..)?;
                self.at = 0;
                self.optstring = "";
                return None;
            }
            if self.optstring.is_empty() || bytes.len() < 2 || bytes.first() != Some(&b'-') {
                return None;
            }
            self.letter = 1;
        }
        let letter = char::from(*bytes.get(self.letter)?);
        let rest = bytes.get(self.letter + 1..).filter(|rest| !rest.is_empty());
        match takes_value(self.optstring, letter) {
            Some(true) => {
                self.pass();
                let value = rest.map(|rest| OsStr::from_bytes(rest).to_owned()).or_else(|| {
                    let value = self.words.get(self.at).cloned();
                    self.at += 1;
                    value
                });
                match value {
                    Some(value) => Some(Ok(Opt { letter, value: Some(value) })),
                    None => {
                        self.at = self.words.len();
                        Some(Err(OptError::NoArgument(letter)))
                    }
                }
            }
            known => {
                match rest {
                    Some(_) => self.letter += 1,
                    None => self.pass(),
                }
                Some(known.map(|_| Opt { letter, value: None }).ok_or(OptError::Invalid(letter)))
            }
        }
    }
}

/// The configuration directory that -c names, before anything else is looked at.
pub fn directory(optstring: &str, args: &[OsString]) -> Option<PathBuf> {
    let options = Getopt::new(optstring, args).filter_map(Result::ok);
    options.filter(|option| option.letter == 'c').filter_map(|option| option.value).last().map(PathBuf::from)
}

/// Splits `args` by a getopt string ("ab:c"), to the first error.
pub fn getopt(optstring: &str, args: &[OsString]) -> Result<Parsed, OptError> {
    let mut line = Getopt::new(optstring, args);
    let options = line.by_ref().collect::<Result<Vec<Opt>, OptError>>()?;
    Ok(Parsed { options, operands: line.operands().to_vec() })
}

/// Whether the option of the getopt string takes a value; None: no such option.
fn takes_value(optstring: &str, letter: char) -> Option<bool> {
    let at = optstring.find(letter).filter(|_| letter != ':')?;
    Some(optstring[at + letter.len_utf8()..].starts_with(':'))
}

/// The command line in clap's clearest spelling.
pub fn normalise(parsed: &Parsed) -> Vec<OsString> {
    let mut line = Vec::new();
    for option in &parsed.options {
        let mut word = format!("-{}", option.letter).into_bytes();
        if let Some(value) = &option.value {
            word.push(b'=');
            word.extend_from_slice(value.as_bytes());
        }
        line.push(OsString::from_vec(word));
    }
    line.push("--".into());
    line.extend(parsed.operands.iter().cloned());
    line
}

/// Parses `args` with a getopt string and the applet's clap command. A bad line is getopt's own complaint, and the
/// program's usage failure: `usage` is the text behind "fatal: usage: ".
pub fn matches(
    command: clap::Command,
    optstring: &str,
    call: &super::Invocation,
    usage: (Exit, &str),
) -> Result<clap::ArgMatches, Failure> {
    let failure = || Failure::new(usage.0, format!("fatal: usage: {}", usage.1));
    let parsed = getopt(optstring, &call.args).map_err(|error| {
        error.say(&call.program);
        failure()
    })?;
    command
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .try_get_matches_from(normalise(&parsed))
        .map_err(|_| failure())
}

/// Parses a command line of our own making (long options, --help), which no getopt string describes.
pub fn long(command: clap::Command, args: &[OsString]) -> Result<clap::ArgMatches, Failure> {
    command.no_binary_name(true).try_get_matches_from(args).map_err(|error| match error.kind() {
        clap::error::ErrorKind::DisplayHelp => {
            let _ = write!(std::io::stdout(), "{error}");
            Failure::silent(Exit::OK)
        }
        _ => Failure::new(Exit::USAGE, error.to_string().trim_start_matches("error: ").trim_end().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn bundles_values_and_the_end_of_options() {
        let parsed = getopt("ab:c", &words("-acbx -b y z -a")).unwrap();
        let letters: Vec<_> = parsed.options.iter().map(|o| (o.letter, o.value.clone())).collect();
        assert_eq!(letters, [('a', None), ('c', None), ('b', Some("x".into())), ('b', Some("y".into()))]);
        assert_eq!(parsed.operands, words("z -a"));
        assert_eq!(getopt("a", &words("-x")), Err(OptError::Invalid('x')));
        assert_eq!(getopt("a:", &words("-a")), Err(OptError::NoArgument('a')));
        assert_eq!(getopt("a", &words("-a -- -a b")).unwrap().operands, words("-a b"));
    }

    #[test]
    fn reading_goes_on_after_an_error() {
        let line = words("-xa -y -b v -- -a");
        let mut line = Getopt::new("ab:", &line);
        let read: Vec<_> = line.by_ref().collect();
        assert_eq!(read.len(), 4);
        assert_eq!(read[0], Err(OptError::Invalid('x')));
        assert_eq!(read[2], Err(OptError::Invalid('y')));
        assert_eq!(line.operands(), words("-a"));
        assert!(line.next().is_none());
    }
}
