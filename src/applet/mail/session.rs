//! One run of mail: who, which mailbox, which variables, where to talk. Commands work on this.

use super::input::Input;
use super::keywords::Site;
use super::page::Page;
use super::screen::Screen;
use super::texts::Texts;
use super::variables::Variables;
use crate::mailbox::marks::Flags;
use crate::mailbox::store::Store;
use crate::message::address::Address;
use crate::sys::accounts::{self, Account};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// Why a command did not work: a sentence for the user, or the end of standard output.
#[derive(Debug)]
pub enum Trouble {
    Say(String),
    /// An address that is none: nothing is sent, and it is no failure either, as the original has it.
    Address(String),
    /// Several sentences, each a line of its own.
    Many(Vec<String>),
    Io(io::Error),
}

impl Trouble {
    /// With another sentence.
    pub fn and(self, more: &str) -> Trouble {
        match self {
            Trouble::Say(first) => Trouble::Many(vec![first, more.to_owned()]),
            Trouble::Many(mut all) => {
                all.push(more.to_owned());
                Trouble::Many(all)
            }
            other => other,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Go,
    /// Keep what was done to the mailbox.
    Quit,
    /// Leave it as it is.
    Exit,
}

pub type Done = Result<Next, Trouble>;

/// What happened to a message in this session.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub deleted: bool,
    pub saved: bool,
    /// Goes to mbox at the end.
    pub mboxed: bool,
    /// Stays at the end.
    pub preserved: bool,
    pub tagged: bool,
    /// Was shown or touched.
    pub shown: bool,
    pub answered: bool,
    /// Goes to mbox as if it had been read, without being marked as read.
    pub touched: bool,
    pub unread: bool,
}

/// The mailbox that is open.
pub struct OpenBox {
    pub mbox: Store,
    pub states: Vec<State>,
    /// The screenful, and in it the current message.
    pub page: Page,
    /// The user's own incoming mailbox: what was read moves to mbox at the end.
    pub system: bool,
    /// As it is called in sentences.
    pub name: String,
}

impl OpenBox {
    /// `height`: lines of the screen.
    pub fn new(mbox: Store, system: bool, name: String, height: usize) -> OpenBox {
        let states = vec![State::default(); mbox.messages().len()];
        OpenBox { mbox, states, page: Page::new(height), system, name }
    }

    pub fn is_read(&self, index: usize) -> bool {
        let (Some(state), Some(message)) = (self.states.get(index), self.mbox.messages().get(index)) else {
            return false;
        };
        !state.unread && (state.shown || message.flags.has(Flags::READ))
    }

    pub fn is_new(&self, index: usize) -> bool {
        self.mbox.messages().get(index).is_some_and(|message| !message.flags.has(Flags::OLD))
    }

    pub fn is_old_unread(&self, index: usize) -> bool {
        !self.is_new(index) && !self.is_read(index)
    }

    /// The message that is current at first: one that is new, read or not, else one that is old and unread.
    pub fn first(&self) -> usize {
        let find = |wanted: &dyn Fn(usize) -> bool| {
            (0..self.count()).find(|&index| !self.states[index].deleted && wanted(index))
        };
        find(&|index| self.is_new(index)).or_else(|| find(&|index| !self.is_read(index))).unwrap_or(0)
    }

    /// The current message; a deleted one where none is left.
    pub fn current(&self) -> usize {
        self.page.current(&self.states)
    }

    /// Makes a message the current one.
    pub fn go(&mut self, index: usize) {
        self.page.go(index, &self.states);
    }

    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// The next message from `from` on that is not deleted.
    pub fn next_from(&self, from: usize) -> Option<usize> {
        (from..self.count()).find(|&index| !self.states[index].deleted)
    }

