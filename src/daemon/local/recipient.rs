//! One recipient, from its address to everything that it leads to: aliases, .forward, mailbox.

use super::expand::{Target as Item, targets};
use super::forward::ListError;
use super::settings::Settings;
use super::{command, forward, mailbox};
use crate::delivery::marks;
use crate::ipc::delivery::{Request, Target};
use crate::message::envelope;
use crate::status::{Code, Report};
use crate::sys::accounts::{self, Account};
use crate::table::Maps;
use std::collections::HashSet;
use std::fs::File;
use std::io;

/// Aliases inside aliases go no deeper; the reference draws the line at the same depth.
const MAX_DEPTH: usize = 100;
/// Most bytes that a .forward or an :include: file is read to.
const MAX_LIST: u64 = 16 * 1024 * 1024;

/// Where a list of targets was read, which decides what it may ask for and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Alias,
    Forward,
    Include,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Source::Alias => "alias",
            Source::Forward => "forward",
            Source::Include => "include",
        }
    }
}

/// Whose rights the commands and files of a list have; None: default_privs.
type Rights = Option<Account>;

/// What became of one address that a recipient led to.
pub struct Booked {
    pub address: String,
    pub report: Report,
    /// Another agent delivered, and wrote the status line.
    pub logged: bool,
    /// Who delivered.
    pub relay: String,
    /// It is named without the recipient that led to it.
    pub alone: bool,
}

/// The delivery to one recipient of a request.
pub struct Delivery<'a> {
    pub settings: &'a Settings,
    pub request: &'a Request,
    pub target: &'a Target,
    pub file: &'a File,
    /// The address that is being delivered to now: aliases change it.
    pub current: String,
    /// The sender, or the owner of the list that is being expanded.
    pub sender: String,
    /// A list with an owner was expanded.
    pub expanded: bool,
    /// The list that is being expanded has an owner.
    owned: bool,
    results: Vec<Booked>,
    done: HashSet<Item>,
    mailboxes: HashSet<String>,
    /// Addresses that get a message of their own, each after its sender: a list with an owner has its own.
    forwards: Vec<(String, String)>,
}

