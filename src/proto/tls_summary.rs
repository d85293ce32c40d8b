//! An established connection in one line, with OpenSSL's names, as Postfix logs it and writes it into Received headers:
//! "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits)
//! server-digest SHA256". What comes after the bits is told of TLS 1.3 only, there and here.

use super::certificate;
use super::tls_ciphers::{self, Cipher};
use tokio_rustls::rustls::{CommonState, NamedGroup, ProtocolVersion, SignatureScheme};

/// How one side proved who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub scheme: SignatureScheme,
    /// The length of an RSA key.
    pub rsa_bits: Option<usize>,
}

impl Signature {
    /// By the certificate (DER) whose key signed.
    pub fn by(scheme: SignatureScheme, certificate: &[u8]) -> Signature {
        Signature { scheme, rsa_bits: certificate::rsa_bits(certificate) }
    }

    /// "server-signature RSA-PSS (2048 bits) server-digest SHA256" for the side "server".
    fn text(&self, side: &str) -> String {
        let (name, detail, digest) = match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => ("RSA-PSS", None, Some("SHA256")),
            SignatureScheme::RSA_PSS_SHA384 => ("RSA-PSS", None, Some("SHA384")),
            SignatureScheme::RSA_PSS_SHA512 => ("RSA-PSS", None, Some("SHA512")),
            SignatureScheme::RSA_PKCS1_SHA256 => ("RSA", None, Some("SHA256")),
            SignatureScheme::RSA_PKCS1_SHA384 => ("RSA", None, Some("SHA384")),
            SignatureScheme::RSA_PKCS1_SHA512 => ("RSA", None, Some("SHA512")),
            SignatureScheme::ECDSA_NISTP256_SHA256 => ("ECDSA", Some("prime256v1"), Some("SHA256")),
            SignatureScheme::ECDSA_NISTP384_SHA384 => ("ECDSA", Some("secp384r1"), Some("SHA384")),
            SignatureScheme::ECDSA_NISTP521_SHA512 => ("ECDSA", Some("secp521r1"), Some("SHA512")),
            SignatureScheme::ED25519 => ("ED25519", None, None),
            SignatureScheme::ED448 => ("ED448", None, None),
            _ => ("unknown", None, None),
        };
        let mut text = format!("{side}-signature {name}");
        match (detail, self.rsa_bits) {
            (Some(curve), _) => text.push_str(&format!(" ({curve})")),
            (None, Some(bits)) => text.push_str(&format!(" ({bits} bits)")),
            (None, None) => {}
        }
        if let Some(digest) = digest {
            text.push_str(&format!(" {side}-digest {digest}"));
        }
        text
    }
}

/// What two sides agreed on.
#[derive(Clone, Debug)]
pub struct Summary {
    /// "TLSv1.3"
    pub protocol: &'static str,
    pub cipher: &'static str,
    pub bits: u16,
    group: Option<NamedGroup>,
    server: Option<Signature>,
    client: Option<Signature>,
}

impl Summary {
    /// None: the handshake is not over.
    pub fn of(state: &CommonState, server: Option<Signature>, client: Option<Signature>) -> Option<Summary> {
        let &Cipher { name, bits, .. } = tls_ciphers::find(state.negotiated_cipher_suite()?.suite())?;
        let newest = state.protocol_version()? == ProtocolVersion::TLSv1_3;
        Some(Summary {
            protocol: if newest { "TLSv1.3" } else { "TLSv1.2" },
            cipher: name,
            bits,
            group: state.negotiated_key_exchange_group().map(|group| group.name()).filter(|_| newest),
            server: server.filter(|_| newest),
            client: client.filter(|_| newest),
        })
    }

    /// As a Received header folds it, without the parentheses around the whole.
    pub fn lines(&self) -> Vec<String> {
        let Summary { protocol, cipher, bits, .. } = self;
        let mut lines = vec![format!("{protocol} with cipher {cipher} ({bits}/{bits} bits)")];
        let mut second = Vec::new();
        second.extend(self.group.map(|group| format!("key-exchange {}", tls_ciphers::curve(group))));
        second.extend(self.server.as_ref().map(|own| own.text("server")));
        if !second.is_empty() {
            lines.push(second.join(" "));
        }
        lines.extend(self.client.as_ref().map(|own| own.text("client")));
        lines
    }

    /// In one line, for a log.
    pub fn text(&self) -> String {
        self.lines().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_reference_writes_it() {
        let signature = |scheme, rsa_bits| Some(Signature { scheme, rsa_bits });
        let mut summary = Summary {
            protocol: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            bits: 256,
            group: Some(NamedGroup::secp256r1),
            server: signature(SignatureScheme::ECDSA_NISTP256_SHA256, None),
            client: signature(SignatureScheme::RSA_PSS_SHA256, Some(2048)),
        };
        assert_eq!(
            summary.text(),
            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange ECDHE (prime256v1) server-signature \
             ECDSA (prime256v1) server-digest SHA256 client-signature RSA-PSS (2048 bits) client-digest SHA256"
        );
        summary.server = signature(SignatureScheme::ED25519, None);
        summary.client = None;
        assert_eq!(summary.lines()[1], "key-exchange ECDHE (prime256v1) server-signature ED25519");
    }
}