    pub fn previous_from(&self, below: usize) -> Option<usize> {
        (0..below.min(self.count())).rev().find(|&index| !self.states[index].deleted)
    }
}

/// The run.
pub struct Session {
    /// argv[0]'s last part, before error sentences when nobody sits at a terminal.
    pub program: String,
    pub texts: Texts,
    pub variables: Variables,
    pub aliases: BTreeMap<String, Vec<String>>,
    pub ignored: Vec<String>,
    pub retained: Vec<String>,
    /// Fields that are shown in one line.
    pub unfolded: Vec<String>,
    pub sender_fields: Vec<String>,
    pub alternates: Vec<String>,
    /// Header lines that `sendheader` adds to every letter.
    pub send_headers: Vec<(String, String)>,
    /// What is sent is kept in the file of its first recipient, whatever `record` says.
    pub record_by_address: bool,
    pub input: Input,
    pub screen: Screen,
    pub open: Option<OpenBox>,
    pub previous_file: Option<String>,
    pub account: Account,
    /// Where addresses without a domain are.
    pub host: String,
    /// The user's own address, where the configuration gives one.
    pub email: Option<String>,
    /// Path of incoming mailboxes by the configuration.
    pub spool: Option<String>,
    /// Where `+name` is by the configuration.
    pub folder: Option<String>,
    /// A new mbox and a new record are maildirs.
    pub maildir: bool,
    /// Sending, not reading: `if s`.
    pub sending: bool,
    /// `if` blocks that are open: whether their lines count.
    pub conditions: Vec<bool>,
    pub depth: usize,
    pub last_command: String,
    pub escapes: bool,
    /// Arguments for sendmail that followed "--" in the old way.
    pub sendmail_arguments: Vec<String>,
    pub exit: u8,
}

impl Session {
    pub fn new(program: &str) -> Session {
        let account = own_account();
        let input = Input::new();
        let screen = Screen::new();
        let size = terminal_size(screen.terminal || input.terminal);
        let escapes = input.terminal;
        Session {
            program: program.to_owned(),
            texts: Texts::from_environment(),
            variables: Variables::new(size.0, size.1),
            aliases: BTreeMap::new(),
            ignored: Vec::new(),
            retained: Vec::new(),
            unfolded: vec!["subject".into()],
            sender_fields: vec!["mail-followup-to".into(), "reply-to".into(), "from".into()],
            alternates: Vec::new(),
            send_headers: Vec::new(),
            record_by_address: false,
            input,
            screen,
            open: None,
            previous_file: None,
            account,
            host: crate::sys::host::canonical_name(),
            email: None,
            spool: None,
            folder: None,
            maildir: false,
            sending: false,
            conditions: Vec::new(),
            depth: 0,
            last_command: String::new(),
            escapes,
            sendmail_arguments: Vec::new(),
            exit: 0,
        }
    }

    pub fn interactive(&self) -> bool {
        self.input.terminal
    }

    /// Called by a name of bsd-mailx or s-nail.
    pub fn is_of_another_flavour(&self) -> bool {
        ["bsd-mailx", "Mail", "s-nail", "nail", "heirloom-mailx"].contains(&self.program.as_str())
    }

    /// An error sentence, on standard error; named when it may be read in a log.
    pub fn complain(&mut self, sentence: &str) {
        let _ = self.screen.flush();
        let mut err = io::stderr();
        let _ = if self.interactive() {
            writeln!(err, "{}", super::screen::visible(sentence.as_bytes()))
        } else {
            writeln!(err, "{}: {sentence}", self.program)
        };
    }

    /// Tells a trouble; the end of standard output is the caller's.
    pub fn tell(&mut self, trouble: Trouble) -> io::Result<()> {
        match trouble {
            Trouble::Say(sentence) | Trouble::Address(sentence) => self.complain(&sentence),
            Trouble::Many(sentences) => sentences.iter().for_each(|sentence| self.complain(sentence)),
            Trouble::Io(error) => return Err(error),
        }
        Ok(())
    }

    /// A sentence in the user's language as trouble.
    pub fn trouble(&self, english: &str, arguments: &[&str]) -> Trouble {
        Trouble::Say(self.texts.say(english, arguments))
    }

    /// Whether a message of a list is there; says so when it is not.
    pub fn there(&mut self, index: usize) -> Result<bool, Trouble> {
        if self.open.as_ref().is_some_and(|open| index < open.count()) {
            return Ok(true);
        }
        self.tell(super::msglist::invalid(self.texts, index))?;
        Ok(false)
    }

    /// The open mailbox, or the sentence of a command that needs one.
    pub fn opened(&mut self) -> Result<&mut OpenBox, Trouble> {
        match self.open {
            Some(ref mut open) => Ok(open),
            None => Err(Trouble::Say(self.texts.say("No applicable messages", &[]))),
        }
    }

    /// Who runs this: `user@host`, or as the configuration says.
    pub fn own_address(&self) -> String {
        self.email.clone().unwrap_or_else(|| format!("{}@{}", self.account.name.to_string_lossy(), self.host))
    }

    /// Whether mbox, or a record, at this path is a maildir, or is made as one.
    pub fn files_as_maildir(&self, path: &std::path::Path) -> bool {
        crate::mailbox::maildir::is_maildir(path) || self.maildir && !path.exists()
    }

