//! Changing main.cf and master.cf: comments, order and everything that is not asked for stay as they are. The file is
//! replaced by a rename, under a lock, with its mode and owner; readers see the old text or the new one.

use super::main_cf::ConfError;
use super::master_text::{Entry, EntryError};
use crate::sys::files::{Replacement, reason};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Longest file that is edited.
const MAX_FILE: u64 = 64 << 20;

/// Replaces the content of `path` by what `change` makes of it.
pub fn replace(path: &Path, change: impl FnOnce(&str) -> Result<String, String>) -> Result<(), ConfError> {
    let open = |error: std::io::Error| ConfError::Open { path: path.to_owned(), source: error };
    // A link stays a link: the file behind it is replaced.
    let target = std::fs::canonicalize(path).map_err(open)?;
    let lock = loop {
        let file = File::open(&target).map_err(open)?;
        file.lock().map_err(open)?;
        let (held, named) = (file.metadata().map_err(open)?, std::fs::metadata(&target).map_err(open)?);
        // Someone else may have replaced it while we waited.
        if held.ino() == named.ino() && held.dev() == named.dev() {
            break file;
        }
    };
    let data = lock.metadata().map_err(open)?;
    if data.len() > MAX_FILE {
        return Err(ConfError::Plain(format!("{}: file too large", path.display())));
    }
    let old = std::fs::read(&target).map_err(open)?;
    let old = String::from_utf8(old)
        .map_err(|_| ConfError::Plain(format!("{}: not UTF-8 text; not edited", path.display())))?;
    let new = change(&old).map_err(ConfError::Plain)?;
    let failed = |error: std::io::Error| ConfError::Plain(format!("edit {}: {}", path.display(), reason(&error)));
    let mut file = Replacement::create(&target, data.mode() & 0o7777).map_err(failed)?;
    file.own_as(&data);
    file.write_all(new.as_bytes()).map_err(failed)?;
    file.commit().map_err(failed)
}

/// A piece of a file: an entry with its continuation lines, or anything else (comments, empty lines). Comments inside
/// an entry are part of it.
struct Chunk<'a> {
    /// Physical lines with their line ends.
    lines: Vec<&'a str>,
    is_entry: bool,
}

fn is_comment(line: &str) -> bool {
    let content = line.trim_start();
    content.is_empty() || content.starts_with('#')
}

fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks: Vec<Chunk<'_>> = Vec::new();
    // Comments that may turn out to stand inside an entry.
    let mut pending: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        if is_comment(line) {
            pending.push(line);
            continue;
        }
        match chunks.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) && last.is_entry => last.lines.append(&mut pending),
            _ => {
                if !pending.is_empty() {
                    chunks.push(Chunk { lines: std::mem::take(&mut pending), is_entry: false });
                }
                chunks.push(Chunk { lines: Vec::new(), is_entry: !line.starts_with([' ', '\t']) });
            }
        }
        if let Some(last) = chunks.last_mut() {
            last.lines.push(line);
        }
    }
    if !pending.is_empty() {
        chunks.push(Chunk { lines: pending, is_entry: false });
    }
    chunks
}

impl Chunk<'_> {
    /// The entry as one line, comments left out.
    fn logical(&self) -> String {
        self.lines.iter().filter(|line| !is_comment(line)).map(|line| line.trim_end_matches('\n')).collect()
    }

    fn comments(&self, out: &mut String) {
        self.lines.iter().filter(|line| is_comment(line)).for_each(|line| out.push_str(line));
    }

    fn keep(&self, out: &mut String) {
        self.lines.iter().for_each(|line| out.push_str(line));
    }

    fn comment_out(&self, out: &mut String) {
        for line in &self.lines {
            if !is_comment(line) {
                out.push('#');
            }
            out.push_str(line);
        }
    }
}

/// What to do with the parameters that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Set,
    CommentOut,
    Remove,
}