impl<'a> Delivery<'a> {
    pub fn new(settings: &'a Settings, request: &'a Request, target: &'a Target, file: &'a File) -> Delivery<'a> {
        Delivery {
            settings,
            request,
            target,
            file,
            current: target.address.clone(),
            sender: request.sender.clone(),
            expanded: false,
            owned: false,
            results: Vec::new(),
            done: HashSet::new(),
            mailboxes: HashSet::new(),
            forwards: Vec::new(),
        }
    }

    pub fn into_results(self) -> Vec<Booked> {
        self.results
    }

    pub fn run(&mut self) {
        if let Some(report) = marks::looping(self.request, self.target, self.file) {
            return self.book(report);
        }
        let address = self.target.address.clone();
        self.recipient(&address, 0);
        self.send_forwards();
        if self.results.is_empty() {
            // Everything that it led to was delivered before, under another name.
            self.book(Report::sent("duplicate"));
        }
    }

    /// Books what became of the address that is being delivered to.
    pub fn book(&mut self, report: Report) {
        self.results.push(Booked {
            address: self.current.clone(),
            report,
            logged: false,
            relay: "local".to_owned(),
            alone: false,
        });
    }

    /// Delivers to an address of this machine.
    fn recipient(&mut self, address: &str, depth: usize) {
        let before = std::mem::replace(&mut self.current, address.to_owned());
        let (local, _) = envelope::split(address);
        if depth > MAX_DEPTH {
            self.alias_loop(local);
        } else if let Some(name) = local.strip_prefix('\\') {
            self.user(&name.to_lowercase(), None, false);
        } else {
            self.aliases_or_user(local, depth);
        }
        self.current = before;
    }

    fn alias_loop(&mut self, local: &str) {
        let text = format!("alias database loop for {local}");
        self.settings.log.warning(&text);
        self.book(Report::new(Code::new(5, 4, 6), text));
    }

    fn aliases_or_user(&mut self, local: &str, depth: usize) {
        let full = local.to_lowercase();
        let (user, extension) = envelope::split_extension(local, &self.settings.delimiters);
        let user_folded = user.to_lowercase();
        let mut names = vec![full.as_str()];
        if extension.is_some() {
            names.push(&user_folded);
        }
        for name in names {
            match self.settings.aliases.find_text(name) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    let list = targets(&value);
                    // "self: self" is the user, not a loop.
                    if list.iter().any(|item| matches!(item, Item::Address(to) if to.eq_ignore_ascii_case(name)))
                        && list.len() == 1
                    {
                        break;
                    }
                    return self.alias(name, list, depth);
                }
                Err(error) => {
                    self.settings.log.warning(error.to_string());
                    return self.book(Report::deferred("alias database unavailable"));
                }
            }
        }
        self.user(&user_folded, extension, true);
    }

    /// The members of a list with an owner get a message of their own, from him: what becomes of it is his to know.
    fn alias(&mut self, name: &str, list: Vec<Item>, depth: usize) {
        let before = (self.sender.clone(), self.owned);
        if let Ok(Some(owner)) = self.settings.aliases.find_text(&format!("owner-{name}")) {
            (self.expanded, self.owned) = (true, true);
            let expanded = targets(&owner);
            self.sender = match expanded.as_slice() {
                [Item::Address(one)] if self.settings.expand_owner_alias => self.settings.router.rewriter.rewrite(one),
                _ => format!("owner-{name}@{}", envelope::domain(&self.current)),
            };
        }
        self.list(list, Source::Alias, &None, depth);
        (self.sender, self.owned) = before;
    }

    /// Delivers to every target of a list.
    fn list(&mut self, list: Vec<Item>, source: Source, rights: &Rights, depth: usize) {
        for item in list {
            // The addresses of a list are looked at again by their own recipients: only commands and files are kept track of here.
            if !matches!(item, Item::Address(_)) && !self.done.insert(item.clone()) {
                continue;
            }
            match item {
                Item::Address(address) => self.address(&address, source, depth),
                Item::Command(text) => {
                    let allowed = self.settings.commands_from.iter().any(|from| from == source.name());
                    self.command_or_refuse(&text, allowed, rights);
                }
                Item::File(path) => {
                    let allowed = self.settings.files_from.iter().any(|from| from == source.name());
                    if allowed {
                        let report = mailbox::to_file(self, &path, rights);
                        self.book(report);
                    } else {
                        self.book(Report::new(Code::new(5, 7, 0), "mail to file is restricted"));
                    }
                }
                Item::Include(path) => self.include(&path, rights, depth),
            }
        }
    }

    fn command_or_refuse(&mut self, text: &str, allowed: bool, rights: &Rights) {
        if !allowed {
            return self.book(Report::new(Code::new(5, 7, 0), "mail to command is restricted"));
        }
        let report = match rights.clone().or_else(|| accounts::by_name(&self.settings.default_privs)) {
            Some(account) => command::deliver(self, text, &account, rights.is_some(), None),
            None => Report::deferred(format!("unknown user in default_privs: {}", self.settings.default_privs)),
        };
        self.book(report);
    }

    /// An address in a list: here if it is ours and an alias names it, else mail of its own.
    fn address(&mut self, address: &str, source: Source, depth: usize) {
        let rewriter = &self.settings.router.rewriter;
        let (bare, stop) = match address.strip_prefix('\\') {
            Some(bare) => (bare, true),
            None => (address, false),
        };
        let complete = rewriter.rewrite(bare);
        let own_mailbox = source == Source::Forward
            && envelope::split(&complete).0.eq_ignore_ascii_case(envelope::split(&self.current).0)
            && self.is_here(&complete);
        if own_mailbox || (stop && self.is_here(&complete)) {
            let user = envelope::split(&complete).0.to_lowercase();
            let (user, extension) = envelope::split_extension(&user, &self.settings.delimiters);
            let (user, extension) = (user.to_owned(), extension.map(str::to_owned));
            return self.user(&user, extension.as_deref(), false);
        }
        if source == Source::Alias && !self.owned && self.is_here(&complete) {
            return self.recipient(&complete, depth + 1);
        }
        if !self.forwards.iter().any(|(_, known)| known.eq_ignore_ascii_case(&complete)) {
            self.forwards.push((self.sender.clone(), complete));
        }
    }

    fn is_here(&self, address: &str) -> bool {
        self.settings.router.resolve(address).is_ok_and(|resolution| resolution.transport == self.request.transport)
    }

    /// :include:/file, read with the rights of the list that names it.
    fn include(&mut self, path: &str, rights: &Rights, depth: usize) {
        if depth > MAX_DEPTH {
            return self.alias_loop(path);
        }
        // What root's own list names is read as root; what it leads to is not done as root.
        let file = match forward::read_as(rights.as_ref(), path.as_ref(), MAX_LIST, true) {
            Ok(file) => file,
            Err(ListError::Io(error)) if error.kind() != io::ErrorKind::PermissionDenied => {
                let reason = crate::sys::files::reason(&error);
                self.settings.log.warning(format!("cannot open include file {path}: {reason}"));
                return self.book(Report::new(Code::DEFERRED, "mail system configuration error"));
            }
            Err(error) => {
                let words = match error {
                    ListError::Absent(error) => {
                        format!("unable to lookup :include: file {path}: {}", crate::sys::files::reason(&error))
                    }
                    ListError::Unfit(why) => format!(":include: file {path} {why}"),
                    ListError::Io(error) => {
                        format!("cannot open include file {path}: {}", crate::sys::files::reason(&error))
                    }
                };
                self.settings.log.warning(words);
                return self.book(Report::new(Code::new(5, 3, 5), "mail system configuration error"));
            }
        };
        let rights = match rights {
            None if file.owner != 0 => match accounts::by_uid(file.owner) {
                Some(owner) => &Some(owner),
                None => {
                    let words = format!("cannot find username for uid {}", file.owner);
                    self.settings.log.warning(format!(":include: file {path}: {words}"));
                    return self.book(Report::new(Code::DEFERRED, "mail system configuration error"));
                }
            },
            rights => rights,
        };
        self.list(targets(&file.text), Source::Include, rights, depth + 1);
    }

    /// Hands the address to another agent, if a table or a parameter says so for this user.
    fn passed_on(&mut self, name: &str, maps: &Maps, otherwise: &str) -> bool {
        let found = match maps.find_text(name) {
            Ok(found) => found,
            Err(error) => {
                self.settings.log.warning(error.to_string());
                self.book(Report::deferred(format!("{} lookup failure", maps.title())));
                return true;
            }
        };
        let transport = found.as_deref().unwrap_or(otherwise);
        if transport.is_empty() {
            return false;
        }
        let target = Target { address: self.current.clone(), ..self.target.clone() };
        let request = Request { sender: self.sender.clone(), ..self.request.clone() };
        match self.settings.passer.pass(transport, &request, &target) {
            Ok(answer) if !answer.is_empty() => self.results.extend(answer.iter().map(|outcome| Booked {
                address: outcome.address.clone().unwrap_or_else(|| target.address.clone()),
                report: outcome.report(),
                logged: true,
                relay: outcome.relay.clone(),
                alone: false,
            })),
            Ok(_) => self.book(Report::deferred("mail transport unavailable")),
            Err(error) => {
                self.settings.log.warning(format!("transport {transport}: {}", crate::sys::files::reason(&error)));
                self.book(Report::deferred("mail transport unavailable"));
            }
        }
        true
    }

    /// Delivers to a user: .forward unless that is what led here, then the mailbox.
    fn user(&mut self, name: &str, extension: Option<&str>, forward: bool) {
        let settings = self.settings;
        let account = match accounts::lookup(name) {
            Ok(account) => account,
            // A name service that does not answer is no proof that the user is gone.
            Err(error) => {
                let reason = crate::sys::files::reason(&error);
                return self.book(Report::deferred(format!("user lookup error: {reason}")));
            }
        };
        if forward && let Some(account) = &account {
            match forward::find(self.settings, account, extension, &self.settings.delimiters) {
                Ok(Some(text)) => {
                    let list = targets(&text);
                    if !list.is_empty() {
                        return self.list(list, Source::Forward, &Some(account.clone()), 1);
                    }
                }
                Ok(None) => {}
                Err(report) => return self.book(report),
            }
        }
        if self.mailboxes.contains(name) {
            return;
        }
        // Before the user is looked up: the other agent may know users that this system does not.
        if self.passed_on(name, &settings.mailbox_transport_maps, &settings.mailbox_transport) {
            self.mailboxes.insert(name.to_owned());
            return;
        }
        let Some(account) = account else { return self.unknown_user(name, extension) };
        self.mailboxes.insert(name.to_owned());
        let own_command = match self.settings.mailbox_command_maps.find_text(name) {
            Ok(found) => found,
            Err(error) => {
                self.settings.log.warning(error.to_string());
                return self.book(Report::deferred("table lookup failure"));
            }
        };
        let text = own_command.as_deref().unwrap_or(&settings.mailbox_command);
        let report = if text.is_empty() {
            mailbox::to_user(self, &account)
        } else {
            command::deliver(self, text, &account, true, extension)
        };
        self.book(report);
    }

    fn unknown_user(&mut self, name: &str, extension: Option<&str>) {
        let settings = self.settings;
        if self.passed_on(name, &settings.fallback_transport_maps, &settings.fallback_transport) {
            return;
        }
        if self.settings.luser_relay.is_empty() {
            if ["mailer-daemon", "postmaster"].contains(&name) {
                // A notice about a notice would go there too; the reference lets it drop as well.
                self.settings.log.warning(format!("required alias not found: {name}"));
                return self.book(Report::sent("discarded"));
            }
            let local = match extension {
                Some(extension) => format!("{name}{}{extension}", self.settings.delimiters.get(..1).unwrap_or("+")),
                None => name.to_owned(),
            };
            return self.book(Report::new(Code::new(5, 1, 1), format!("unknown user: \"{local}\"")));
        }
        let local = envelope::split(&self.current).0.to_owned();
        let values = [("local", local.as_str()), ("user", name), ("extension", extension.unwrap_or_default())];
        let domain = envelope::domain(&self.current).to_owned();
        let lookup = |wanted: &str| {
            let found = values.iter().find(|(known, _)| *known == wanted).map(|(_, value)| (*value).to_owned());
            found.or_else(|| (wanted == "domain").then(|| domain.clone()))
        };
        match crate::conf::expand::expand(&self.settings.luser_relay, &lookup) {
            Ok(target) => self.list(targets(&target), Source::Alias, &None, 1),
            Err(error) => self.book(Report::new(Code::new(4, 3, 5), format!("luser_relay: {error}"))),
        }
    }

    /// Addresses elsewhere, and those that .forward and :include: files name, get a message of their own.
    fn send_forwards(&mut self) {
        let mut rest = std::mem::take(&mut self.forwards);
        while let Some((sender, _)) = rest.first() {
            let sender = sender.clone();
            let (members, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(from, _)| *from == sender);
            rest = others;
            let members: Vec<String> = members.into_iter().map(|(_, address)| address).collect();
            if self.request.only_verifies() {
                self.results.extend(members.into_iter().map(|address| Booked {
                    report: Report::sent(format!("forwards to {}", envelope::quote(&address))),
                    address,
                    logged: false,
                    relay: "local".to_owned(),
                    alone: true,
                }));
                continue;
            }
            let before = std::mem::replace(&mut self.sender, sender);
            let report = forward::send(self, &members);
            self.sender = before;
            self.book(report);
        }
    }
}
