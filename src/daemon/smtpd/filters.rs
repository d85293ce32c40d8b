//! Mail filters (smtpd_milters): what a session asks them, and what their answers do to it. They may be slow, so they are
//! talked to in threads of their own: those for names and fsync would all wait for one dead filter.

use super::session::Session;
use super::stream::Duplex;
use super::transaction::Transaction;
use crate::cleanup::Filtering;
use crate::conf::MainCf;
use crate::log::event::{Event, text};
use crate::message::envelope;
use crate::milter::{Client, Filters, Macros, Settings, Verdict, macros};
use crate::proto::smtp_command::Path;
use crate::table::{Maps, Options};
use tokio::sync::{Semaphore, oneshot};

/// Sessions that wait for a filter at once; others wait for their turn.
const MAX_THREADS: usize = 500;
static THREADS: Semaphore = Semaphore::const_new(MAX_THREADS);

const LOST: &str = "421 4.3.0 Mail system error";

/// What the configuration says.
pub struct FilterSettings {
    settings: Settings,
    list: String,
    /// By client address.
    maps: Maps,
    /// receive_override_options = no_milters.
    off: bool,
}

impl FilterSettings {
    pub fn new(cf: &MainCf) -> FilterSettings {
        FilterSettings {
            settings: Settings::new(cf),
            list: cf.smtpd_milters(),
            maps: Maps::open("smtpd_milter_maps", &cf.smtpd_milter_maps(), &Options::default()),
            off: MainCf::list(&cf.receive_override_options()).iter().any(|word| word == "no_milters"),
        }
    }
}

/// A session's filters, and what they are told of it besides.
#[derive(Default)]
pub struct Place {
    filters: Option<Box<Filters>>,
    /// They were lost: a thread could not be had, or came to no end. Mail must not pass by them.
    lost: bool,
    sender: Option<Resolved>,
    /// The first recipient.
    recipient: Option<Resolved>,
}

/// Where an address leads.
#[derive(Clone, Default)]
struct Resolved {
    address: String,
    host: String,
    mailer: String,
}

impl Place {
    /// Whether messages wait for them before they are queued.
    pub fn filtering(&self) -> Filtering {
        match &self.filters {
            Some(filters) if filters.want_content() => Filtering::Session,
            None if self.lost => Filtering::Session,
            _ => Filtering::Nobody,
        }
    }

    fn has_a_say(&self) -> bool {
        self.filters.is_some() || self.lost
    }

    pub fn take(&mut self) -> Option<Box<Filters>> {
        self.filters.take()
    }

    /// None: they are lost.
    pub fn give_back(&mut self, filters: Option<Box<Filters>>) {
        self.lost = filters.is_none();
        self.filters = filters;
    }

    /// [`Place::refusal`] of STARTTLS and AUTH, where a refusal for now has one form (RFC 3207, RFC 4954).
    pub fn refusal_of_security(&self) -> Option<String> {
        let reply = self.refusal()?;
        Some(if reply.starts_with('4') { "454 4.3.0 Try again later".to_owned() } else { reply })
    }

    /// What stands for commands that filters do not hear of: a refusal.
    pub fn refusal(&self) -> Option<String> {
        self.filters.as_ref()?.other()?.refusal().map(str::to_owned)
    }
}

/// Does `work` in a thread of its own; None: there is none, or it did not come to an end.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _permit = THREADS.acquire().await.ok()?;
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("milter".into()).stack_size(512 * 1024);
    thread.spawn(move || drop(done.send(work()))).ok()?;
    result.await.ok()
}

impl<S: Duplex> Session<S> {
    /// Calls the filters for this client. The reply that refuses it, if one does.
    pub async fn filter_connect(&mut self, stage: &str) -> Option<String> {
        self.filter_quit().await;
        let settings = self.settings.clone();
        let own = &settings.filters;
        if self.peer.is_user || own.off {
            return None;
        }
        let list = match super::patience::patiently(|| own.maps.find_text(&self.peer.address_name())).await {
            Ok(Some(list)) => list,
            Ok(None) => own.list.clone(),
            Err(error) => {
                self.log.warning(error.to_string());
                own.list.clone()
            }
        };
        if list.trim().eq_ignore_ascii_case("DISABLE") {
            return None;
        }
        self.filters.filters = Some(Box::new(own.settings.filters(&list, &self.log, None)?));
        let client = Client { name: self.peer.name.clone(), address: self.peer.address, port: self.peer.port };
        let macros = self.macros();
        let verdict = self.consult(macros, move |filters, macros| filters.connect(&client, macros)).await;
        self.obey(stage, verdict, None)
    }