/// The new text of a main.cf: each of `changes` (name and value) set, commented out or removed.
pub fn main_cf(text: &str, action: Action, changes: &[(String, String)], warn: &mut dyn FnMut(&str)) -> String {
    let mut seen = vec![0u32; changes.len()];
    let mut out = String::with_capacity(text.len() + 80);
    for chunk in chunks(text) {
        let logical = chunk.logical();
        let name = logical.split(|c: char| c == '=' || c.is_ascii_whitespace()).next().unwrap_or_default();
        let wanted = changes.iter().rposition(|(wanted, _)| wanted == name).filter(|_| chunk.is_entry);
        let Some(at) = wanted else {
            chunk.keep(&mut out);
            continue;
        };
        seen[at] += 1;
        if seen[at] == 2 {
            warn(name);
        }
        match action {
            Action::Set => {
                out.push_str(&format!("{name} = {}\n", changes[at].1));
                chunk.comments(&mut out);
            }
            Action::CommentOut => chunk.comment_out(&mut out),
            Action::Remove => chunk.comments(&mut out),
        }
    }
    if action == Action::Set {
        end_line(&mut out);
        for (at, (name, value)) in changes.iter().enumerate() {
            let later = changes[at + 1..].iter().any(|(other, _)| other == name);
            if seen[at] == 0 && !later {
                out.push_str(&format!("{name} = {value}\n"));
            }
        }
    }
    out
}

/// What becomes of one entry of master.cf.
pub enum Fate {
    Keep,
    /// A new entry stands where the old one stood; the comments of the old one follow it.
    Replace(Box<Entry>),
    /// The same entry, changed; comments inside it and below it come first.
    Change(Box<Entry>),
    CommentOut,
    Remove,
}

/// The new text of the master.cf called `file`: `fate` decides about each entry that is `wanted` by its service and
/// type, and which must then be well-formed; `added` come last.
pub fn master_cf(
    text: &str,
    file: &str,
    wanted: &dyn Fn(&str, &str) -> bool,
    fate: &mut dyn FnMut(Entry) -> Result<Fate, String>,
    added: &[Entry],
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 80);
    let mut chunks = chunks(text).into_iter().peekable();
    let mut line = 1;
    while let Some(chunk) = chunks.next() {
        let first = line;
        line += chunk.lines.len();
        if !chunk.is_entry {
            chunk.keep(&mut out);
            continue;
        }
        let logical = chunk.logical();
        let mut words = logical.split_ascii_whitespace();
        let (Some(service), Some(kind)) = (words.next(), words.next()) else {
            return Err(format!("file {file}: line {first}: specify service name and type on the same line"));
        };
        if !wanted(service, kind) {
            chunk.keep(&mut out);
            continue;
        }
        let entry = Entry::parse(&logical, &mut |_| {}).map_err(|error| match error {
            EntryError::Count => format!("file {file}: line {first}: {error}"),
            // The reference shows the line with its end.
            EntryError::Field { field, value, line } => format!("invalid {field} field \"{value}\" in \"{line} \""),
        })?;
        match fate(entry)? {
            Fate::Keep => chunk.keep(&mut out),
            Fate::Replace(entry) => {
                out.push_str(&entry.text(true));
                out.push('\n');
                chunk.comments(&mut out);
            }
            Fate::Change(entry) => {
                chunk.comments(&mut out);
                // The reference meets the comments below while it looks for more of the entry.
                while let Some(below) = chunks.next_if(|chunk| !chunk.is_entry) {
                    line += below.lines.len();
                    below.keep(&mut out);
                }
                out.push_str(&entry.text(true));
                out.push('\n');
            }
            Fate::CommentOut => chunk.comment_out(&mut out),
            Fate::Remove => chunk.comments(&mut out),
        }
    }
    for entry in added {
        end_line(&mut out);
        out.push_str(&entry.text(true));
        out.push('\n');
    }
    Ok(out)
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# top\nbiff = no\n\n# two\nmyorigin=a,\n  b\n# in\n  c\n#end\n";

    fn edit(action: Action, changes: &[(&str, &str)]) -> String {
        let changes: Vec<_> = changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        main_cf(TEXT, action, &changes, &mut |_| {})
    }

    #[test]
    fn what_is_not_asked_for_stays() {
        assert_eq!(
            edit(Action::Set, &[("myorigin", "x"), ("new", "1")]),
            "# top\nbiff = no\n\n# two\nmyorigin = x\n# in\n#end\nnew = 1\n"
        );
        assert_eq!(
            edit(Action::CommentOut, &[("myorigin", "")]),
            "# top\nbiff = no\n\n# two\n#myorigin=a,\n#  b\n# in\n#  c\n#end\n"
        );
        assert_eq!(edit(Action::Remove, &[("biff", "")]).lines().next(), Some("# top"));
        assert_eq!(edit(Action::Remove, &[("none", "")]), TEXT);
    }
}
