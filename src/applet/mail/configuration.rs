//! mailutils' configuration: /etc/mailutils.conf, ~/.PROGRAM, or the file of `--config-file` instead of both, then
//! `--set`. Everything is read before anything is applied; a mistake ends the program, as it does mailutils.

use super::keywords::{self, KEYWORDS, Site};
use super::options::{Asked, What};
use super::session::{Session, Trouble};
use crate::conf::mailutils::{self, Place, Statement, Value};
use crate::exit::Exit;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

const SYSTEM: &str = "/etc/mailutils.conf";
/// A file is no larger, and files are included no deeper.
const LIMIT: u64 = 1 << 20;
const DEEPEST: usize = 16;

/// Reads and applies what the options leave of it. `--config-lint` ends the program here.
pub fn configure(session: &mut Session, asked: &Asked) -> Result<Option<Exit>, Trouble> {
    let has = |wanted: What| asked.options.iter().any(|(what, _)| *what == wanted);
    let mut reader = Reader {
        session,
        verbose: has(What::ConfigVerbose) || has(What::ConfigLint),
        statements: Vec::new(),
        failed: false,
    };
    let named = asked.options.iter().rev().find(|(what, _)| *what == What::ConfigFile).map(|(_, value)| value);
    match named {
        Some(name) => reader.named(name)?,
        None => {
            if !has(What::NoSiteConfig) && !has(What::NoConfig) {
                reader.standard(Path::new(SYSTEM), Origin::Site)?;
            }
            if !has(What::NoUserConfig) && !has(What::NoConfig) {
                let own = reader.session.home().join(format!(".{}", reader.session.program));
                reader.standard(&own, Origin::User)?;
            }
        }
    }
    for (_, value) in asked.options.iter().filter(|(what, _)| *what == What::Set) {
        reader.statements.extend(from_option(value));
    }
    for (_, value) in asked.options.iter().filter(|(what, _)| *what == What::DebugLevel) {
        keywords::debug_levels(value).iter().for_each(|verdict| reader.verdict(None, verdict));
    }
    let mut site = Site { host: reader.session.host.clone(), ..Site::default() };
    let statements = std::mem::take(&mut reader.statements);
    for statement in &statements {
        reader.apply(statement, "", &mut site);
    }
    if reader.failed {
        return Err(Trouble::Many(Vec::new()));
    }
    session.adopt(site);
    Ok(has(What::ConfigLint).then_some(Exit::OK))
}

/// Which file it is, which decides what may stand in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Site,
    User,
    Included,
}

/// A statement and where it stands; what --set says stands nowhere.
struct Item {
    place: Option<Place>,
    keyword: String,
    values: Vec<Value>,
    block: Option<Vec<Item>>,
}

impl From<Statement> for Item {
    fn from(statement: Statement) -> Item {
        let block = statement.block.map(|block| block.into_iter().map(Item::from).collect());
        Item { place: Some(statement.place), keyword: statement.keyword, values: statement.values, block }
    }
}

/// `SECTION.KEYWORD=VALUE`. A dot in the value is the value's own: mailutils takes it for one more section.
fn from_option(text: &str) -> Option<Item> {
    let (path, value) = text.split_once('=')?;
    let mut names: Vec<&str> = path.split('.').map(str::trim).collect();
    let keyword = names.pop()?;
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let list = value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let text = |one: &str| Value::Text(one.trim().to_owned());
    let values = match list {
        Some(list) => vec![Value::List(list.split(',').map(text).collect())],
        None => value.split_whitespace().map(text).collect(),
    };
    let item = Item { place: None, keyword: keyword.to_owned(), values, block: None };
    if keyword.is_empty() {
        return None;
    }
    Some(names.iter().rev().fold(item, |inner, name| Item {
        place: None,
        keyword: (*name).to_owned(),
        values: Vec::new(),
        block: Some(vec![inner]),
    }))
}

struct Reader<'s> {
    session: &'s mut Session,
    verbose: bool,
    statements: Vec<Item>,
    failed: bool,
}

