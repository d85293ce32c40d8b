//! The protocol's numbers and names, as sendmail's libmilter has them (mfdef.h, which its documentation quotes).

/// What a filter is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Negotiate,
    Connect,
    Helo,
    Mail,
    Rcpt,
    Data,
    Unknown,
    Header,
    EndOfHeader,
    Body,
    End,
}

/// Which list of macros goes with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connect,
    Helo,
    Mail,
    Rcpt,
    Data,
    EndOfMessage,
    EndOfHeader,
    Unknown,
}

pub const STAGES: usize = 8;

impl Stage {
    /// The number by which a filter names it in the negotiation; the last one has none there.
    pub fn numbered(number: u32) -> Option<Stage> {
        use Stage::{Connect, Data, EndOfHeader, EndOfMessage, Helo, Mail, Rcpt};
        [Connect, Helo, Mail, Rcpt, Data, EndOfMessage, EndOfHeader].get(usize::try_from(number).ok()?).copied()
    }
}

pub struct Row {
    pub event: Event,
    pub code: u8,
    /// For log lines.
    pub name: &'static str,
    /// The step that keeps the event back, and the one that keeps its answer back.
    pub unsent: u32,
    pub unanswered: u32,
    pub stage: Stage,
}

const fn row(event: Event, code: u8, name: &'static str, unsent: u32, unanswered: u32, stage: Stage) -> Row {
    Row { event, code, name, unsent, unanswered, stage }
}

const NEGOTIATE: Row = row(Event::Negotiate, b'O', "SMFIC_OPTNEG", 0, 0, Stage::Connect);
const EVENTS: &[Row] = &[
    row(Event::Connect, b'C', "SMFIC_CONNECT", 0x1, 0x1000, Stage::Connect),
    row(Event::Helo, b'H', "SMFIC_HELO", 0x2, 0x2000, Stage::Helo),
    row(Event::Mail, b'M', "SMFIC_MAIL", 0x4, 0x4000, Stage::Mail),
    row(Event::Rcpt, b'R', "SMFIC_RCPT", 0x8, 0x8000, Stage::Rcpt),
    row(Event::Data, b'T', "SMFIC_DATA", 0x200, 0x1_0000, Stage::Data),
    row(Event::Unknown, b'U', "SMFIC_UNKNOWN", 0x100, 0x2_0000, Stage::Unknown),
    row(Event::Header, b'L', "SMFIC_HEADER", 0x20, 0x80, Stage::EndOfHeader),
    row(Event::EndOfHeader, b'N', "SMFIC_EOH", 0x40, 0x4_0000, Stage::EndOfHeader),
    row(Event::Body, b'B', "SMFIC_BODY", 0x10, 0x8_0000, Stage::EndOfMessage),
    row(Event::End, b'E', "SMFIC_BODYEOB", 0, 0, Stage::EndOfMessage),
];

impl Event {
    pub fn row(self) -> &'static Row {
        EVENTS.iter().find(|row| row.event == self).unwrap_or(&NEGOTIATE)
    }
}

pub const MACRO: u8 = b'D';
pub const ABORT: u8 = b'A';
pub const QUIT: u8 = b'Q';

/// A filter hears of recipients that are refused, too.
pub const REFUSED_RECIPIENTS: u32 = 0x800;
/// A blank behind a header's colon is the header's.
pub const LEADING_BLANKS: u32 = 0x10_0000;
/// No answer to headers, also from filters that cannot negotiate it.
pub const NO_HEADER_REPLY: u32 = 0x80;
/// Every step that keeps an event back.
pub const UNSENT: u32 = 0x37f;
/// What a filter may ask for here: all but what nobody needs yet.
pub const ACTIONS: u32 = 0x1ff;

/// The steps that each version knows, latest first.
pub const VERSIONS: &[(u32, u32)] = &[(6, 0x1f_ffff), (4, 0x37f), (3, 0x17f), (2, 0x7f)];

/// Answers, with their names for log lines.
pub mod reply {
    pub const ADD_RECIPIENT: u8 = b'+';
    pub const DELETE_RECIPIENT: u8 = b'-';
    pub const ADD_RECIPIENT_WITH: u8 = b'2';
    pub const SHUTDOWN: u8 = b'4';
    pub const ACCEPT: u8 = b'a';
    pub const REPLACE_BODY: u8 = b'b';
    pub const CONTINUE: u8 = b'c';
    pub const DISCARD: u8 = b'd';
    pub const CHANGE_FROM: u8 = b'e';
    pub const ADD_HEADER: u8 = b'h';
    pub const INSERT_HEADER: u8 = b'i';
    pub const CHANGE_HEADER: u8 = b'm';
    pub const PROGRESS: u8 = b'p';
    pub const QUARANTINE: u8 = b'q';
    pub const REJECT: u8 = b'r';
    pub const SKIP: u8 = b's';
    pub const TEMPFAIL: u8 = b't';
    pub const REPLY_CODE: u8 = b'y';

    const NAMES: &[(u8, &str)] = &[
        (ADD_RECIPIENT, "SMFIR_ADDRCPT"),
        (DELETE_RECIPIENT, "SMFIR_DELRCPT"),
        (ADD_RECIPIENT_WITH, "SMFIR_ADDRCPT_PAR"),
        (SHUTDOWN, "SMFIR_SHUTDOWN"),
        (ACCEPT, "SMFIR_ACCEPT"),
        (REPLACE_BODY, "SMFIR_REPLBODY"),
        (CONTINUE, "SMFIR_CONTINUE"),
        (DISCARD, "SMFIR_DISCARD"),
        (CHANGE_FROM, "SMFIR_CHGFROM"),
        (b'f', "SMFIR_CONN_FAIL"),
        (ADD_HEADER, "SMFIR_ADDHEADER"),
        (INSERT_HEADER, "SMFIR_INSHEADER"),
        (CHANGE_HEADER, "SMFIR_CHGHEADER"),
        (PROGRESS, "SMFIR_PROGRESS"),
        (QUARANTINE, "SMFIR_QUARANTINE"),
        (REJECT, "SMFIR_REJECT"),
        (SKIP, "SMFIR_SKIP"),
        (TEMPFAIL, "SMFIR_TEMPFAIL"),
        (REPLY_CODE, "SMFIR_REPLYCODE"),
    ];

    /// Whether it says what becomes of something, as against an edit or nothing that is known.
    pub fn is_decision(code: u8) -> bool {
        matches!(
            code,
            SHUTDOWN | ACCEPT | CONTINUE | DISCARD | PROGRESS | QUARANTINE | REJECT | SKIP | TEMPFAIL | REPLY_CODE
        )
    }

    pub fn name(code: u8) -> Option<&'static str> {
        NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
    }
}
