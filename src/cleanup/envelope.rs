//! The envelope of a message that is coming in, as its receiver (smtpd, pickup, a forwarding local, a bounce) knows it.

use crate::proto::tls_server::Established;
use std::sync::Arc;
use std::time::SystemTime;

/// How a message came, which its Received header and its log lines tell.
#[derive(Clone, Debug)]
pub enum Origin {
    /// From maildrop/, by this user.
    Local { uid: u32 },
    /// By SMTP.
    Smtp(Box<Client>),
    /// Made here: forwarded by local, or a notice.
    Internal,
}

/// A client that has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The SASL mechanism, or [`XCLIENT`].
    pub method: String,
    pub name: String,
}

/// The method of a client of which another says that it has logged in.
pub const XCLIENT: &str = "XCLIENT";

/// The SMTP client.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The verified name, or "unknown".
    pub name: String,
    pub reverse_name: String,
    pub address: String,
    pub port: u16,
    pub helo: String,
    /// "SMTP" or "ESMTP".
    pub protocol: &'static str,
    pub server_address: String,
    pub server_port: u16,
    pub login: Option<Login>,
    /// MAIL FROM AUTH= (RFC 4954), as it was sent: whose message it was before.
    pub login_sender: Option<String>,
    /// The encryption of its session.
    pub secured: Option<Arc<Established>>,
    /// smtpd_tls_received_header, smtpd_sasl_authenticated_header: whether the Received header tells of them.
    pub secured_header: bool,
    pub login_header: bool,
}

/// A recipient as it was named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Internal form, not rewritten.
    pub address: String,
    /// What X-Original-To and orig_to will say; None: the address itself as it was named.
    pub original: Option<String>,
    /// RFC 3461 ORCPT; None: made from the address.
    pub dsn_original: Option<String>,
    /// NOTIFY bits; 0: the default.
    pub notify: u32,
}

/// Everything but the content.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub origin: Origin,
    pub arrival: SystemTime,
    /// Internal form, not rewritten; empty for notices.
    pub sender: String,
    pub full_name: String,
    pub recipients: Vec<Named>,
    /// Whether incomplete addresses in headers are completed and missing headers added (local_header_rewrite_clients).
    pub rewrite_headers: bool,
    /// Attributes that travel with the message (encoding, envelope_id, ret_flags...).
    pub attributes: Vec<(String, String)>,
    /// Where the message goes instead of each recipient's own transport: "transport:nexthop".
    pub filter: Option<String>,
    /// Who gets it instead of all recipients.
    pub redirect: Option<String>,
    /// Who gets it too.
    pub copies: Vec<String>,
    /// The delimiters with which each recipient gets a sender of its own (VERP).
    pub verp: Option<String>,
    /// Headers that stand before all others.
    pub prepend: Vec<String>,
    /// SMTPUTF8 was asked for.
    pub utf8: bool,
    /// It goes on hold.
    pub hold: bool,
    /// receive_override_options: no address mapping, no checks.
    pub no_mappings: bool,
    pub no_checks: bool,
    /// Which filters look at it.
    pub filtering: super::Filtering,
    /// A notice that header_checks and filters look at (internal_mail_filter_classes).
    pub inspected: bool,
    /// No automatic copies: nothing will be delivered.
    pub no_copies: bool,
    /// No virtual aliases and automatic copies: the message is a notice or was expanded before.
    pub expanded: bool,
}

impl Envelope {
    pub fn new(origin: Origin, sender: impl Into<String>) -> Envelope {
        Envelope {
            origin,
            arrival: SystemTime::now(),
            sender: sender.into(),
            full_name: String::new(),
            recipients: Vec::new(),
            rewrite_headers: true,
            attributes: Vec::new(),
            filter: None,
            redirect: None,
            copies: Vec::new(),
            verp: None,
            prepend: Vec::new(),
            utf8: false,
            hold: false,
            no_mappings: false,
            no_checks: false,
            filtering: super::Filtering::Nobody,
            inspected: false,
            no_copies: false,
            expanded: false,
        }
    }
}
