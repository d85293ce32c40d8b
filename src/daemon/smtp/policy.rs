//! How much TLS a destination needs: smtp_tls_security_level and what overrides it, smtp_tls_policy_maps or the older
//! smtp_tls_per_site (postconf(5), TLS_README). A policy that cannot be found out, or is nonsense, keeps the mail here:
//! it is never read as less than it may have meant.

use super::destination::Unreachable;
use super::keys::certificates;
use super::policy_entry::{Attributes, is_hostname, read, words};
use crate::conf::MainCf;
use crate::log::Log;
use crate::status::Code;
use crate::table::{Maps, Options};
use std::cell::Cell;
use std::fs;
use std::io::Read;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Longest file of trust anchors, in bytes; more of it is not read.
const MAX_ANCHORS: u64 = 1 << 20;

/// Weakest first. Of DANE there is no more than its names: nothing here asks the DNS for what it says of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    None,
    May,
    Encrypt,
    Dane,
    DaneOnly,
    Fingerprint,
    Verify,
    Secure,
}

const LEVELS: &[(&str, Level)] = &[
    ("none", Level::None),
    ("may", Level::May),
    ("encrypt", Level::Encrypt),
    ("dane", Level::Dane),
    ("dane-only", Level::DaneOnly),
    ("fingerprint", Level::Fingerprint),
    ("verify", Level::Verify),
    ("secure", Level::Secure),
];

impl Level {
    pub fn parse(text: &str) -> Option<Level> {
        LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, level)| *level)
    }

    pub fn name(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("unknown", |(name, _)| name)
    }
}

/// What holds for one host of one next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub level: Level,
    pub protocols: String,
    pub grade: String,
    /// Lists of ciphers that are not wanted.
    pub excluded: Vec<String>,
    /// "", a name, "hostname" or "nexthop".
    pub servername: String,
    /// Names or fingerprints of which the certificate must have one.
    pub matches: Vec<String>,
    /// The only authorities that count; none: those of CAfile, CApath and the machine.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// What the configuration says of all destinations.
pub struct Rules {
    pub level: Level,
    policies: Maps,
    per_site: Maps,
    protocols: [String; 2],
    grades: [String; 2],
    excluded: [String; 2],
    servername: String,
    fingerprints: String,
    names: [String; 2],
    anchors: String,
    /// "smtp" or "lmtp", for names of parameters.
    family: &'static str,
    /// smtp_dns_support_level asks for DNSSEC.
    dnssec: bool,
    told_unused: Cell<bool>,
}

/// One parameter for each of the two programs.
macro_rules! of {
    ($cf:ident, $lmtp:ident, $smtp_name:ident $lmtp_name:ident) => {
        if $lmtp { $cf.$lmtp_name() } else { $cf.$smtp_name() }
    };
}
pub(super) use of;

