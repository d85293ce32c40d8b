//! postconf's command line.

use crate::applet::{Invocation, cli};
use crate::exit::{Exit, Failure};
use clap::{Arg, ArgAction, Command};
use std::path::PathBuf;

/// What is shown or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Main,
    Services,
    Fields,
    Overrides,
    Locks,
    Maps,
    SaslServer,
    SaslClient,
    Templates,
    Tls(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editing {
    None,
    Set,
    CommentOut,
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    pub builtin: bool,
    pub service: bool,
    pub user: bool,
}

#[derive(Debug)]
pub struct Options {
    pub subject: Subject,
    pub editing: Editing,
    pub config: Option<PathBuf>,
    pub classes: Classes,
    pub defaults: bool,
    pub only_set: bool,
    pub fold: bool,
    pub hide_name: bool,
    pub hide_value: bool,
    pub expand: bool,
    /// An object of JSON for each parameter or service.
    pub json: bool,
    pub quiet: bool,
    /// -b: notices with their names filled in.
    pub fill_in: bool,
    pub overrides: Vec<(String, String)>,
    pub operands: Vec<String>,
}

const LETTERS: &str = "aAbc:C:deEfFhHjlmMno:pPqtT:vxX#";

/// The options that must agree, in the order in which messages name them.
const NAMED: &str = "aAbCdefFhHjlmMnopPtTxX#";
/// Of each set at most one.
const EXCLUSIVE: &[&str] =
    &["aAbFlmMpPtT", "denX#", "efX#", "eX#x", "ehX#", "eHX#", "hH", "ej", "fj", "hj", "Hj", "jX", "j#"];
/// What goes with each subject.
const COMPATIBLE: &[(char, &str)] = &[
    ('a', ""),
    ('A', ""),
    ('b', ""),
    ('l', ""),
    ('m', ""),
    ('T', ""),
    ('t', ""),
    ('p', "CdefhHjnoxX#"),
    ('M', "efjoxX#"),
    ('F', "efhHjox"),
    ('P', "efhHjoxX"),
];

const USAGE: &str = "usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] \
[-c config_dir] [-c param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] \
[-F (master.cf fields)] [-h (no names)] [-H (no values)] [-l (lock types)] [-m (map types)] [-M (master.cf)] \
[-n (non-default parameters)] [-o name=value (override parameter value)] [-p (main.cf, default)] \
[-P (master.cf parameters)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] \
[-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";

pub fn parse(call: &Invocation) -> Result<Options, Failure> {
    let usage = || USAGE.replacen("postconf", &call.program, 1);
    let parsed = cli::getopt(LETTERS, &call.args)
        .map_err(|error| Failure::new(Exit::FAIL, format!("{error}\n{}: fatal: {}", call.program, usage())))?;
    let mut options = Options {
        subject: Subject::Main,
        editing: Editing::None,
        config: None,
        classes: Classes { builtin: true, service: true, user: true },
        defaults: false,
        only_set: false,
        fold: false,
        hide_name: false,
        hide_value: false,
        expand: false,
        json: false,
        quiet: false,
        fill_in: false,
        overrides: Vec::new(),
        operands: parsed.operands.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
    };
    let mut modes = Vec::new();
    for option in &parsed.options {
        let value = option.value.as_ref().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        match option.letter {
            'a' => options.subject = Subject::SaslServer,
            'A' => options.subject = Subject::SaslClient,
            'b' | 't' => {
                options.subject = Subject::Templates;
                options.fill_in = option.letter == 'b';
            }
            'c' => options.config = option.value.clone().map(PathBuf::from),
            'C' => options.classes = classes(&value)?,
            'd' => options.defaults = true,
            'e' => options.editing = Editing::Set,
            'E' => return Err(Failure::fatal(usage())),
            'f' => options.fold = true,
            'F' => options.subject = Subject::Fields,
            'h' => options.hide_name = true,
            'H' => options.hide_value = true,
            'j' => options.json = true,
            'l' => options.subject = Subject::Locks,
            'm' => options.subject = Subject::Maps,
            'M' => options.subject = Subject::Services,
            'n' => options.only_set = true,
            'o' => options.overrides.push(override_of(&value)?),
            'P' => options.subject = Subject::Overrides,
            'q' => options.quiet = true,
            'T' if matches!(options.subject, Subject::Tls(_)) => {
                return Err(Failure::fatal("At most one -T <mode> option may be specified"));
            }
            'T' => options.subject = Subject::Tls(value),
            'x' => options.expand = true,
            'X' => options.editing = Editing::Remove,
            '#' => options.editing = Editing::CommentOut,
            // -p is the default, -v says nothing more.
            _ => {}
        }
        if NAMED.contains(option.letter) && !modes.contains(&option.letter) {
            modes.push(option.letter);
        }
    }
    if modes.contains(&'b') && modes.contains(&'t') {
        return Err(Failure::fatal("specify one of -b and -t"));
    }
    if !modes.iter().any(|mode| EXCLUSIVE.first().is_some_and(|subjects| subjects.contains(*mode))) {
        modes.push('p');
    }
    // The first operand decides whether something is set.
    let edits = matches!(options.subject, Subject::Main | Subject::Services | Subject::Fields | Subject::Overrides);
    let assigns = edits && options.operands.first().is_some_and(|word| word.contains('='));
    if assigns && !modes.contains(&'e') {
        modes.push('e');
    }
    agree(&modes)?;
    if assigns {
        options.editing = Editing::Set;
    }
    Ok(options)
}

fn agree(modes: &[char]) -> Result<(), Failure> {
    let named = |wanted: &dyn Fn(char) -> bool| -> Vec<String> {
        NAMED.chars().filter(|mode| modes.contains(mode) && wanted(*mode)).map(|mode| format!("-{mode}")).collect()
    };
    for set in EXCLUSIVE {
        let both = named(&|mode| set.contains(mode));
        if both.len() > 1 {
            return Err(Failure::fatal(format!("specify one of {}", both.join(" "))));
        }
    }
    for (subject, with) in COMPATIBLE.iter().filter(|(subject, _)| modes.contains(subject)) {
        let excess = named(&|mode| mode != *subject && !with.contains(mode));
        if !excess.is_empty() {
            return Err(Failure::fatal(format!("with option -{subject}, do not specify {}", excess.join(" "))));
        }
    }
    Ok(())
}

fn classes(text: &str) -> Result<Classes, Failure> {
    let mut classes = Classes { builtin: false, service: false, user: false };
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "builtin" => classes.builtin = true,
            "service" => classes.service = true,
            "user" => classes.user = true,
            "all" => classes = Classes { builtin: true, service: true, user: true },
            _ => return Err(Failure::fatal(format!("unknown -C option value \"{word}\" in \"{text}\""))),
        }
    }
    Ok(classes)
}

