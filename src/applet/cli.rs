//! getopt(3) habits for clap: bundled flags, glued values, POSIX order (options end at the first operand), historic
//! spellings. [`normalise`] rewrites a command line by the program's getopt string into one that clap reads without
//! guessing (each flag alone, each value as `-x=VALUE`, operands after `--`); clap then holds names, help, manual
//! page and completions.

use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

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

/// Splits `args` by a getopt string ("ab:c"). Options end at the first operand or at "--".
pub fn getopt(optstring: &str, args: &[OsString]) -> Result<Parsed, OptError> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            break;
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            parsed.operands.push(arg.clone());
            break;
        }
        let mut at = 1;
        while at < bytes.len() {
            let letter = char::from(bytes[at]);
            at += 1;
            match takes_value(optstring, letter) {
                None => return Err(OptError::Invalid(letter)),
                Some(false) => parsed.options.push(Opt { letter, value: None }),
                Some(true) => {
                    let value = if at < bytes.len() {
                        OsStr::from_bytes(&bytes[at..]).to_owned()
                    } else {
                        args.next().cloned().ok_or(OptError::NoArgument(letter))?
                    };
                    parsed.options.push(Opt { letter, value: Some(value) });
                    break;
                }
            }
        }
    }
    parsed.operands.extend(args.cloned());
    Ok(parsed)
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

/// Parses `args` with a getopt string and the applet's clap command; a bad line is the program's usage failure
/// with `usage_exit`.
pub fn matches(
    command: clap::Command,
    optstring: &str,
    args: &[OsString],
    usage_exit: Exit,
) -> Result<clap::ArgMatches, Failure> {
    let parsed = getopt(optstring, args).map_err(|error| Failure::new(usage_exit, error.to_string()))?;
    command
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .try_get_matches_from(normalise(&parsed))
        .map_err(|error| {
            Failure::new(usage_exit, error.to_string().trim_start_matches("error: ").trim_end().to_owned())
        })
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
    }
}
