//! The event table: what --ndjson writes as names and values and --parquet as columns. The manual page lists it from here.
//! Names only come in with the same [`VERSION`]; one that goes or changes its meaning makes a new version.

/// In the key "pillarbox.events.version" of each Parquet file.
pub const VERSION: u32 = 1;

/// What a column holds; any of it may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Seconds since 1970 of the clock on the wall that the log shows, without a zone.
    Time,
    Text,
    Integer,
    Decimal,
}

pub struct Column {
    pub field: Field,
    pub name: &'static str,
    pub of: Type,
    pub about: &'static str,
}

macro_rules! columns {
    ($($field:ident $name:literal $of:ident $about:literal,)*) => {
        /// A column, by its place in [`COLUMNS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($field),* }

        pub const COLUMNS: &[Column] =
            &[$(Column { field: Field::$field, name: $name, of: Type::$of, about: $about }),*];
    };
}

columns! {
    Time "time" Time "when the line was logged, by the clock of that host",
    Host "host" Text "the host that logged it; in a Parquet table the name of a directory, beside date",
    Service "service" Text "smtpd, qmgr, smtp, ...",
    Process "pid" Integer "the process",
    Event "event" Text "what the line is, see below",
    QueueId "queue_id" Text "the message; NOQUEUE when there was none yet",
    MessageId "message_id" Text "with its brackets (message_id)",
    Sender "sender" Text "from=; empty for notices (pickup, active, expired, verdict)",
    Recipient "recipient" Text "to= (delivery, verdict)",
    OrigRecipient "orig_recipient" Text "the recipient before aliases, where it differs (delivery)",
    Client "client" Text "the client's name, or unknown",
    ClientAddress "client_address" Text "its IP address",
    Helo "helo" Text "how it called itself (verdict)",
    SaslUsername "sasl_username" Text "who logged in (client)",
    OrigQueueId "orig_queue_id" Text "the message that a filter gave back as this one (client)",
    Uid "uid" Integer "the user who called sendmail (pickup)",
    Size "size" Integer "bytes (active)",
    Recipients "nrcpt" Integer "recipients (active)",
    Relay "relay" Text "where it went: NAME[ADDRESS]:PORT, local, a service (delivery, unreachable)",
    Tls "tls" Text "how the connection was secured, Postfix 3.11 (delivery)",
    Uses "conn_use" Integer "how often the connection was used, from the second time on (delivery)",
    Delay "delay" Decimal "seconds from arrival to this attempt's end (delivery)",
    DelayBefore "delay_before_queue" Decimal "its part before the queue manager",
    DelayQueue "delay_in_queue" Decimal "its part in the active queue",
    DelayConnect "delay_connection" Decimal "its part for the connection",
    DelayTransmit "delay_transmission" Decimal "its part for the transmission",
    Dsn "dsn" Text "enhanced status code (delivery, verdict)",
    Status "status" Text "sent, deferred, bounced, expired, ... (delivery)",
    Action "action" Text "reject, hold, discard, warn, milter-reject, ... (verdict)",
    Command "command" Text "RCPT, MAIL, header, ... (verdict); after what (lost_connection, timeout, too_many_errors)",
    Reply "reply" Integer "SMTP reply code (verdict)",
    Reason "reason" Text "why; of a verdict without what differs from mail to mail (delivery, verdict, unreachable)",
    Notice "notice" Text "sender non-delivery, sender delay, ... (notification)",
    NoticeId "notice_id" Text "the notice's own queue id (notification)",
    Counts "counts" Text "the session's commands (disconnect)",
    Text "text" Text "the rest of what the line says (verdict, warning, error, fatal, panic, other)",
}

/// The values of the column "event".
pub const EVENTS: &[(&str, &str)] = &[
    ("pickup", "sendmail's message was taken"),
    ("client", "smtpd takes a message from a client"),
    ("message_id", "cleanup has seen the header"),
    ("active", "the queue manager begins with it"),
    ("delivery", "an attempt for one recipient"),
    ("removed", "it has left the queue"),
    ("canceled", "it was removed before it was whole"),
    ("expired", "it was too old and went back"),
    ("notification", "its sender or the postmaster was told"),
    ("verdict", "a check turned it away, held it or warned of it"),
    ("connect", "a client came"),
    ("disconnect", "it went"),
    ("lost_connection", "it was gone"),
    ("timeout", "it was silent too long"),
    ("too_many_errors", "it was sent away"),
    ("unreachable", "a server did not answer"),
    ("warning", "a program complains"),
    ("error", "a program complains louder"),
    ("fatal", "a program ended"),
    ("panic", "a program found a fault in itself"),
    ("other", "any other line"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_own() {
        for (place, column) in COLUMNS.iter().enumerate() {
            assert_eq!(column.field as usize, place);
            assert!(COLUMNS.iter().filter(|other| other.name == column.name).count() == 1, "{}", column.name);
            assert!(column.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", column.name);
        }
    }
}
