//! The orders in which access tables are asked (access(5)): the whole first, then what is less and less particular.
//! Pattern tables are asked with whole keys only.

use super::check::{Check, Status, Step, Stop};
use super::restriction::Subject;
use crate::daemon::smtpd::patience::patiently;
use crate::message::envelope;
use crate::table::Maps;
use crate::table::maps::{EMPTY_RESULT, Tables};

/// What a table was found to say; None: nothing.
type Found = Result<Option<Step>, Stop>;

impl Check<'_> {
    /// check_SUBJECT_access.
    pub async fn access(&mut self, subject: Subject, word: &str, maps: &Maps) -> Step {
        let (name, class) = self.about(subject);
        let found = match subject {
            Subject::Client => {
                let client = self.peer.name.clone();
                self.client_access(maps, &client, &name, class).await?
            }
            Subject::ReverseClient => {
                let reverse = self.peer.reverse.clone();
                let found = self.client_access(maps, &reverse, &name, class).await?;
                self.no_permission(word, &found, &name)?;
                found
            }
            Subject::Helo if self.helo.is_some() => {
                let helo = name.clone();
                self.domain_access(maps, &helo, Tables::All, &name, class).await?
            }
            Subject::Sender if self.sender == Some("") => {
                let key = self.settings.null_key.clone();
                self.key(maps, &key, Tables::All, &name, class).await?
            }
            Subject::Sender if self.sender.is_some() => self.mail_access(maps, &name, class).await?,
            Subject::Recipient if self.recipient.is_some() => self.mail_access(maps, &name, class).await?,
            Subject::Etrn if self.etrn.is_some() => {
                let domain = name.clone();
                self.domain_access(maps, &domain, Tables::All, &name, class).await?
            }
            Subject::Login if self.login.is_some() => {
                let login = name.clone();
                self.key(maps, &login, Tables::All, &name, class).await?
            }
            _ => None,
        };
        found.unwrap_or(Ok(Status::Dunno))
    }

    /// A name that its owner gives himself permits nothing.
    pub fn no_permission(&mut self, word: &str, found: &Option<Step>, name: &str) -> Result<(), Stop> {
        if matches!(found, Some(Ok(Status::Permit))) && !self.effects.discard {
            self.log.warning(format!("restriction {word} returns OK for {name}"));
            self.log.warning("this is not allowed for security reasons");
            return Err(self.misconfigured("use DUNNO instead of OK if you want to make an exception"));
        }
        Ok(())
    }

    pub async fn key(&mut self, maps: &Maps, key: &str, which: Tables, name: &str, class: &str) -> Found {
        let value = match patiently(|| maps.find_in(key.as_bytes(), which)).await {
            Ok(Some(value)) => String::from_utf8_lossy(&value).into_owned(),
            Ok(None) => return Ok(None),
            Err(error) if error.reason.ends_with(EMPTY_RESULT) => {
                self.log.warning(&error.reason);
                self.log.warning(format!("{} should return NO RESULT in case of NOT FOUND", error.table));
                "451 4.3.5 Server configuration error".to_owned()
            }
            Err(error) => {
                self.log.warning(format!("{} is unavailable. {error}", error.table));
                let key = if key.contains('@') { key.to_lowercase() } else { key.to_owned() };
                self.log.warning(format!("{} lookup error for \"{key}\"", maps.title()));
                "451 4.3.5 Server configuration error".to_owned()
            }
        };
        Ok(Some(self.act(maps.title(), &value, key, name, class).await))
    }

    /// A name, then its address.
    pub async fn client_access(&mut self, maps: &Maps, client: &str, name: &str, class: &str) -> Found {
        if let Some(found) = self.domain_access(maps, client, Tables::All, name, class).await? {
            return Ok(Some(found));
        }
        let address = self.peer.address_name();
        self.address_access(maps, &address, name, class).await
    }

    /// An address, then the networks that begin it.
    pub async fn address_access(&mut self, maps: &Maps, address: &str, name: &str, class: &str) -> Found {
        let separator = if address.contains(':') { ':' } else { '.' };
        let mut part = address;
        let mut which = Tables::All;
        loop {
            if let Some(found) = self.key(maps, part, which, name, class).await? {
                return Ok(Some(found));
            }
            which = Tables::Fixed;
            match part.rfind(separator) {
                Some(at) => part = &part[..at],
                None => return Ok(None),
            }
        }
    }

    /// A domain, then its parents: "parent" or ".parent", as parent_domain_matches_subdomains says.
    pub async fn domain_access(&mut self, maps: &Maps, domain: &str, whole: Tables, name: &str, class: &str) -> Found {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let mut part = domain;
        let mut which = whole;
        loop {
            if let Some(found) = self.key(maps, part, which, name, class).await? {
                return Ok(Some(found));
            }
            which = Tables::Fixed;
            match part.get(1..).and_then(|rest| rest.find('.')) {
                Some(at) => part = &part[at + 1 + usize::from(self.settings.access_parents)..],
                None => return Ok(None),
            }
        }
    }

    /// user+ext@domain, user@domain, the domain and its parents, user+ext@, user@.
    async fn mail_access(&mut self, maps: &Maps, name: &str, class: &str) -> Found {
        let resolution = self.resolve(name).await?;
        let address = resolution.recipient.clone();
        // A recipient with another route inside is too suspicious for a yes.
        let suspicious = resolution.routed && !self.settings.untrusted_routing && class == "Recipient address";
        let found = self.mail_keys(maps, &address, name, class).await?;
        Ok(found
            .map(|step| step.map(|status| if suspicious && status == Status::Permit { Status::Dunno } else { status })))
    }

    async fn mail_keys(&mut self, maps: &Maps, address: &str, name: &str, class: &str) -> Found {
        let (local, Some(domain)) = envelope::split(address) else {
            self.log.warning(format!("check_mail_access: no @domain in address: {address}"));
            return Ok(None);
        };
        let delimiters = self.settings.delimiters.clone();
        let (bare, extension) = envelope::split_extension(local, &delimiters);
        if let Some(found) = self.key(maps, address, Tables::All, name, class).await? {
            return Ok(Some(found));
        }
        if extension.is_some()
            && let Some(found) = self.key(maps, &format!("{bare}@{domain}"), Tables::Fixed, name, class).await?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.domain_access(maps, domain, Tables::Fixed, name, class).await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.key(maps, &format!("{local}@"), Tables::Fixed, name, class).await? {
            return Ok(Some(found));
        }
        if extension.is_some() {
            return self.key(maps, &format!("{bare}@"), Tables::Fixed, name, class).await;
        }
        Ok(None)
    }
}
