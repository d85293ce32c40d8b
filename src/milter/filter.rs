//! One filter: its connection and where in the protocol it is. An event goes out after its macros, and answers come back
//! until one of them decides.

use super::edit::Draft;
use super::editing::{self, EditError, Editing};
use super::macros::{MacroLists, Macros};
use super::negotiation::{self, Agreed, Mistake};
use super::packet::{self, MAX_PACKET};
use super::protocol::{self, Event, reply};
use super::settings::Spec;
use super::verdict::{LATER, REJECTED, Verdict, reply_text};
use crate::sys::files::reason;
use crate::table::stream::{Connection, Cut};
use std::io;
use std::time::{Duration, Instant};

/// So much is held back where a filter does not answer.
const HELD: usize = 64 * 1024;
/// So many answers to one event; filters that are alive say "progress" once in a while.
const MAX_ANSWERS: usize = 100_000;

/// Where in the protocol a filter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    /// It is not spoken to any more; what stands in for it is its standing verdict.
    Failed,
    Envelope,
    Message,
    AcceptedSession,
    AcceptedMessage,
    RefusedSession,
}

pub struct Filter {
    pub(super) spec: Spec,
    connection: Option<Connection>,
    out: Vec<u8>,
    pub(super) state: State,
    pub(super) agreed: Agreed,
    /// What it says to everything from now on.
    standing: Option<Verdict>,
    /// It wants no more of these for now.
    skipped: Option<Event>,
    soft_bounce: bool,
}

/// What a filter was before it looked at a message.
pub struct Before {
    state: State,
    standing: Option<Verdict>,
    skipped: Option<Event>,
}

/// What all filters share for one event.
pub struct Scene<'a> {
    pub lists: &'a MacroLists,
    pub macros: &'a Macros,
    pub warn: &'a dyn Fn(String),
}

/// How an event ends.
enum Step {
    /// More answers follow.
    More,
    Done(Option<Verdict>),
}

