//! Entrances for tests that throw any bytes at what mail reads: message lists, command lines, start-up files. Nothing
//! is run and nothing is written here.

use super::headline::Format;
use super::session::OpenBox;
use super::texts::Texts;
use super::variables::Variables;
use super::{command, msglist, words};
use crate::mailbox::store::Store;
use std::path::Path;

/// A mailbox, opened to be asked for message lists.
pub struct Lists {
    open: OpenBox,
}

impl Lists {
    /// None when it is no mailbox.
    pub fn open(path: &Path) -> Option<Lists> {
        let store = Store::open(path, None).ok()?;
        Some(Lists { open: OpenBox::new(store, false, path.to_string_lossy().into_owned(), 22) })
    }

    /// The messages of a list, from 1, or how many bytes the sentence has that says why there are none.
    pub fn choose(&mut self, text: &str, deleted: &[usize], regex: bool) -> Result<Vec<usize>, usize> {
        for (index, state) in self.open.states.iter_mut().enumerate() {
            state.deleted = deleted.contains(&index);
        }
        let words = words::split(text).map_err(|words::Unclosed| 0usize)?;
        let texts = Texts::from_environment();
        match msglist::choose_in(Some(&self.open), texts, "probe", &words, msglist::Scope::Parts, regex) {
            Ok(chosen) => Ok(chosen.into_iter().map(|one| one.index + 1).collect()),
            Err(super::session::Trouble::Say(text) | super::session::Trouble::Address(text)) => Err(text.len()),
            Err(super::session::Trouble::Many(all)) => Err(all.iter().map(String::len).sum()),
            Err(_) => Err(0),
        }
    }
}

/// Reads a start-up file as far as nothing is run: names, words, variables, headlines. How many of its lines are
/// commands.
pub fn start_up_file(text: &str) -> usize {
    let mut variables = Variables::new(80, 24);
    let mut commands = 0;
    for line in text.replace("\\\n", "").lines() {
        let (name, rest) = command::split_name(line.trim());
        let (Some(command), Ok(words)) = (command::find(name), words::split(rest)) else { continue };
        commands += 1;
        let _ = (command::usage(command), words::expand(rest, &|name| Some(name.to_owned())));
        for word in words.iter().filter(|_| command.name == "set") {
            let _ = variables.assign(word);
        }
        let _ = Format::parse(variables.headline());
    }
    let _ = variables.listing();
    commands
}