/// What -o gives.
fn override_of(text: &str) -> Result<(String, String), Failure> {
    use crate::conf::main_cf::{Missing, split_assignment};
    let (name, value) = split_assignment(text).map_err(|missing| {
        let what = match missing {
            Missing::Equals => "missing '=' after attribute name",
            Missing::Name => "missing attribute name",
        };
        Failure::fatal(format!("invalid parameter override: {text}: {what}"))
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

/// "name=value", the error in the reference's words.
pub fn assignment(text: &str) -> Result<(String, String), Failure> {
    use crate::conf::main_cf::{Missing, split_assignment};
    match split_assignment(text) {
        Ok((name, value)) => Ok((name.to_owned(), value.to_owned())),
        Err(Missing::Equals) => Err(Failure::fatal(format!("missing '=' after attribute name: \"{text}\""))),
        Err(Missing::Name) => Err(Failure::fatal(format!("missing attribute name: \"{text}\""))),
    }
}

pub fn cli() -> Command {
    let flag = |letter: &'static str, help: &'static str| {
        Arg::new(letter).short(letter.chars().next()).action(ArgAction::SetTrue).help(help)
    };
    let value = |letter: &'static str, name: &'static str, help: &'static str| {
        Arg::new(letter).short(letter.chars().next()).value_name(name).help(help)
    };
    Command::new("postconf")
        .about("show and change the configuration")
        .disable_help_flag(true)
        .arg(flag("a", "list the server's SASL types"))
        .arg(flag("A", "list the client's SASL types"))
        .arg(flag("b", "show the texts of notices with their values"))
        .arg(value("c", "DIRECTORY", "the configuration is there"))
        .arg(value("C", "CLASS", "only builtin, service, user or all parameters"))
        .arg(flag("d", "show defaults"))
        .arg(flag("e", "set parameters (implied by name=value)"))
        .arg(flag("f", "fold long lines"))
        .arg(flag("F", "fields of master.cf"))
        .arg(flag("h", "values only"))
        .arg(flag("H", "names only"))
        .arg(flag("j", "each parameter, service or field as an object of JSON, one a line"))
        .arg(flag("l", "list the lock methods"))
        .arg(flag("m", "list the table types"))
        .arg(flag("M", "services of master.cf"))
        .arg(flag("n", "only what is set in main.cf"))
        .arg(value("o", "NAME=VALUE", "as if main.cf had this"))
        .arg(flag("p", "parameters of main.cf (the default)"))
        .arg(flag("P", "parameters that master.cf sets"))
        .arg(flag("q", "no warnings about names that mean nothing"))
        .arg(flag("t", "show the texts of notices"))
        .arg(value("T", "MODE", "public-key-algorithms, compile-version or run-version"))
        .arg(flag("v", "say more"))
        .arg(flag("x", "expand values"))
        .arg(flag("X", "remove parameters or services"))
        .arg(flag("#", "comment parameters or services out"))
        .arg(Arg::new("names").value_name("NAME[=VALUE]").num_args(0..))
}
