//! SMTP and POP3 as pure state machines: bytes in, events out; and what clients ask of TLS. Sockets belong to others.

/// What certificates say.
pub mod certificate;
/// The content of DATA: end of data, dots, bare line feeds.
pub mod dot;
/// Dovecot's authentication service.
pub mod dovecot_auth;
/// Fingerprints of certificates.
pub mod fingerprint;
/// POP3 as Dovecot speaks it.
pub mod pop3;
/// Proving who a client is (RFC 4422).
pub mod sasl_client;
/// Command lines of SMTP.
pub mod smtp_command;
/// Replies of SMTP servers.
pub mod smtp_reply;
/// What clients ask of TLS.
pub mod tls;
/// Cipher suites and curves by OpenSSL's names, and lists of them.
pub mod tls_ciphers;
/// Who a server, or a client, says it is.
pub mod tls_identity;
/// What servers answer of TLS.
pub mod tls_server;
/// A connection in one line.
pub mod tls_summary;
/// Lists of versions.
pub mod tls_versions;
/// A client that looks at a server's certificate, and decides later.
pub mod tls_witness;
/// The encoding of DSN parameters.
pub mod xtext;