    /// Takes over what the configuration says.
    pub fn adopt(&mut self, site: Site) {
        crate::mailbox::locking::choose(site.locking);
        if !site.host.is_empty() {
            self.host = site.host;
        }
        (self.email, self.spool, self.folder, self.maildir) = (site.email, site.spool, site.folder, site.maildir);
    }

    /// What whoever runs this is called in letters: the name, with and without the host.
    pub fn own_addresses(&self) -> Vec<String> {
        let name = self.email.is_none().then(|| self.account.name.to_string_lossy().into_owned());
        name.into_iter().chain([self.own_address()]).collect()
    }

    pub fn is_own(&self, address: &Address) -> bool {
        self.own_addresses().iter().any(|own| address.mailbox.eq_ignore_ascii_case(own))
    }

    pub fn is_alternate(&self, address: &Address) -> bool {
        self.alternates.iter().any(|other| address.mailbox.eq_ignore_ascii_case(other))
    }

    pub fn home(&self) -> PathBuf {
        std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map_or_else(|| self.account.home.clone(), PathBuf::from)
    }

    /// Where the journal of changes in place may lie.
    pub fn journal_dir(&self) -> PathBuf {
        self.home().join(".cache/pillarbox")
    }

    /// What the programs that mail starts find in their environment too.
    pub fn complete_environment(&self) {
        for name in ["DEAD", "EDITOR", "LISTER", "MAILRC", "MBOX", "PAGER", "SHELL", "VISUAL"] {
            if std::env::var_os(name).is_none() {
                crate::sys::host::set_environment(name, self.environment(name).as_deref());
            }
        }
    }

    /// A variable or one of the environment.
    pub fn expand(&self, name: &str) -> Option<String> {
        self.variables.text(name).or_else(|| self.environment(name))
    }

    /// One of the environment, or what mail takes for it.
    pub fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| {
            let home = self.home();
            Some(match name {
                "DEAD" => home.join("dead.letter").to_string_lossy().into_owned(),
                "MBOX" => home.join("mbox").to_string_lossy().into_owned(),
                "MAILRC" => home.join(".mailrc").to_string_lossy().into_owned(),
                "EDITOR" => "ed".into(),
                "VISUAL" => "vi".into(),
                "PAGER" => "more".into(),
                "LISTER" => "ls".into(),
                "SHELL" => "sh".into(),
                _ => return None,
            })
        })
    }

    pub fn setting(&self, name: &str) -> String {
        self.expand(name).unwrap_or_default()
    }

    /// Texts longer than this go through the pager.
    pub fn page_limit(&self) -> Option<usize> {
        if !self.interactive() || !self.variables.is_set("crt") {
            return None;
        }
        let lines = self.variables.number("crt").or_else(|| self.variables.number("screen")).unwrap_or(24);
        usize::try_from(lines).ok()
    }

    /// Shows a list, through the pager wherever there is one in use.
    pub fn show_paged(&mut self, text: &[u8]) -> io::Result<()> {
        let (limit, pager) = (self.page_limit().map(|_| 0), self.setting("PAGER"));
        self.screen.page(text, limit, &pager)
    }

    /// Shows a text, through the pager when it is long.
    pub fn show(&mut self, text: &[u8]) -> io::Result<()> {
        let (limit, pager) = (self.page_limit(), self.setting("PAGER"));
        self.screen.page(text, limit, &pager)
    }
}

fn own_account() -> Account {
    accounts::by_uid(accounts::real_uid()).unwrap_or_else(|| Account {
        name: std::env::var_os("LOGNAME").or_else(|| std::env::var_os("USER")).unwrap_or_else(|| "nobody".into()),
        uid: accounts::real_uid(),
        gid: 0,
        full_name: String::new(),
        home: std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        shell: PathBuf::from("/bin/sh"),
    })
}

/// (columns, lines of text).
fn terminal_size(terminal: bool) -> (i64, i64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<i64>().ok());
    let asked = if terminal { crate::sys::host::terminal_size() } else { None };
    let columns =
        asked.map(|size| i64::from(size.0)).filter(|size| *size > 0).or_else(|| number("COLUMNS")).unwrap_or(80);
    let lines = asked.map(|size| i64::from(size.1)).filter(|size| *size > 0).or_else(|| number("LINES")).unwrap_or(24);
    (columns, (lines - 2).max(1))
}
