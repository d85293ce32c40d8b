//! What the client's certificate permits.

use super::check::{Check, Status, Step};
use super::restriction::Subject;
use crate::daemon::smtpd::patience::patiently;
use crate::proto::tls_server::ClientCertificate;
use crate::table::Maps;
use crate::table::maps::Tables;

/// What a table about certificates is asked for (check_ccert_access, search_order).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Certificate,
    PublicKey,
    Subject,
    Issuer,
}

const FIELDS: &[(&str, Field)] = &[
    ("cert_fingerprint", Field::Certificate),
    ("pubkey_fingerprint", Field::PublicKey),
    ("subject", Field::Subject),
    ("issuer", Field::Issuer),
];

/// Where search_order says nothing.
pub const USUAL: &[Field] = &[Field::Certificate, Field::PublicKey];

impl Field {
    pub fn named(name: &str) -> Option<Field> {
        FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, field)| *field)
    }

    fn of(self, certificate: &ClientCertificate) -> &str {
        match self {
            Field::Certificate => &certificate.fingerprint,
            Field::PublicKey => &certificate.key_fingerprint,
            Field::Subject => &certificate.subject,
            Field::Issuer => &certificate.issuer,
        }
    }
}

impl Check<'_> {
    fn certificate(&self) -> Option<ClientCertificate> {
        self.secured.and_then(|own| own.certificate.clone())
    }

    /// permit_tls_clientcerts: a fingerprint of relay_clientcerts; permit_tls_all_clientcerts: any that is trusted.
    pub async fn client_certificate(&mut self, all: bool) -> Step {
        let Some(certificate) = self.certificate() else { return Ok(Status::Dunno) };
        if all {
            return Ok(self.permit_if(certificate.trusted));
        }
        let settings = self.settings;
        for field in USUAL {
            let print = field.of(&certificate).to_owned();
            let found = patiently(|| settings.known_certificates.find(print.as_bytes())).await;
            if self.asked(found, &print)?.is_some() {
                return Ok(Status::Permit);
            }
        }
        Ok(Status::Dunno)
    }

    /// check_ccert_access.
    pub async fn certificate_access(&mut self, order: &[Field], maps: &Maps) -> Step {
        let Some(certificate) = self.certificate() else { return Ok(Status::Dunno) };
        let (name, class) = self.about(Subject::Certificate);
        for field in order {
            // Who a certificate says that it is for is worth nothing where nobody vouches for it.
            if matches!(field, Field::Subject | Field::Issuer) && !certificate.trusted {
                continue;
            }
            let found = self.key(maps, field.of(&certificate), Tables::All, &name, class).await?;
            if let Some(found) = found {
                return found;
            }
        }
        Ok(Status::Dunno)
    }
}