impl Filter {
    pub fn new(spec: Spec, soft_bounce: bool) -> Filter {
        Filter {
            spec,
            connection: None,
            out: Vec::new(),
            state: State::Closed,
            agreed: Agreed::default(),
            standing: None,
            skipped: None,
            soft_bounce,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn standing(&self) -> Option<Verdict> {
        self.standing.clone()
    }

    /// Whether it hears of recipients that were refused.
    pub fn wants_refused(&self) -> bool {
        self.agreed.steps & protocol::REFUSED_RECIPIENTS != 0
    }

    /// Whether there is anybody to show a message to.
    pub fn is_active(&self) -> bool {
        self.connection.is_some() && self.state == State::Envelope
    }

    pub fn before(&self) -> Before {
        Before { state: self.state, standing: self.standing.clone(), skipped: self.skipped }
    }

    /// What it did with one message says nothing of the session; but a connection that was lost stays lost.
    pub fn after(&mut self, before: Before) {
        (self.state, self.standing, self.skipped) = (before.state, before.standing, before.skipped);
    }

    /// For one message its standing verdict of the session does not count, which has been obeyed already.
    pub fn begin_message(&mut self) {
        (self.standing, self.skipped) = (None, None);
    }

    pub(super) fn fail(&mut self, standing: Option<Verdict>) -> Option<Verdict> {
        self.connection = None;
        self.out.clear();
        self.state = State::Failed;
        self.standing = standing;
        self.standing.clone()
    }

    fn misconfigured(&mut self) -> Option<Verdict> {
        self.fail(self.spec.default_action.misconfigured())
    }

    fn unavailable(&mut self, warn: &dyn Fn(String)) -> Option<Verdict> {
        self.fail(self.spec.default_action.unavailable(&self.spec.name, warn))
    }

    fn close(&mut self, state: State) {
        self.connection = None;
        self.state = state;
    }

    /// Connects and negotiates; false when that failed, and the standing verdict says what follows.
    pub fn open(&mut self, warn: &dyn Fn(String)) -> bool {
        let connected = negotiation::offer(&self.spec).and_then(|offer| Ok((negotiation::connect(&self.spec)?, offer)));
        let offer = match connected {
            Ok((connection, offer)) => {
                self.connection = Some(connection);
                offer
            }
            Err(Mistake::Configuration(text)) => {
                warn(text);
                self.misconfigured();
                return false;
            }
            Err(Mistake::Communication(text)) => {
                warn(text);
                self.unavailable(warn);
                return false;
            }
        };
        self.out = negotiation::opening(&offer);
        let name = self.spec.name.clone();
        let said = match self.answer(Event::Negotiate, self.spec.command_timeout) {
            Ok((code, _)) if code != Event::Negotiate.row().code => {
                vec![format!("milter {name}: unexpected reply \"{}\" in initial handshake", char::from(code))]
            }
            Ok((_, data)) => match negotiation::agree(&offer, &name, &data, warn) {
                Ok(agreed) => {
                    self.agreed = agreed;
                    self.state = State::Envelope;
                    (self.standing, self.skipped) = (None, None);
                    return true;
                }
                Err(said) => said,
            },
            Err(text) => vec![text, format!("milter {name}: read error in initial handshake")],
        };
        said.into_iter().for_each(warn);
        self.unavailable(warn);
        false
    }

    /// Tells it of an event of the envelope.
    pub fn tell(&mut self, event: Event, parts: &[&[u8]], scene: &Scene<'_>) -> Option<Verdict> {
        self.event(event, parts, scene, None)
    }

    /// The message or the session that it heard of is nothing any more.
    pub fn abort(&mut self) {
        if matches!(self.state, State::Envelope | State::Message | State::AcceptedMessage) {
            packet::write(&mut self.out, protocol::ABORT, &[]);
            // Nobody answers; who is gone is missed at the next event.
            let _ = self.flush(self.spec.command_timeout);
            self.state = State::Envelope;
        }
    }

    /// The session is over.
    pub fn quit(&mut self) {
        if matches!(self.state, State::Envelope | State::Message | State::AcceptedMessage) {
            packet::write(&mut self.out, protocol::QUIT, &[]);
            let _ = self.flush(self.spec.command_timeout);
        }
        self.close(State::Closed);
        self.standing = None;
    }

    pub(super) fn event(
        &mut self,
        event: Event,
        parts: &[&[u8]],
        scene: &Scene<'_>,
        draft: Option<&mut dyn Draft>,
    ) -> Option<Verdict> {
        let row = event.row();
        if self.standing.is_some() {
            let (name, filter) = (row.name, &self.spec.name);
            (scene.warn)(format!("milter8_event: attempt to send event {name} to milter {filter} after error"));
            return self.standing();
        }
        if row.unsent & self.agreed.unknown_steps != 0 {
            return None;
        }
        if self.skipped == Some(event) {
            return None;
        }
        self.skipped = None;
        let own = self.agreed.macros[row.stage as usize].as_str();
        let list = if own.is_empty() { scene.lists.list(row.stage) } else { own };
        let values = scene.lists.expand(list, scene.macros);
        packet::write(&mut self.out, protocol::MACRO, &[&[row.code], &values]);
        let timeout = if self.state == State::Message { self.spec.content_timeout } else { self.spec.command_timeout };
        let unsent = row.unsent & self.agreed.steps != 0;
        if !unsent {
            packet::write(&mut self.out, row.code, parts);
        }
        if unsent || row.unanswered & self.agreed.steps != 0 {
            if self.out.len() > HELD
                && let Err(error) = self.flush(timeout)
            {
                (scene.warn)(format!("milter {}: error writing command: {}", self.spec.name, reason(&error)));
                return self.unavailable(scene.warn);
            }
            return None;
        }
        self.answers(event, scene, draft, timeout)
    }

    /// Takes answers until one decides.
    fn answers(
        &mut self,
        event: Event,
        scene: &Scene<'_>,
        mut draft: Option<&mut dyn Draft>,
        timeout: Duration,
    ) -> Option<Verdict> {
        let mut editing = Editing::default();
        for _ in 0..MAX_ANSWERS {
            let (code, data) = match self.answer(event, timeout) {
                Ok(answer) => answer,
                Err(text) => {
                    (scene.warn)(text);
                    return editing.ending(self.unavailable(scene.warn));
                }
            };
            if code != reply::REPLACE_BODY
                && let Some(draft) = draft.as_deref_mut()
            {
                editing.end_body(draft);
            }
            let step = match (reply::is_decision(code), draft.as_deref_mut()) {
                (true, _) => self.decide(event, code, &data, scene),
                (false, Some(draft)) => self.change(code, &data, draft, &mut editing),
                (false, None) => Err(self.unexpected(event, code)),
            };
            match step {
                Ok(Step::More) => {}
                Ok(Step::Done(verdict)) => return editing.ending(verdict),
                Err(Mistake::Communication(text)) => {
                    (scene.warn)(text);
                    return editing.ending(self.unavailable(scene.warn));
                }
                Err(Mistake::Configuration(text)) => {
                    (scene.warn)(text);
                    return editing.ending(self.misconfigured());
                }
            }
        }
        (scene.warn)(format!("milter {}: too many replies to {}", self.spec.name, event.row().name));
        editing.ending(self.unavailable(scene.warn))
    }

    fn unexpected(&self, event: Event, code: u8) -> Mistake {
        let (filter, name) = (&self.spec.name, event.row().name);
        let said = reply::name(code).unwrap_or("(unknown filter reply)");
        Mistake::Communication(format!("milter {filter}: unexpected filter response {said} after event {name}"))
    }

    /// An answer that is no edit.
    fn decide(&mut self, event: Event, code: u8, data: &[u8], scene: &Scene<'_>) -> Result<Step, Mistake> {
        let name = &self.spec.name;
        if !data.is_empty() && !matches!(code, reply::REPLY_CODE | reply::QUARANTINE) {
            let (said, length) = (reply::name(code).unwrap_or("unknown"), data.len());
            let text = format!("milter {name}: reply {said} was followed by {length} data bytes");
            return Err(Mistake::Communication(text));
        }
        let whole_session = matches!(event, Event::Connect | Event::Helo);
        let refusal = match code {
            reply::PROGRESS => return Ok(Step::More),
            reply::CONTINUE => return Ok(Step::Done(self.standing())),
            reply::SKIP => {
                self.skipped = Some(event);
                return Ok(Step::Done(self.standing()));
            }
            reply::ACCEPT if whole_session => {
                self.close(State::AcceptedSession);
                return Ok(Step::Done(self.standing()));
            }
            reply::ACCEPT => {
                self.state = State::AcceptedMessage;
                return Ok(Step::Done(self.standing()));
            }
            reply::DISCARD if whole_session => {
                (scene.warn)(format!("milter {name}: DISCARD action is not allowed for connect or helo"));
                return Ok(Step::Done(self.standing()));
            }
            reply::DISCARD => {
                self.state = State::AcceptedMessage;
                return Ok(Step::Done(Some(Verdict::Discard)));
            }
            reply::QUARANTINE => {
                // Final answers follow; why is nobody's business but the filter's log.
                self.standing = Some(Verdict::Hold);
                return Ok(Step::More);
            }
            reply::SHUTDOWN => {
                self.close(State::RefusedSession);
                self.standing = Some(Verdict::Shutdown);
                return Ok(Step::Done(self.standing()));
            }
            reply::REJECT => REJECTED.to_owned(),
            reply::TEMPFAIL => LATER.to_owned(),
            _ => reply_text(data, self.soft_bounce).ok_or_else(|| {
                let shown = String::from_utf8_lossy(data.split(|&byte| byte == 0).next().unwrap_or_default());
                Mistake::Configuration(format!("milter {name}: malformed reply: {shown}"))
            })?,
        };
        let verdict = Some(Verdict::Reply(refusal));
        if whole_session {
            self.close(State::RefusedSession);
            self.standing.clone_from(&verdict);
        }
        Ok(Step::Done(verdict))
    }

    /// An edit.
    fn change(&mut self, code: u8, data: &[u8], draft: &mut dyn Draft, editing: &mut Editing) -> Result<Step, Mistake> {
        let filter = self.spec.name.as_str();
        if code == reply::REPLACE_BODY {
            if editing.body_ended {
                let what = "body replacement requests can't currently be mixed with other requests";
                return Err(Mistake::Configuration(format!("milter {filter}: {what}")));
            }
            editing.body(data, draft);
            return Ok(Step::More);
        }
        let leading = if self.agreed.steps & protocol::LEADING_BLANKS != 0 { &b""[..] } else { b" " };
        match editing::edit(code, data, leading, filter) {
            Ok(Some(edit)) => editing.apply(edit, draft),
            Ok(None) => return Err(self.unexpected(Event::End, code)),
            Err(EditError::Packet(error)) => return Err(Mistake::Communication(error.to_string())),
            Err(EditError::NoName) => {
                return Err(Mistake::Configuration(format!("milter {filter}: null change header name")));
            }
        }
        Ok(Step::More)
    }

    fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        match &mut self.connection {
            Some(connection) => connection.send(&out, Instant::now() + timeout),
            None => Err(io::Error::from_raw_os_error(libc::EPIPE)),
        }
    }

    /// Sends what waits and reads the next answer. Err: the words for the log.
    fn answer(&mut self, event: Event, timeout: Duration) -> Result<(u8, Vec<u8>), String> {
        let name = self.spec.name.clone();
        let header = |why: String| format!("milter {name}: can't read {} reply packet header: {why}", event.row().name);
        self.flush(timeout).map_err(|error| header(reason(&error)))?;
        let until = Instant::now() + timeout;
        let Some(connection) = &mut self.connection else {
            return Err(header(reason(&io::Error::from_raw_os_error(libc::EPIPE))));
        };
        let length = connection.block(4, until).map_err(|cut| header(why(&cut)))?;
        let length = length.iter().fold(0usize, |number, &byte| number << 8 | usize::from(byte));
        if length < 1 {
            return Err(format!("milter {name}: bad packet length: {length}"));
        }
        if length > MAX_PACKET {
            return Err(format!("milter {name}: unreasonable packet length: {length} > {MAX_PACKET}"));
        }
        let code = connection
            .block(1, until)
            .map_err(|cut| format!("milter {name}: EOF while reading command code: {}", why(&cut)))?;
        let data = connection
            .block(length - 1, until)
            .map_err(|cut| format!("milter {name}: EOF while reading data: {}", why(&cut)))?;
        Ok((code.first().copied().unwrap_or_default(), data))
    }
}

/// Why there is no more to read: where a filter just went away, the reference finds no error number.
fn why(cut: &Cut) -> String {
    match cut {
        Cut::Io(error) => reason(error),
        _ => "Application error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::MainCf;
    use crate::milter::verdict::DefaultAction;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::io::Write;

    /// A filter that has sent all that it ever will.
    fn filter_that_says(said: &[u8], steps: u32) -> (Filter, std::os::unix::net::UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let second = Duration::from_secs(5);
        let spec = Spec {
            name: format!("unix:{}", path.display()),
            connect_timeout: second,
            command_timeout: second,
            content_timeout: second,
            protocol: "6".into(),
            default_action: DefaultAction::Tempfail,
        };
        let agreed = [6u32, 0x1ff, steps].map(u32::to_be_bytes).concat();
        let mut bytes = Vec::new();
        packet::write(&mut bytes, b'O', &[&agreed]);
        bytes.extend_from_slice(said);
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&bytes).unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            stream
        });
        let mut filter = Filter::new(spec, false);
        assert!(filter.open(&|text| panic!("{text}")));
        filter.spec.name = "f".into();
        // Whoever closes the connection is another story.
        (filter, thread.join().unwrap())
    }

    fn told(said: &[u8]) -> (Option<Verdict>, Vec<String>, State) {
        let (mut filter, _open) = filter_that_says(said, 0);
        let lists =
            MacroLists::new(&MainCf::parse(std::path::Path::new("/none"), "myhostname = h\n").unwrap()).unwrap();
        let warned = RefCell::new(Vec::new());
        let warn = |text| warned.borrow_mut().push(text);
        let scene = Scene { lists: &lists, macros: &Macros::default(), warn: &warn };
        let verdict = filter.tell(Event::Mail, &[b"<a@b>\0"], &scene);
        (verdict, warned.into_inner(), filter.state())
    }

    #[test]
    fn an_answer_with_too_much_in_it_is_no_answer() {
        let (verdict, warned, state) = told(b"\0\0\0\x04cabc");
        assert_eq!((verdict, state), (Verdict::reply(LATER), State::Failed));
        assert_eq!(warned, ["milter f: reply SMFIR_CONTINUE was followed by 3 data bytes"]);
    }

    #[test]
    fn an_oversized_packet_is_not_awaited() {
        let (verdict, warned, _) = told(b"\x7f\xff\xff\xffy");
        assert_eq!(verdict, Verdict::reply(LATER));
        assert_eq!(warned, ["milter f: unreasonable packet length: 2147483647 > 4194304"]);
    }

    #[test]
    fn a_reply_of_many_lines_has_one_code() {
        assert!(
            matches!(told(b"\0\0\0\x18y550-5.7.1 a\r\n250 b\r\n....").0, Some(Verdict::Reply(text)) if text.starts_with("451 4.3.5"))
        );
    }

    /// A message that takes any edit.
    struct Blank;

    impl Draft for Blank {
        fn headers(&self) -> Vec<Vec<u8>> {
            vec![b"A: b".to_vec()]
        }
        fn body(&mut self, take: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
            take(b"words\r\n");
            Ok(())
        }
        fn edit(&mut self, _: crate::milter::Edit) -> Option<Verdict> {
            None
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_edits_leave_a_filter_that_failed_or_goes_on(
            answers in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..30)), 0..6)
        ) {
            let mut said = Vec::new();
            // Header, end of headers, body: then the edits.
            for _ in 0..3 {
                packet::write(&mut said, reply::CONTINUE, &[]);
            }
            answers.iter().for_each(|(code, data)| packet::write(&mut said, *code, &[data]));
            let (mut filter, _open) = filter_that_says(&said, 0);
            let lists = MacroLists::new(&MainCf::parse(std::path::Path::new("/none"), "myhostname = h\n").unwrap()).unwrap();
            let scene = Scene { lists: &lists, macros: &Macros::default(), warn: &|_| {} };
            let verdict = filter.message(&mut Blank, &scene);
            match filter.state() {
                State::Envelope | State::RefusedSession => {}
                State::Failed => prop_assert!(verdict.is_some()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_answers_end_in_a_verdict_or_none(said in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (verdict, warned, state) = told(&said);
            prop_assert!(state != State::Failed || (verdict.is_some() && !warned.is_empty()));
        }
    }
}