impl Rules {
    /// The error ends the program.
    pub fn new(cf: &MainCf, lmtp: bool, log: &Log) -> Result<Rules, String> {
        let level = of!(cf, lmtp, smtp_tls_security_level lmtp_tls_security_level);
        let level = match level.trim() {
            "" if of!(cf, lmtp, smtp_enforce_tls lmtp_enforce_tls) => {
                let by_name = of!(cf, lmtp, smtp_tls_enforce_peername lmtp_tls_enforce_peername);
                if by_name { Level::Verify } else { Level::Encrypt }
            }
            "" if of!(cf, lmtp, smtp_use_tls lmtp_use_tls) => Level::May,
            "" => Level::None,
            named => Level::parse(named).ok_or_else(|| format!("Invalid TLS level \"{named}\""))?,
        };
        let family = if lmtp { "lmtp" } else { "smtp" };
        let policies = of!(cf, lmtp, smtp_tls_policy_maps lmtp_tls_policy_maps);
        let per_site = of!(cf, lmtp, smtp_tls_per_site lmtp_tls_per_site);
        if !policies.is_empty() && !per_site.is_empty() {
            log.warning(format!("{family}_tls_per_site ignored when {family}_tls_policy_maps is not empty."));
        }
        let open = |name: &str, list: &str| Maps::open(&format!("{family}_tls_{name}"), list, &Options::default());
        Ok(Rules {
            level,
            policies: open("policy_maps", &policies),
            per_site: open("per_site", if policies.is_empty() { &per_site } else { "" }),
            protocols: [
                of!(cf, lmtp, smtp_tls_protocols lmtp_tls_protocols),
                of!(cf, lmtp, smtp_tls_mandatory_protocols lmtp_tls_mandatory_protocols),
            ],
            grades: [
                of!(cf, lmtp, smtp_tls_ciphers lmtp_tls_ciphers),
                of!(cf, lmtp, smtp_tls_mandatory_ciphers lmtp_tls_mandatory_ciphers),
            ],
            excluded: [
                of!(cf, lmtp, smtp_tls_exclude_ciphers lmtp_tls_exclude_ciphers),
                of!(cf, lmtp, smtp_tls_mandatory_exclude_ciphers lmtp_tls_mandatory_exclude_ciphers),
            ],
            servername: of!(cf, lmtp, smtp_tls_servername lmtp_tls_servername),
            fingerprints: of!(cf, lmtp, smtp_tls_fingerprint_cert_match lmtp_tls_fingerprint_cert_match),
            names: [
                of!(cf, lmtp, smtp_tls_verify_cert_match lmtp_tls_verify_cert_match),
                of!(cf, lmtp, smtp_tls_secure_cert_match lmtp_tls_secure_cert_match),
            ],
            anchors: of!(cf, lmtp, smtp_tls_trust_anchor_file lmtp_tls_trust_anchor_file),
            family,
            dnssec: cf.smtp_dns_support_level() == "dnssec",
            told_unused: Cell::new(false),
        })
    }

    /// Whether any mail may need TLS.
    pub fn may_encrypt(&self) -> bool {
        self.level > Level::None || !self.policies.is_empty() || !self.per_site.is_empty()
    }

    /// The policy for a host of a next hop (as the request names it, without "inet:"). What is wrong is in the log.
    pub fn find(&self, nexthop: &str, host: &str, log: &Log) -> Result<Policy, Unreachable> {
        let invalid = |Misconfigured| {
            let text = "client TLS configuration problem";
            log.warning(format!("TLS policy lookup for {nexthop}/{host}: {text}"));
            Unreachable::temporary(Code::new(4, 7, 5), text)
        };
        let mut policy = Policy::bare(self.level);
        let mut own = Attributes::default();
        if !self.policies.is_empty() {
            if let Some((level, given)) = self.of_destination(nexthop, log).map_err(invalid)? {
                policy.level = level;
                own = given;
            }
        } else if !self.per_site.is_empty() {
            let mut found = None;
            self.of_site(nexthop, "next-hop destination", &mut found, log).map_err(invalid)?;
            if !nexthop.eq_ignore_ascii_case(host) {
                self.of_site(host, "server hostname", &mut found, log).map_err(invalid)?;
            }
            policy.level = match found {
                None => self.level,
                // A table's "may" is for all hosts that need no more.
                Some(Level::May) => self.level.max(Level::May),
                Some(level) => level,
            };
        }
        self.complete(&mut policy, own, nexthop, log).map_err(invalid)?;
        Ok(policy)
    }

