//! What the lints look at, read once: main.cf and master.cf as text and as what they mean, and the sources of the
//! alias tables.

use super::finding::Span;
use crate::conf::MainCf;
use crate::conf::main_cf::split_assignment;
use crate::conf::master_cf::{self, Service};
use crate::conf::master_text::{self, Entry};
use crate::conf::scope::Scope;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A text file and where its lines begin.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    pub fn read(path: &Path) -> Result<Source, String> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("open {}: {}", path.display(), crate::sys::files::reason(&error)))?;
        Ok(Source { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// Each physical line with its number and where it begins.
    pub fn lines(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        let mut start = 0;
        self.text.split_inclusive('\n').enumerate().map(move |(index, line)| {
            let here = start;
            start += line.len();
            (index + 1, here, line.trim_end_matches(['\n', '\r']))
        })
    }

    pub fn span(&self, line: usize, range: Range<usize>) -> Span {
        Span { file: self.path.clone(), line, range }
    }
}

/// "name = value" in main.cf.
pub struct Assignment {
    pub name: String,
    pub line: usize,
    pub name_range: Range<usize>,
    /// The pieces of the value, one for each physical line.
    pub pieces: Vec<(usize, Range<usize>)>,
}

pub struct Ground {
    pub cf: MainCf,
    pub main: Source,
    pub master: Source,
    pub services: Vec<Service>,
    pub entries: Vec<Entry>,
    pub scope: Scope,
    pub assignments: Vec<Assignment>,
    /// The sources of alias_maps that have one.
    pub aliases: Vec<Source>,
}

impl Ground {
    pub fn read(directory: &Path) -> Result<Ground, String> {
        let cf = MainCf::read(directory).map_err(|error| error.to_string())?;
        let main = Source::read(&cf.file())?;
        let master = Source::read(&directory.join("master.cf"))?;
        let services = master_cf::read(directory).map_err(|error| error.to_string())?;
        let entries = master_text::read(directory, &mut |_| {}).map_err(|error| error.to_string())?;
        let scope = Scope::new(&cf, &entries);
        let assignments = assignments(&main);
        let maps = cf.text("alias_maps").unwrap_or_default();
        let mut aliases = Vec::new();
        for item in MainCf::list(&maps) {
            if let Some((_, path)) = item.split_once(':').filter(|(_, path)| path.starts_with('/'))
                && let Ok(source) = Source::read(Path::new(path))
            {
                aliases.push(source);
            }
        }
        Ok(Ground { cf, main, master, services, entries, scope, assignments, aliases })
    }

    /// Where main.cf sets a name: the assignment that counts, which is the last.
    pub fn assignment(&self, name: &str) -> Option<&Assignment> {
        self.assignments.iter().rev().find(|assignment| assignment.name == name)
    }

    /// A value's place; the name's when the value is empty.
    pub fn value_span(&self, name: &str) -> Option<Span> {
        let assignment = self.assignment(name)?;
        let (line, range) =
            assignment.pieces.first().cloned().unwrap_or((assignment.line, assignment.name_range.clone()));
        Some(self.main.span(line, range))
    }

    pub fn name_span(&self, name: &str) -> Option<Span> {
        let assignment = self.assignment(name)?;
        Some(self.main.span(assignment.line, assignment.name_range.clone()))
    }

    /// The place of a word in a value, the whole value when the word comes from elsewhere ($name, a default).
    pub fn word_span(&self, name: &str, word: &str) -> Option<Span> {
        let assignment = self.assignment(name)?;
        for (line, range) in &assignment.pieces {
            let piece = self.main.text.get(range.clone()).unwrap_or_default();
            if let Some(at) = piece.find(word) {
                let start = range.start + at;
                return Some(self.main.span(*line, start..start + word.len()));
            }
        }
        self.value_span(name)
    }

    /// The line of master.cf on which a service begins.
    pub fn service_span(&self, service: &Service) -> Option<Span> {
        let (line, start, text) = self.master.lines().find(|(line, ..)| *line == service.line)?;
        Some(self.master.span(line, start..start + text.split_whitespace().next().map_or(0, str::len)))
    }

    /// The expanded value, "" when it cannot be had; the lint bad-value tells of that.
    pub fn value(&self, name: &str) -> String {
        self.cf.text(name).unwrap_or_default()
    }

    /// The text of a file that a span names.
    pub fn text_of(&self, path: &Path) -> Option<&str> {
        let sources = [&self.main, &self.master].into_iter().chain(&self.aliases);
        sources.into_iter().find(|source| source.path == path).map(|source| source.text.as_str())
    }
}

fn assignments(source: &Source) -> Vec<Assignment> {
    let mut found: Vec<Assignment> = Vec::new();
    for (line, start, text) in source.lines() {
        let content = text.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let whole = |piece: &str| {
            let begin = start + (piece.as_ptr() as usize - text.as_ptr() as usize);
            begin..begin + piece.len()
        };
        if text.starts_with([' ', '\t']) {
            if let Some(last) = found.last_mut() {
                last.pieces.push((line, whole(text.trim())));
            }
        } else if let Ok((name, value)) = split_assignment(text) {
            let pieces = if value.is_empty() { Vec::new() } else { vec![(line, whole(value))] };
            found.push(Assignment { name: name.to_owned(), line, name_range: whole(name), pieces });
        }
    }
    found
}
