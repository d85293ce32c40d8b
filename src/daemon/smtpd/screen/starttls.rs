//! TLS before a client is let through (postscreen_tls_security_level). The reference has tlsproxy(8) for it, whose settings
//! and log lines are kept: the keys are those of tlsproxy_tls_* and of tlsproxy's line in master.cf.

use super::visit::Visit;
use crate::conf::MainCf;
use crate::conf::neighbour::neighbour;
use crate::daemon::smtpd::encryption::Encryption;
use crate::daemon::smtpd::stream::{Duplex, Stream};
use crate::log::event::{Event, text};
use crate::proto::tls_server::Established;
use std::io;

/// What tlsproxy_tls_NAME stands for: smtpd_tls_NAME, in its own process.
const NAMES: &[&str] = &[
    "CAfile",
    "CApath",
    "ask_ccert",
    "cert_file",
    "chain_files",
    "ciphers",
    "eccert_file",
    "eckey_file",
    "eecdh_grade",
    "exclude_ciphers",
    "fingerprint_digest",
    "key_file",
    "loglevel",
    "mandatory_ciphers",
    "mandatory_exclude_ciphers",
    "mandatory_protocols",
    "protocols",
    "req_ccert",
];

/// What the TLS of the screen is made of, in the words of smtpd's parameters.
pub fn settings(cf: &MainCf) -> MainCf {
    let proxy = neighbour(cf, "tlsproxy");
    let mut own = proxy.clone();
    for name in NAMES {
        if let Ok(value) = proxy.text(&format!("tlsproxy_tls_{name}")) {
            own.set(&format!("smtpd_tls_{name}"), &value);
        }
    }
    let word = |set: bool| if set { "yes" } else { "no" };
    own.set("smtpd_tls_security_level", &cf.postscreen_tls_security_level());
    own.set("smtpd_use_tls", word(cf.postscreen_use_tls()));
    own.set("smtpd_enforce_tls", word(cf.postscreen_enforce_tls()));
    own.set("smtpd_tls_wrappermode", "no");
    own
}

impl Visit<'_> {
    fn log_as_proxy(&self, line: &str) {
        self.screen.log.event_as("tlsproxy", &Event::Other(text(line)));
    }

    /// Answers STARTTLS with a handshake; false when the connection is lost with it.
    pub async fn encrypt<S: Duplex>(&mut self, stream: &mut Stream<S>) -> bool {
        let screen = self.screen;
        self.log_as_proxy(&format!("CONNECT from {}", self.shown));
        // What came with the command was not encrypted and is no handshake.
        let outcome = if stream.pending().is_empty() {
            self.handshake(&screen.encryption, stream).await.ok()
        } else {
            self.say(stream, "220 2.0.0 Ready to start TLS").await;
            None
        };
        let Some(established) = outcome else {
            self.log_as_proxy(&format!("TLS handshake failed for service=smtpd peer={}", self.shown));
            self.leave_proxy();
            return false;
        };
        if screen.encryption.log_level >= 1 {
            let (standing, summary) = (established.standing(), established.summary.text());
            self.log_as_proxy(&format!("{standing} TLS connection established from {}: {summary}", self.shown));
        }
        self.encrypted = true;
        true
    }

    pub fn leave_proxy(&self) {
        self.log_as_proxy(&format!("DISCONNECT {}", self.shown));
    }

    async fn handshake<S: Duplex>(&self, encryption: &Encryption, stream: &mut Stream<S>) -> io::Result<Established> {
        let server = encryption.server.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let (config, witness) = server.session().map_err(io::Error::other)?;
        stream.reply("220 2.0.0 Ready to start TLS");
        let state = stream.encrypt(config, encryption.patience).await?;
        server.established(state, &witness, encryption.hash).ok_or_else(|| io::ErrorKind::Other.into())
    }
}