impl Reader<'_> {
    /// At a terminal too it is said which program speaks: whoever reads mail did not write this file just now.
    fn say(&mut self, place: Option<&Place>, english: &str, arguments: &[&str]) {
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        let sentence = self.session.texts.say(english, arguments);
        let _ = writeln!(io::stderr(), "{}: {place}{sentence}", self.session.program);
    }

    fn tell(&mut self, english: &str, name: &str) {
        if self.verbose {
            self.say(None, english, &[name]);
        }
    }

    fn verdict(&mut self, place: Option<&Place>, verdict: &keywords::Verdict) {
        let said = |argument: &String| self.session.texts.say(argument, &[]);
        let arguments: Vec<String> = verdict.arguments.iter().map(said).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.say(place, verdict.english, &arguments);
        self.failed |= verdict.fatal;
    }

    /// The file of --config-file, which has to be there.
    fn named(&mut self, name: &str) -> Result<(), Trouble> {
        let reason = match self.parse(Path::new(name)) {
            Ok(Some(statements)) => return self.include_all(statements, Origin::User, 0),
            Ok(None) => "No such file or directory".to_owned(),
            Err(reason) => reason,
        };
        let reason = self.session.texts.say(&reason, &[]);
        self.say(None, "errors parsing file {}: {}", &[name, &reason]);
        Err(Trouble::Many(Vec::new()))
    }

    /// A file that need not be there.
    fn standard(&mut self, path: &Path, origin: Origin) -> Result<(), Trouble> {
        match self.parse(path) {
            Ok(statements) => self.include_all(statements.unwrap_or_default(), origin, 0),
            Err(reason) => {
                self.say(None, &reason, &[]);
                Err(Trouble::Many(Vec::new()))
            }
        }
    }

    /// A file's statements; None where there is no file, the error is why it could not be read, in English.
    fn parse(&mut self, path: &Path) -> Result<Option<Vec<Item>>, String> {
        let name = path.display().to_string();
        self.tell("opening configuration file {}", &name);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.tell("configuration file {} doesn't exist", &name);
                return Ok(None);
            }
            Err(error) => {
                let reason = self.session.texts.reason(&error);
                self.say(None, "cannot open config file `{}': {}", &[&name, &reason]);
                return Err(crate::sys::files::reason(&error));
            }
        };
        // Maildirs are called ~/.mail too.
        if !file.metadata().is_ok_and(|data| data.is_file()) {
            self.tell("{}: not a regular file", &name);
            return Ok(None);
        }
        self.tell("parsing file `{}'", &name);
        let mut text = Vec::new();
        file.take(LIMIT).read_to_end(&mut text).map_err(|error| crate::sys::files::reason(&error))?;
        let parsed = mailutils::parse(&name, &text);
        for mistake in &parsed.mistakes {
            self.say(mistake.place.as_ref(), mistake.english, &[&mistake.argument]);
            self.failed = true;
        }
        self.tell("finished parsing file `{}'", &name);
        let statements = parsed.statements.ok_or("Operation failed")?;
        Ok(Some(statements.into_iter().map(Item::from).collect()))
    }

    /// Puts what included files say where they are included, and opens the `program` blocks that are for this one.
    fn include_all(&mut self, statements: Vec<Item>, origin: Origin, depth: usize) -> Result<(), Trouble> {
        for item in statements {
            let place = item.place.clone();
            let texts: Vec<&str> = item.values.iter().flat_map(Value::texts).collect();
            let text = match (item.values.as_slice(), texts.as_slice()) {
                ([Value::Text(_)], [text]) => Some((*text).to_owned()),
                _ => None,
            };
            match (item.keyword.as_str(), item.block) {
                ("program", Some(_)) if origin != Origin::Site => {
                    self.say(
                        place.as_ref(),
                        "ignoring `program' block: not located in top-level configuration file",
                        &[],
                    );
                }
                ("program", Some(block)) => match text {
                    Some(name) if name == self.session.program => self.include_all(block, origin, depth)?,
                    Some(_) => {}
                    None => {
                        self.say(place.as_ref(), "argument to `program' is not a string", &[]);
                        self.failed = true;
                    }
                },
                ("include", None) => match text {
                    Some(name) => self.include(place.as_ref(), &name, origin, depth)?,
                    None => {
                        self.say(place.as_ref(), "argument to `include' is not a string", &[]);
                        self.failed = true;
                    }
                },
                (_, block) => self.statements.push(Item { block, ..item }),
            }
        }
        Ok(())
    }

    fn include(&mut self, place: Option<&Place>, name: &str, origin: Origin, depth: usize) -> Result<(), Trouble> {
        let mut path = Path::new(SYSTEM).parent().unwrap_or(Path::new("/")).join(name);
        let Ok(data) = std::fs::metadata(&path) else {
            self.say(place, "include file or directory does not exist", &[]);
            self.failed = true;
            return Ok(());
        };
        if data.is_dir() {
            if origin != Origin::Site {
                let only =
                    "ignoring `include': directory argument is allowed only from the top-level configuration file";
                self.say(place, only, &[]);
                return Ok(());
            }
            path = path.join(&self.session.program);
        }
        if depth == DEEPEST {
            self.say(place, "files are included too deep", &[]);
            self.failed = true;
            return Ok(());
        }
        // A mistake in it was told, and the others are still looked for.
        let statements = self.parse(&path).ok().flatten().unwrap_or_default();
        self.include_all(statements, Origin::Included, depth + 1)
    }

    /// A statement of a section; sections of other programs are theirs.
    fn apply(&mut self, item: &Item, section: &str, site: &mut Site) {
        if let Some(block) = &item.block {
            if section.is_empty() && KEYWORDS.iter().any(|known| known.section == item.keyword) {
                block.iter().for_each(|inner| self.apply(inner, &item.keyword, site));
            }
            return;
        }
        let place = item.place.as_ref();
        let known = KEYWORDS.iter().find(|known| known.section == section && known.name == item.keyword);
        let Some(known) = known else {
            self.say(place, "unknown keyword `{}'", &[&item.keyword]);
            self.failed = true;
            return;
        };
        let texts: Vec<&str> = item.values.iter().flat_map(Value::texts).collect();
        let single = matches!(item.values.as_slice(), [Value::Text(_)]);
        if !single && known.kind != keywords::Kind::FileChecks {
            self.say(place, "unexpected value: {}", &[texts.first().copied().unwrap_or_default()]);
            self.failed = true;
            return;
        }
        let (said, taken) = keywords::verdicts(known.kind, &texts);
        said.iter().for_each(|verdict| self.verdict(place, verdict));
        if let (Some(effect), Some(text), true) = (known.effect, texts.first(), taken) {
            effect(site, text);
        }
    }
}