    /// The name is in place already.
    pub async fn filter_helo(&mut self, stage: &str, name: &str) -> Option<String> {
        let (name, macros) = (name.to_owned(), self.macros());
        let verdict = self.consult(macros, move |filters, macros| filters.helo(&name, macros)).await;
        self.obey(stage, verdict, None)
    }

    /// The sender is in place already.
    pub async fn filter_mail(&mut self, path: &Path<'_>) -> Option<String> {
        if !self.filters.has_a_say() {
            return None;
        }
        self.filters.sender = Some(self.resolved(&path.address).await);
        let (words, macros) = (words(path), self.macros());
        let ask = move |filters: &mut Filters, macros: &Macros| filters.mail(&borrowed(&words), macros);
        let verdict = self.consult(macros, ask).await;
        self.obey("MAIL", verdict, None)
    }

    /// `refusal`: what the recipient is refused with already.
    pub async fn filter_rcpt(&mut self, path: &Path<'_>, refusal: Option<&String>) -> Option<String> {
        if !self.filters.has_a_say() || self.transaction.effects.discard {
            return None;
        }
        let resolved = match refusal {
            Some(reply) => {
                let mut parts = reply.get(4..).unwrap_or_default().splitn(3, ' ').map(str::to_owned);
                let (host, _, address) = (parts.next(), parts.next(), parts.next());
                let (host, address) = (host.unwrap_or_default(), address.unwrap_or_default());
                Resolved { address, host, mailer: "error".into() }
            }
            None => self.resolved(&path.address).await,
        };
        let before = self.filters.recipient.replace(resolved.clone());
        let (words, macros, refused) = (words(path), self.macros(), refusal.is_some());
        self.filters.recipient = if refused { before } else { before.or(Some(resolved)) };
        let ask = move |filters: &mut Filters, macros: &Macros| filters.rcpt(&borrowed(&words), refused, macros);
        let verdict = self.consult(macros, ask).await.filter(|_| !refused);
        self.obey("RCPT", verdict, Some(&path.address))
    }

    pub async fn filter_data(&mut self, stage: &str) -> Option<String> {
        let macros = self.macros();
        let verdict = self.consult(macros, Filters::data).await;
        self.obey(stage, verdict, None)
    }

    pub async fn filter_unknown(&mut self, word: &str) -> Option<String> {
        let (word, macros) = (word.to_owned(), self.macros());
        let verdict = self.consult(macros, move |filters, macros| filters.unknown(&word, macros)).await;
        self.obey("UNKNOWN", verdict, None)
    }

    /// Nothing of the transaction counts any more.
    pub async fn filter_abort(&mut self) {
        (self.filters.sender, self.filters.recipient) = (None, None);
        if let Some(mut filters) = self.filters.take() {
            let done = apart(move || {
                filters.abort();
                filters
            });
            self.filters.give_back(done.await);
        }
    }

    /// The session ends, with whatever is under way in it.
    pub async fn end_filters(&mut self) {
        if self.helo.is_some() {
            self.filter_abort().await;
        }
        self.reset_transaction().await;
        self.filter_quit().await;
    }

    /// The client is gone.
    pub async fn filter_quit(&mut self) {
        if let Some(filters) = self.filters.take() {
            apart(move || drop(filters)).await;
        }
    }

    /// The transaction is over, or never was.
    pub async fn reset_transaction(&mut self) {
        let begun = self.transaction.sender.is_some();
        self.transaction = Transaction::default();
        if begun {
            self.filter_abort().await;
        }
    }

    async fn consult(
        &mut self,
        macros: Macros,
        ask: impl FnOnce(&mut Filters, &Macros) -> Option<Verdict> + Send + 'static,
    ) -> Option<Verdict> {
        if self.transaction.effects.discard {
            return None;
        }
        if self.filters.lost {
            return Verdict::reply(LOST);
        }
        let mut filters = self.filters.take()?;
        let asked = apart(move || {
            let verdict = ask(&mut filters, &macros);
            (filters, verdict)
        });
        match asked.await {
            Some((filters, verdict)) => {
                self.filters.give_back(Some(filters));
                verdict
            }
            None => {
                self.filters.give_back(None);
                Verdict::reply(LOST)
            }
        }
    }

