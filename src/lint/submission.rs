//! Submission services without encryption or without a login.

use super::finding::Findings;
use super::ground::Ground;

pub fn check(ground: &Ground, found: &mut Findings) {
    for service in &ground.services {
        let port = service.name.rsplit(':').next().unwrap_or_default();
        let wrapped = ["smtps", "submissions", "465"].contains(&port);
        if service.command != "smtpd" || !(wrapped || ["submission", "587"].contains(&port)) {
            continue;
        }
        let overrides = service.overrides();
        let value = |name: &str| {
            let own = overrides.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.unwrap_or_else(|| ground.value(name))
        };
        let yes = |name: &str| value(name).eq_ignore_ascii_case("yes");
        let encrypted = value("smtpd_tls_security_level") == "encrypt"
            || yes("smtpd_enforce_tls")
            || (wrapped && yes("smtpd_tls_wrappermode"))
            || yes("smtpd_tls_auth_only");
        if !encrypted {
            found.error(
                ground.service_span(service),
                format!("{} takes passwords and mail without encryption", service.name),
                "A submission service is for people who log in over networks that are not yours (RFC 8314).",
                if wrapped { "add: -o smtpd_tls_wrappermode=yes" } else { "add: -o smtpd_tls_security_level=encrypt" },
            );
        }
        if !yes("smtpd_sasl_auth_enable") {
            found.warning(
                ground.service_span(service),
                format!("nobody can log in to {}", service.name),
                "Without authentication only mynetworks may send through it.",
                "add: -o smtpd_sasl_auth_enable=yes",
            );
        }
    }
}