    /// What the table leaves open.
    fn complete(&self, policy: &mut Policy, own: Attributes, nexthop: &str, log: &Log) -> Result<(), Misconfigured> {
        if let level @ (Level::Dane | Level::DaneOnly) = policy.level {
            let lacks = if self.dnssec { "but no requisite library support" } else { "with dnssec lookups disabled" };
            let but = if self.dnssec { ", " } else { " " };
            log.warning(format!("{nexthop}: {} configured{but}{lacks}", level.name()));
            if level == Level::DaneOnly {
                return Err(Misconfigured);
            }
            policy.level = Level::May;
        }
        if policy.level == Level::None {
            return Ok(());
        }
        let mandatory = usize::from(policy.level > Level::May);
        policy.protocols = own.protocols.unwrap_or_else(|| self.protocols[mandatory].clone());
        policy.grade = own.grade.unwrap_or_else(|| self.grades[mandatory].clone());
        policy.excluded = match own.excluded {
            Some(list) => vec![list],
            None => self.excluded[..=mandatory].to_vec(),
        };
        policy.servername = own.servername.unwrap_or_else(|| self.servername.clone());
        if !policy.servername.is_empty() && !is_hostname(&policy.servername) {
            let (family, name) = (self.family, &policy.servername);
            log.warning(format!("\"{family}_tls_servername = {name}\" specifies an invalid hostname"));
            return Err(Misconfigured);
        }
        match policy.level {
            Level::Fingerprint => {
                policy.matches = own.matches.unwrap_or_else(|| words(&self.fingerprints, ""));
                if policy.matches.is_empty() {
                    log.warning(format!(
                        "nexthop domain {nexthop}: configured at fingerprint security level, \
                         but with no fingerprints to match."
                    ));
                    return Err(Misconfigured);
                }
            }
            Level::Verify | Level::Secure => {
                let names = &self.names[usize::from(policy.level == Level::Secure)];
                policy.matches = own.matches.unwrap_or_else(|| words(names, ":"));
                let files = if own.anchors.is_empty() { words(&self.anchors, "") } else { own.anchors };
                policy.anchors = anchors(&files).map_err(|wrong| {
                    log.warning(wrong);
                    Misconfigured
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A domain is looked up with its parents ("." before each); other next hops only as they are.
    fn of_destination(&self, nexthop: &str, log: &Log) -> Result<Option<(Level, Attributes)>, Misconfigured> {
        let mut name = nexthop;
        loop {
            let place = || format!("{}, next-hop destination \"{name}\"", self.policies.title());
            match self.policies.find_text(&name.to_ascii_lowercase()) {
                Err(error) => {
                    log.warning(error.to_string());
                    log.warning(format!("{}: policy table lookup error", place()));
                    return Err(Misconfigured);
                }
                Ok(Some(text)) => {
                    return read(&text)
                        .map(Some)
                        .map_err(|wrong| {
                            log.warning(format!("{}: {wrong}", place()));
                            Misconfigured
                        })
                        .inspect(|found| {
                            if let Some((level, own)) = found {
                                self.tell_unused(*level, own, &place(), log);
                            }
                        });
                }
                Ok(None) => {}
            }
            match name.get(1..).and_then(|rest| rest.find('.')) {
                Some(at) if is_hostname(nexthop) => name = &name[at + 1..],
                _ => return Ok(None),
            }
        }
    }

    fn tell_unused(&self, level: Level, own: &Attributes, place: &str, log: &Log) {
        for word in &own.unused {
            if level == Level::None {
                log.warning(format!("{place}: ignoring attribute \"{word}\" with TLS disabled"));
            } else if !self.told_unused.replace(true) {
                // Once: it is no mistake, and each mail would say it again.
                log.info(format!("{place}: attribute \"{word}\" has no effect: connections are not kept"));
            }
        }
    }

    /// smtp_tls_per_site: a stronger word overrides, but NONE overrides MAY.
    fn of_site(&self, name: &str, class: &str, found: &mut Option<Level>, log: &Log) -> Result<(), Misconfigured> {
        let title = self.per_site.title();
        let word = self.per_site.find_text(&name.to_ascii_lowercase()).map_err(|error| {
            log.warning(error.to_string());
            log.warning(format!("{title}: {class} \"{name}\": per-site table lookup error"));
            Misconfigured
        })?;
        let Some(word) = word else { return Ok(()) };
        let rank = |level: Option<Level>| match level {
            None => 0,
            Some(Level::May) => 1,
            Some(Level::None) => 2,
            Some(level) => 3 + u8::from(level > Level::Encrypt),
        };
        let level = match word.to_ascii_uppercase().as_str() {
            "NONE" => Level::None,
            "MAY" => Level::May,
            "MUST_NOPEERMATCH" => Level::Encrypt,
            "MUST" => Level::Verify,
            _ => {
                log.warning(format!("{title}: unknown TLS policy '{word}' for {class} {name}"));
                return Err(Misconfigured);
            }
        };
        if rank(Some(level)) > rank(*found) {
            *found = Some(level);
        }
        Ok(())
    }
}

/// The log says why.
#[derive(Debug)]
struct Misconfigured;

impl Policy {
    /// No more than a level.
    pub fn bare(level: Level) -> Policy {
        let (protocols, grade, servername) = Default::default();
        Policy { level, protocols, grade, excluded: vec![], servername, matches: vec![], anchors: vec![] }
    }
}

/// The certificates of smtp_tls_trust_anchor_file or tafile.
fn anchors(files: &[String]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut all = Vec::new();
    for name in files {
        let mut text = Vec::new();
        fs::File::open(name).and_then(|file| file.take(MAX_ANCHORS).read_to_end(&mut text)).map_err(|error| {
            format!("error opening trust anchor file: {name}: {}", crate::sys::files::reason(&error))
        })?;
        // Public keys alone name no one whom the library could look for.
        all.extend(certificates(&text).map_err(|fault| format!("error reading trust anchor file: {name}: {fault}"))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(text: &str) -> Rules {
        let cf = MainCf::parse(Path::new("/x"), &format!("compatibility_level=3.6\n{text}")).unwrap();
        Rules::new(&cf, false, &Log::nowhere()).unwrap()
    }

    fn find(rules: &Rules, nexthop: &str) -> Option<Policy> {
        rules.find(nexthop, "mx.example.org", &Log::nowhere()).ok()
    }

    #[test]
    fn the_level_of_all_destinations() {
        let level = |text: &str| rules(text).level;
        assert_eq!(level(""), Level::None);
        assert_eq!(level("smtp_use_tls=yes\n"), Level::May);
        assert_eq!(level("smtp_enforce_tls=yes\n"), Level::Verify);
        assert_eq!(level("smtp_enforce_tls=yes\nsmtp_tls_enforce_peername=no\n"), Level::Encrypt);
        assert_eq!(level("smtp_enforce_tls=yes\nsmtp_tls_security_level=may\n"), Level::May);
        let cf = MainCf::parse(Path::new("/x"), "smtp_tls_security_level=high\n").unwrap();
        assert!(Rules::new(&cf, false, &Log::nowhere()).is_err());
    }

    #[test]
    fn a_destination_of_its_own() {
        let rules = rules(
            "smtp_tls_security_level=may\nsmtp_tls_policy_maps=inline:{{example.org=secure}, \
             {.example.net=encrypt ciphers=high}, \
             {[mx.example.com]:587=verify match=a.example:hostname,protocols=>=TLSv1.2}, {off.example=none}, \
             {print.example=fingerprint match=AA:BB|CC:DD}, {junk.example=encrypt match=x}, {dane.example=dane-only}}\n",
        );
        let level = |nexthop: &str| find(&rules, nexthop).map(|policy| policy.level);
        assert_eq!(level("elsewhere.example"), Some(Level::May));
        assert_eq!(level("EXAMPLE.org"), Some(Level::Secure));
        assert_eq!(level("sub.example.org"), Some(Level::May));
        assert_eq!(level("a.b.example.net"), Some(Level::Encrypt));
        assert_eq!(level("[a.example.net]"), Some(Level::May), "only as it is");
        assert_eq!(level("off.example"), Some(Level::None));
        assert_eq!(level("junk.example"), None);
        assert_eq!(level("dane.example"), None, "never silently less");
        let verify = find(&rules, "[mx.example.com]:587").unwrap();
        assert_eq!(
            (verify.matches, verify.protocols),
            (vec!["a.example".into(), "hostname".into()], ">=TLSv1.2".into())
        );
        assert_eq!(find(&rules, "print.example").unwrap().matches, ["AA:BB", "CC:DD"]);
        assert_eq!(find(&rules, "example.org").unwrap().matches, ["nexthop", "dot-nexthop"]);
    }

    #[test]
    fn words_of_the_older_table() {
        let level = |own: &str, text: &str| {
            let rules = rules(&format!("smtp_tls_security_level={own}\nsmtp_tls_per_site=inline:{{{text}}}\n"));
            find(&rules, "example.org").map(|policy| policy.level)
        };
        assert_eq!(level("may", "{example.org=MUST}"), Some(Level::Verify));
        assert_eq!(level("may", "{mx.example.org=MUST_NOPEERMATCH}, {example.org=none}"), Some(Level::Encrypt));
        assert_eq!(level("secure", "{example.org=MAY}"), Some(Level::Secure));
        assert_eq!(level("secure", "{example.org=MAY}, {mx.example.org=NONE}"), Some(Level::None));
        assert_eq!(level("may", "{other.example=MUST}"), Some(Level::May));
        assert_eq!(level("may", "{example.org=junk}"), None);
    }
}
