//! The options that the reference does not have. They are taken in their full spelling only and before Getopt::Long sees
//! the rest, so that no abbreviation that works with the reference means something else here.

use super::options::Version;
use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What is asked for beyond the reference.
#[derive(Debug, Default)]
pub struct Ours {
    /// --compat, or PFLOGSUMM_COMPAT: whose report.
    pub version: Version,
    /// --threads
    pub threads: Option<usize>,
    /// --partial: where the facts go instead of a report.
    pub partial: Option<PathBuf>,
    /// --merge: the files are such partials.
    pub merge: bool,
}

/// More than any machine has cores.
const MOST_THREADS: usize = 1024;

impl Ours {
    /// Takes our options out of the arguments.
    pub fn parse(args: &[OsString]) -> Result<(Ours, Vec<OsString>), Failure> {
        let mut ours = Ours::default();
        let mut version = std::env::var("PFLOGSUMM_COMPAT").unwrap_or_default();
        let mut rest = Vec::with_capacity(args.len());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                rest.push(arg.clone());
                break;
            }
            let (name, mut glued) = split(arg);
            let mut value = |name: &str| -> Result<OsString, Failure> {
                glued
                    .take()
                    .or_else(|| args.next().cloned())
                    .ok_or_else(|| Failure::new(Exit::USAGE, format!("fatal: {name} needs a value")))
            };
            match name {
                "--compat" => version = value(name).map_or(String::new(), |value| value.to_string_lossy().into_owned()),
                "--threads" => {
                    let text = value(name)?;
                    let number = text.to_str().and_then(|text| text.parse().ok());
                    let number = number.filter(|number| (1..=MOST_THREADS).contains(number));
                    ours.threads = Some(number.ok_or_else(|| wrong(name, &text, "a number of threads"))?);
                }
                "--partial" => ours.partial = Some(value(name)?.into()),
                "--merge" if glued.is_none() => ours.merge = true,
                _ => rest.push(arg.clone()),
            }
        }
        rest.extend(args.cloned());
        ours.version = Version::of(&version).ok_or_else(|| {
            let known = "only those of 1.1.5 and 1.3.0";
            Failure::new(
                Exit::UNAVAILABLE,
                format!("fatal: the report of version {version} is not known here, {known}"),
            )
        })?;
        Ok((ours, rest))
    }
}

/// "--name" and what follows "=".
fn split(arg: &OsStr) -> (&str, Option<OsString>) {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = arg.as_bytes();
    let end = memchr::memchr(b'=', bytes).unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
    (name, bytes.get(end + 1..).map(|value| OsString::from_vec(value.to_vec())))
}

fn wrong(name: &str, value: &OsStr, want: &str) -> Failure {
    Failure::new(Exit::USAGE, format!("fatal: {name} {}: {want} is expected", value.to_string_lossy()))
}