/// `--config-help`: the structure, from the table.
pub fn help(program: &str) -> String {
    let mut text = format!(
        "# Configuration file structure for {program} utility.\n# For use in global configuration file ({SYSTEM}), \
         enclose it in\n# `program {program} {{ ... }};\n# For more information, use `man mail'.\n"
    );
    let mut section = "";
    for known in KEYWORDS {
        if known.section != section {
            if !section.is_empty() {
                text.push_str("};\n\n");
            }
            section = known.section;
            text.push_str(&format!("{section} {{\n"));
        }
        comment(&mut text, "  # ", known.about);
        text.push_str(&format!("  {} <{}>;\n", known.name, known.value));
    }
    text.push_str("};\n\n");
    let include = "Read this file too. Of a directory, which only the site-wide file may name, the file that is called as \
                   the program is.";
    comment(&mut text, "# ", include);
    text.push_str("include <file-or-directory: string>;\n");
    text
}

/// Words in lines of 78 columns.
fn comment(text: &mut String, mark: &str, words: &str) {
    let mut line = mark.to_owned();
    for word in words.split(' ') {
        if line.len() > mark.len() && line.len() + 1 + word.len() > 78 {
            text.push_str(line.trim_end());
            text.push('\n');
            line = mark.to_owned();
        }
        if line.len() > mark.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
