//! Sender and recipient addresses: not complete, unknown domain, unknown user, relayed, not the sender's own.

use super::check::{Check, Status, Step};
use super::restriction::Plain;
use crate::conf::MainCf;
use crate::daemon::smtpd::patience::patiently;
use crate::daemon::smtpd::recipient;
use crate::dns::Answer;
use crate::message::{envelope, host};
use crate::route::{Class, Resolution};
use std::sync::Once;

impl Check<'_> {
    pub async fn address_check(&mut self, plain: Plain) -> Step {
        let settings = self.settings;
        let recipient = self.recipient.map(str::to_owned);
        let sender = self.sender.filter(|sender| !sender.is_empty()).map(str::to_owned);
        Ok(match (plain, recipient, sender) {
            (Plain::PermitAuthDestination, Some(recipient), _) => {
                let resolution = self.resolve(&recipient).await?;
                self.permit_if(is_authorized(&resolution, settings.untrusted_routing))
            }
            (Plain::CheckRelayDomains, Some(recipient), _) => {
                static WARNED: Once = Once::new();
                WARNED.call_once(|| {
                    self.log.warning(
                        "support for restriction \"check_relay_domains\" will be removed from Postfix; use \
                         \"reject_unauth_destination\" instead",
                    );
                });
                let resolution = self.resolve(&recipient).await?;
                if is_authorized(&resolution, settings.untrusted_routing) {
                    return Ok(Status::Permit);
                }
                let text = format!("<{recipient}>: Recipient address rejected: Relay access denied");
                self.reject(settings.codes.relay, "5.7.1", &text)
            }
            (Plain::UnauthDestination | Plain::DeferUnauthDestination, Some(recipient), _) => {
                let resolution = self.resolve(&recipient).await?;
                if is_authorized(&resolution, settings.untrusted_routing) {
                    return Ok(Status::Dunno);
                }
                let code = settings.codes.relay;
                let text = format!("<{recipient}>: Relay access denied");
                if plain == Plain::UnauthDestination {
                    self.reject(code, "5.7.1", &text)
                } else {
                    self.reject(code - 100, "4.7.1", &text)
                }
            }
            (Plain::PermitMxBackup, Some(recipient), _) => self.mx_backup(&recipient).await?,
            (Plain::NonFqdnSender, _, Some(sender)) => self.incomplete(&sender, "Sender address"),
            (Plain::NonFqdnRecipient, Some(recipient), _) => self.incomplete(&recipient, "Recipient address"),
            (Plain::UnknownSender, _, Some(sender)) => self.unknown_domain(&sender, "Sender address").await?,
            (Plain::UnknownRecipient, Some(recipient), _) => {
                self.unknown_domain(&recipient, "Recipient address").await?
            }
            (Plain::UnlistedRecipient, Some(_), _) => self.unlisted_recipient().await?,
            (Plain::UnlistedSender, _, Some(_)) => self.unlisted_sender().await?,
            (Plain::MultiRecipientBounce, recipient, None) if self.sender == Some("") => {
                // At RCPT the recipient at hand comes on top of those before.
                let most = usize::from(self.stage != "RCPT");
                if self.recipients <= most {
                    return Ok(Status::Dunno);
                }
                let (name, class) = match (recipient, self.stage) {
                    (Some(recipient), "RCPT") => (recipient, "Recipient address"),
                    (_, "DATA") => ("DATA".to_owned(), "Data command"),
                    _ => ("END-OF-MESSAGE".to_owned(), "End-of-data"),
                };
                let text = format!("<{name}>: {class} rejected: Multi-recipient bounce");
                self.reject(settings.codes.multi_recipient_bounce, "5.5.3", &text)
            }
            (
                Plain::SenderLoginMismatch
                | Plain::UnauthenticatedLoginMismatch
                | Plain::AuthenticatedLoginMismatch
                | Plain::KnownLoginMismatch,
                _,
                sender,
            ) => self.login_mismatch(plain, sender.as_deref()).await?,
            (Plain::UnverifiedSender, _, Some(sender)) => self.unverified(&sender, "Sender address").await,
            (Plain::UnverifiedRecipient, Some(recipient), _) => self.unverified(&recipient, "Recipient address").await,
            _ => Status::Dunno,
        })
    }

    fn incomplete(&mut self, address: &str, class: &str) -> Status {
        let domain = envelope::domain(address);
        let literal = domain.starts_with('[') && domain.ends_with(']');
        if literal || (host::is_name(domain) && domain.trim_end_matches('.').contains('.')) {
            return Status::Dunno;
        }
        self.reject(
            self.settings.codes.non_fqdn,
            "5.5.2",
            &format!("<{address}>: {class} rejected: need fully-qualified address"),
        )
    }

    async fn unknown_domain(&mut self, address: &str, class: &str) -> Step {
        let resolution = self.resolve(address).await?;
        let domain = envelope::domain(&resolution.recipient).to_owned();
        let ours = matches!(resolution.class, Class::Local | Class::VirtualAlias | Class::VirtualMailbox);
        if ours || domain.is_empty() || (domain.starts_with('[') && domain.ends_with(']')) {
            return Ok(Status::Dunno);
        }
        let sender = class == "Sender address";
        let dsn = if sender { "4.1.8" } else { "4.1.2" };
        let text = format!("<{address}>: {class} rejected: Domain not found");
        let exchangers = self.dns.mx(&domain).await;
        if let Answer::Found(found) = &exchangers {
            if found.iter().all(|(_, host)| host.is_empty()) {
                let (code, dsn) = if sender { (550, "5.7.27") } else { (556, "5.1.10") };
                let text = format!("<{address}>: {class} rejected: Domain {domain} does not accept mail (nullMX)");
                return Ok(self.reject(code, dsn, &text));
            }
            return Ok(Status::Dunno);
        }
        let addresses = self.dns.addresses(&domain).await;
        Ok(match addresses {
            Answer::Found(_) => Status::Dunno,
            _ if addresses.is_failure() || exchangers.is_failure() => {
                let action = self.settings.unknown_address_trouble.clone();
                self.passing_trouble(&action, 450, dsn, &text)
            }
            _ => self.reject(self.settings.codes.unknown_address, dsn, &text),
        })
    }

    pub async fn unlisted_recipient(&mut self) -> Step {
        let Some(named) = self.recipient else { return Ok(Status::Dunno) };
        if self.recipient_checked {
            return Ok(Status::Dunno);
        }
        // What is only warned of must be refused by the check at the end.
        self.recipient_checked = self.warn_only.is_none();
        self.unlisted(named, "Recipient address").await
    }

    pub async fn unlisted_sender(&mut self) -> Step {
        let Some(named) = self.sender.filter(|sender| !sender.is_empty()) else { return Ok(Status::Dunno) };
        if self.sender_checked {
            return Ok(Status::Dunno);
        }
        self.sender_checked = self.warn_only.is_none();
        self.unlisted(named, "Sender address").await
    }

    async fn unlisted(&mut self, named: &str, class: &str) -> Step {
        let resolution = self.resolve(named).await?;
        let settings = self.settings;
        let found = patiently(|| recipient::unlisted(settings, &resolution, class == "Sender address")).await;
        let found = self.asked(found, named)?;
        Ok(match found {
            Some(unknown) => {
                let text = format!("<{named}>: {class} rejected: {}", unknown.text);
                let dsn = self.fitting(unknown.dsn, class);
                self.reject(unknown.code, &dsn, &text)
            }
            None => Status::Dunno,
        })
    }

    /// smtpd_sender_login_maps: an address with an owner is for clients that logged in as one, and who logged in uses what
    /// is his (for reject_known_sender_login_mismatch also what is nobody's).
    async fn login_mismatch(&mut self, plain: Plain, sender: Option<&str>) -> Step {
        let settings = self.settings;
        let words: &[&str] = match plain {
            Plain::AuthenticatedLoginMismatch => &["reject_authenticated_sender_login_mismatch"],
            Plain::UnauthenticatedLoginMismatch => &["reject_unauthenticated_sender_login_mismatch"],
            Plain::KnownLoginMismatch => &["reject_known_sender_login_mismatch"],
            _ => &["reject_authenticated_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch"],
        };
        if !settings.sasl_wanted {
            for word in words {
                self.log.warning(format!("restriction `{word}' ignored: no SASL support"));
            }
            return Ok(Status::Dunno);
        }
        let other = match self.login {
            Some(_) => Plain::UnauthenticatedLoginMismatch,
            None => Plain::AuthenticatedLoginMismatch,
        };
        let Some(sender) = sender.filter(|_| plain != other) else {
            return Ok(Status::Dunno);
        };
        let resolution = self.resolve(sender).await?;
        let (address, class) = (&resolution.recipient, resolution.class);
        let found = patiently(|| recipient::find(settings, &settings.sender_logins, address, class)).await;
        let owners = self.asked(found, sender)?;
        let fault = match (self.login.map(|own| &own.name), owners) {
            (None, Some(_)) => "not logged in".to_owned(),
            (Some(login), Some(owners)) => {
                let owners = String::from_utf8_lossy(&owners.value).to_lowercase();
                if MainCf::list(&owners).contains(&login.to_lowercase()) {
                    return Ok(Status::Dunno);
                }
                format!("not owned by user {login}")
            }
            (Some(login), None) if plain != Plain::KnownLoginMismatch => format!("not owned by user {login}"),
            _ => return Ok(Status::Dunno),
        };
        Ok(self.reject(553, "5.7.1", &format!("<{sender}>: Sender address rejected: {fault}")))
    }

    /// permit_mx_backup: what permit_auth_destination permits, and more: we are a mail exchanger of the recipient's domain, and the best ones are in
    /// permit_mx_backup_networks where that is set.
    async fn mx_backup(&mut self, recipient: &str) -> Step {
        let settings = self.settings;
        let resolution = self.resolve(recipient).await?;
        if resolution.routed && !settings.untrusted_routing {
            return Ok(Status::Dunno);
        }
        if resolution.class != Class::Default {
            return Ok(Status::Permit);
        }
        let domain = envelope::domain(&resolution.recipient).to_owned();
        if domain.starts_with('[') {
            return Ok(Status::Dunno);
        }
        let exchangers = match self.dns.mx(&domain).await {
            Answer::Found(found) => found,
            answer @ Answer::Failed => {
                let text = format!(
                    "<{recipient}>: Recipient address rejected: Unable to look up mail exchanger information: {}",
                    answer.reason()
                );
                return Ok(self.defer_if_reject(450, "4.4.4", &text));
            }
            _ => return Ok(Status::Dunno),
        };
        let mut is_ours = false;
        for (_, host) in &exchangers {
            let addresses = self.dns.addresses(host).await.found().unwrap_or_default();
            is_ours |= host.eq_ignore_ascii_case(&settings.myhostname)
                || addresses.iter().any(|address| settings.own_addresses.contains(address));
        }
        if !is_ours {
            return Ok(Status::Dunno);
        }
        if !settings.backup_networks.is_empty() {
            let best = exchangers.iter().map(|(preference, _)| *preference).min().unwrap_or_default();
            for (_, host) in exchangers.iter().filter(|(preference, _)| *preference == best) {
                let addresses = self.dns.addresses(host).await.found().unwrap_or_default();
                let inside = addresses
                    .iter()
                    .any(|address| settings.backup_networks.contains_client(None, Some(*address)).unwrap_or(false));
                if !inside {
                    return Ok(Status::Dunno);
                }
            }
        }
        Ok(Status::Permit)
    }
}

/// Mail for here, or for a domain that we relay to; never with another route inside the address.
fn is_authorized(resolution: &Resolution, untrusted_routing: bool) -> bool {
    if envelope::domain(&resolution.recipient).is_empty() {
        return true;
    }
    (untrusted_routing || !resolution.routed) && resolution.class != Class::Default
}