    /// Does what the filters say, and logs it. Gives the reply where it is a refusal.
    fn obey(&mut self, stage: &str, verdict: Option<Verdict>, recipient: Option<&str>) -> Option<String> {
        let (action, reply, words) = match verdict? {
            Verdict::Hold => {
                self.transaction.effects.hold = true;
                ("milter-hold", None, "milter triggers HOLD action".to_owned())
            }
            Verdict::Discard => {
                self.transaction.effects.discard = true;
                ("milter-discard", None, "milter triggers DISCARD action".to_owned())
            }
            Verdict::Shutdown => {
                let reply = "421 4.7.0 Server closing connection".to_owned();
                ("milter-reject", Some(reply.clone()), reply)
            }
            Verdict::Reply(reply) => ("milter-reject", Some(reply.clone()), reply),
        };
        let queue_id = self.transaction.queue_id();
        let mut line = format!("{stage} from {}: {words};", self.shown());
        if let Some(sender) = &self.transaction.sender {
            line.push_str(&format!(" from=<{}>", envelope::quote_path(sender)));
        }
        let first = self.transaction.recipients.first().map(|named| named.address.as_str());
        if let Some(recipient) = recipient.or(first) {
            line.push_str(&format!(" to=<{}>", envelope::quote(recipient)));
        }
        line.push_str(&format!(" proto={}", self.protocol()));
        if let Some(helo) = &self.helo {
            line.push_str(&format!(" helo=<{helo}>"));
        }
        self.log.event(&Event::Verdict { queue_id: text(&queue_id), action: text(action), text: text(&line) });
        reply
    }

    async fn resolved(&self, address: &str) -> Resolved {
        let router = &self.settings.router;
        let complete = if address.is_empty() { String::new() } else { router.rewriter.rewrite(address) };
        match super::patience::patiently(|| router.resolve(&complete)).await {
            Ok(resolution) => Resolved {
                address: if address.is_empty() { String::new() } else { envelope::quote(&resolution.recipient) },
                host: resolution.nexthop,
                mailer: resolution.transport,
            },
            Err(_) => Resolved { address: envelope::quote_path(&complete), ..Resolved::default() },
        }
    }

    /// What is known now.
    fn macros(&self) -> Macros {
        let mut known = Macros::default();
        if self.filters.filters.is_none() {
            return known;
        }
        let peer = &self.peer;
        let address = peer.address_name();
        known.set("{_}", macros::source(&peer.name, &peer.reverse, &address));
        known.set("{client_addr}", address);
        known.set("{client_name}", peer.name.as_str());
        known.set("{client_ptr}", peer.reverse.as_str());
        known.set("{client_port}", peer.port.to_string());
        let resolved = match (peer.known_name(), peer.name_failed) {
            (Some(_), _) => "OK",
            (None, true) => "TEMP",
            (None, false) if peer.reverse != "unknown" && peer.origin.is_none() => "FORGED",
            (None, false) => "FAIL",
        };
        known.set("{client_resolve}", resolved);
        let counted = !peer.is_in(&self.settings.limits.exceptions);
        known.set("{client_connections}", if counted { peer.anvil.0 } else { 0 }.to_string());
        known.set("{daemon_addr}", peer.server_address.as_str());
        known.set("{daemon_port}", peer.server_port.to_string());
        if let Some(secured) = &self.secured {
            known.set("{tls_version}", secured.summary.protocol);
            known.set("{cipher}", secured.summary.cipher);
            known.set("{cipher_bits}", secured.summary.bits.to_string());
            // Who a certificate names counts where an authority of ours says so.
            if let Some(own) = secured.certificate.as_ref().filter(|own| own.trusted) {
                known.set("{cert_subject}", own.subject.as_str());
                known.set("{cert_issuer}", own.issuer.as_str());
            }
        }
        if let Some(login) = &self.login {
            known.set("{auth_type}", login.method.as_str());
            known.set("{auth_authen}", login.name.as_str());
        }
        known.set_known("{auth_author}", self.transaction.login_sender.clone());
        let id = self.transaction.queue_id();
        known.set_known("{i}", Some(id).filter(|id| id != "NOQUEUE"));
        if let Some(sender) = &self.filters.sender {
            known.set("{mail_addr}", sender.address.as_str());
            known.set("{mail_host}", sender.host.as_str());
            known.set("{mail_mailer}", sender.mailer.as_str());
        }
        if let Some(recipient) = &self.filters.recipient {
            known.set("{rcpt_addr}", recipient.address.as_str());
            known.set("{rcpt_host}", recipient.host.as_str());
            known.set("{rcpt_mailer}", recipient.mailer.as_str());
        }
        known
    }
}

fn words(path: &Path<'_>) -> Vec<String> {
    std::iter::once(path.written).chain(path.parameters.iter().copied()).map(str::to_owned).collect()
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
