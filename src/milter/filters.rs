//! All filters of a session, in their order: the first verdict decides.

use super::edit::Draft;
use super::filter::{Filter, Scene, State};
use super::macros::{MacroLists, Macros};
use super::protocol::Event;
use super::settings::Spec;
use super::verdict::{MISCONFIGURED, Verdict};
use crate::log::Log;
use crate::log::event::Event as LogEvent;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is connected, as filters are told.
#[derive(Clone, Debug)]
pub struct Client {
    /// The verified name, or "unknown".
    pub name: String,
    /// None: it is not known.
    pub address: Option<IpAddr>,
    pub port: u16,
}

pub struct Filters {
    filters: Vec<Filter>,
    lists: MacroLists,
    log: Arc<Log>,
    service: Option<&'static str>,
    /// The list cannot be read: why, and that it was said.
    unreadable: Option<String>,
}

impl Filters {
    pub(super) fn new(
        made: Result<(Vec<Spec>, MacroLists), String>,
        soft_bounce: bool,
        log: Arc<Log>,
        service: Option<&'static str>,
    ) -> Filters {
        let (specs, lists, unreadable) = match made {
            Ok((specs, lists)) => (specs, lists, None),
            Err(reason) => (Vec::new(), MacroLists::default(), Some(reason)),
        };
        let filters = specs.into_iter().map(|spec| Filter::new(spec, soft_bounce)).collect();
        Filters { filters, lists, log, service, unreadable }
    }

    /// Calls them all, and tells them who is connected. Those after one that decides are not called: nobody asks them
    /// in this session.
    pub fn connect(&mut self, client: &Client, macros: &Macros) -> Option<Verdict> {
        if let Some(reason) = &self.unreadable {
            // As good as a filter that does not answer: mail must not pass by it.
            self.warn(reason);
            return Verdict::reply(MISCONFIGURED);
        }
        let address = client.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let name = match (client.name.as_str(), client.address) {
            ("unknown", Some(address)) => format!("[{address}]"),
            (name, _) => name.to_owned(),
        };
        let family: &[u8] = match client.address {
            Some(IpAddr::V4(_)) => b"4",
            Some(IpAddr::V6(_)) => b"6",
            None => b"U",
        };
        let port = client.port.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![name.as_bytes(), b"\0", family];
        if client.address.is_some() {
            parts.extend([&port[..], address.as_bytes(), b"\0"]);
        }
        self.each(macros, |filter, scene| {
            if filter.open(scene.warn) { filter.tell(Event::Connect, &parts, scene) } else { filter.standing() }
        })
    }

    pub fn helo(&mut self, name: &str, macros: &Macros) -> Option<Verdict> {
        self.words(Event::Helo, &[name], macros)
    }

    /// MAIL: the address as it was written, and its parameters.
    pub fn mail(&mut self, words: &[&str], macros: &Macros) -> Option<Verdict> {
        self.words(Event::Mail, words, macros)
    }

    /// RCPT; `refused`: somebody else said no, which only filters hear who asked for it. It stays refused.
    pub fn rcpt(&mut self, words: &[&str], refused: bool, macros: &Macros) -> Option<Verdict> {
        let parts = zero_terminated(words);
        self.each(macros, |filter, scene| {
            if (refused && !filter.wants_refused()) || filter.state() != State::Envelope {
                return if refused { None } else { filter.standing() };
            }
            filter.tell(Event::Rcpt, &[&parts], scene)
        })
    }

    pub fn data(&mut self, macros: &Macros) -> Option<Verdict> {
        self.words(Event::Data, &[], macros)
    }

    pub fn unknown(&mut self, command: &str, macros: &Macros) -> Option<Verdict> {
        self.words(Event::Unknown, &[command], macros)
    }

    /// What they say to commands that they do not hear of.
    pub fn other(&self) -> Option<Verdict> {
        if self.unreadable.is_some() {
            return Verdict::reply(MISCONFIGURED);
        }
        self.filters.iter().find_map(Filter::standing)
    }

    /// Whether one of them wants to see a message.
    pub fn want_content(&self) -> bool {
        self.filters.iter().any(Filter::is_active)
    }

    /// Shows them a message of a session that goes on afterwards, whatever they say to this message.
    pub fn message_of_session(
        &mut self,
        draft: &mut dyn Draft,
        macros: &Macros,
        service: &'static str,
    ) -> Option<Verdict> {
        let own = self.service.replace(service);
        let before: Vec<_> = self.filters.iter().map(Filter::before).collect();
        let verdict = self.each(macros, |filter, scene| {
            if !filter.is_active() {
                return None;
            }
            filter.begin_message();
            filter.message(draft, scene)
        });
        self.filters.iter_mut().zip(before).for_each(|(filter, before)| filter.after(before));
        self.service = own;
        verdict
    }

    /// Shows them the one message that they were called for.
    pub fn message(&mut self, draft: &mut dyn Draft, macros: &Macros) -> Option<Verdict> {
        self.each(macros, |filter, scene| filter.message(draft, scene))
    }

    /// The transaction is no more.
    pub fn abort(&mut self) {
        self.filters.iter_mut().for_each(Filter::abort);
    }

    /// The session is no more.
    pub fn quit(&mut self) {
        self.filters.iter_mut().for_each(Filter::quit);
    }

    fn words(&mut self, event: Event, words: &[&str], macros: &Macros) -> Option<Verdict> {
        if self.unreadable.is_some() {
            return Verdict::reply(MISCONFIGURED);
        }
        let parts = zero_terminated(words);
        self.each(macros, |filter, scene| {
            let wants = match filter.state() {
                State::Envelope => true,
                State::AcceptedMessage => event == Event::Helo,
                _ => false,
            };
            if wants { filter.tell(event, &[&parts], scene) } else { filter.standing() }
        })
    }

    fn each(
        &mut self,
        macros: &Macros,
        mut ask: impl FnMut(&mut Filter, &Scene<'_>) -> Option<Verdict>,
    ) -> Option<Verdict> {
        let (log, service) = (self.log.clone(), self.service);
        let warn = move |text: String| warn(&log, service, &text);
        let scene = Scene { lists: &self.lists, macros, warn: &warn };
        self.filters.iter_mut().find_map(|filter| ask(filter, &scene))
    }

    fn warn(&self, text: &str) {
        warn(&self.log, self.service, text);
    }
}

impl Drop for Filters {
    /// Whoever forgets to say it ends the session all the same.
    fn drop(&mut self) {
        self.quit();
    }
}

fn warn(log: &Log, service: Option<&'static str>, text: &str) {
    match service {
        Some(service) => log.event_as(service, &LogEvent::Warning(text.as_bytes().into())),
        None => log.warning(text),
    }
}

fn zero_terminated(words: &[&str]) -> Vec<u8> {
    words.iter().flat_map(|word| word.bytes().filter(|&byte| byte != 0).chain([0])).collect()
}
