//! Logins (SASL_README, postconf(5) smtpd_sasl_*): what may be offered to whom, and who is asked whether a password is right.
//! smtpd itself knows no password: Dovecot's service or saslauthd does.

/// A client of Dovecot's authentication service.
mod dovecot;
/// A client of saslauthd.
mod saslauthd;

use crate::conf::MainCf;
use crate::log::Log;
use crate::proto::dovecot_auth::Mechanism;
use crate::table::matchlist::Flavour;
use crate::table::{MatchList, Options};
use dovecot::Dovecot;
use saslauthd::Saslauthd;
use std::time::Duration;

/// How long a service may take over one answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Sasl {
    backend: Backend,
    /// smtpd_sasl_security_options, smtpd_sasl_tls_security_options: properties that a mechanism must not and must have.
    plain: Wanted,
    encrypted: Wanted,
    filter: MatchList,
    /// To whom nothing is offered.
    pub exceptions: MatchList,
    /// For clients that only know "AUTH=".
    pub broken_clients: bool,
    pub response_limit: usize,
}

enum Backend {
    Dovecot(Dovecot),
    Saslauthd(Saslauthd),
}

/// One of the security options.
struct Rule {
    name: &'static str,
    property: &'static str,
    must: bool,
}

const RULES: &[Rule] = &[
    Rule { name: "noplaintext", property: "plaintext", must: false },
    Rule { name: "noactive", property: "active", must: false },
    Rule { name: "nodictionary", property: "dictionary", must: false },
    Rule { name: "noanonymous", property: "anonymous", must: false },
    Rule { name: "forward_secrecy", property: "forward-secrecy", must: true },
    Rule { name: "mutual_auth", property: "mutual-auth", must: true },
];

struct Wanted(Vec<&'static Rule>);

impl Wanted {
    fn parse(parameter: &str, list: &str) -> Result<Wanted, String> {
        let rule = |word: &String| {
            let found = RULES.iter().find(|rule| rule.name.eq_ignore_ascii_case(word));
            found.ok_or_else(|| format!("parameter {parameter}: unknown security option \"{word}\" in \"{list}\""))
        };
        MainCf::list(list).iter().map(rule).collect::<Result<_, _>>().map(Wanted)
    }

    fn lets_in(&self, mechanism: &Mechanism) -> bool {
        !mechanism.has("private") && self.0.iter().all(|rule| mechanism.has(rule.property) == rule.must)
    }
}

/// Who logs in where.
#[derive(Clone, Debug)]
pub struct Place {
    pub server_address: String,
    pub client_address: String,
    pub encrypted: bool,
}

/// A conversation that is under way.
pub enum Conversation {
    Dovecot(dovecot::Talk),
    Saslauthd(saslauthd::Talk),
}

/// What came of a step of it.
pub enum Step {
    /// A challenge for the client, in base64.
    More(Conversation, String),
    /// Who it is.
    Good(String),
    Bad(Refusal),
}

/// Why nobody logged in.
#[derive(Debug)]
pub struct Refusal {
    /// Who it might have been.
    pub name: Option<String>,
    pub reason: Option<String>,
    /// Nobody could tell.
    pub temporary: bool,
}

impl Refusal {
    fn because(reason: impl Into<String>) -> Step {
        Step::Bad(Refusal { name: None, reason: Some(reason.into()), temporary: false })
    }

    /// Nobody could tell.
    fn unknown(reason: Option<&str>) -> Step {
        Step::Bad(Refusal { name: None, reason: reason.map(str::to_owned), temporary: true })
    }
}

impl Sasl {
    /// None: nobody logs in here. The error keeps smtpd from starting.
    pub fn new(cf: &MainCf, log: &Log) -> Result<Option<Sasl>, String> {
        if !cf.smtpd_sasl_auth_enable() {
            return Ok(None);
        }
        let backend = match cf.smtpd_sasl_type().as_str() {
            "dovecot" => Backend::Dovecot(Dovecot::new(cf.smtpd_sasl_path(), cf.smtpd_sasl_service())),
            "cyrus" => Backend::Saslauthd(Saslauthd::new(cf, log)?),
            other => {
                log.warning(format!("unsupported SASL server implementation: {other}"));
                return Err("SASL per-process initialization failed".into());
            }
        };
        let options = Options::default();
        let parse = |parameter, list: String| Wanted::parse(parameter, &list);
        Ok(Some(Sasl {
            backend,
            plain: parse("smtpd_sasl_security_options", cf.smtpd_sasl_security_options())?,
            encrypted: parse("smtpd_sasl_tls_security_options", cf.smtpd_sasl_tls_security_options())?,
            filter: MatchList::parse(
                "smtpd_sasl_mechanism_filter",
                &cf.smtpd_sasl_mechanism_filter().to_ascii_lowercase(),
                Flavour::Strings,
                &options,
            ),
            exceptions: MatchList::parse(
                "smtpd_sasl_exceptions_networks",
                &cf.smtpd_sasl_exceptions_networks(),
                Flavour::Clients { parents: false },
                &options,
            ),
            broken_clients: cf.broken_sasl_auth_clients(),
            response_limit: usize::try_from(cf.smtpd_sasl_response_limit()).unwrap_or(0).max(1),
        }))
    }

    /// The mechanisms for a session of this kind; none, with a warning, when nobody answers.
    pub async fn mechanisms(&self, encrypted: bool, log: &Log) -> Vec<String> {
        let all = match &self.backend {
            Backend::Dovecot(service) => match service.mechanisms().await {
                Ok(all) => all,
                Err(fault) => {
                    log.warning(fault);
                    return Vec::new();
                }
            },
            Backend::Saslauthd(service) => service.mechanisms(),
        };
        let wanted = if encrypted { &self.encrypted } else { &self.plain };
        let listed =
            |mechanism: &Mechanism| self.filter.contains(&mechanism.name.to_ascii_lowercase()).unwrap_or(false);
        all.into_iter()
            .filter(|mechanism| wanted.lets_in(mechanism) && listed(mechanism))
            .map(|mechanism| mechanism.name)
            .collect()
    }

    /// Begins a conversation; `response` is what the client sent with its command, in base64.
    pub async fn begin(&self, mechanism: &str, response: Option<&str>, place: &Place, log: &Log) -> Step {
        let offered = self.mechanisms(place.encrypted, log).await;
        if !offered.is_empty() && !offered.iter().any(|own| own.eq_ignore_ascii_case(mechanism)) {
            return Refusal::because("Invalid authentication mechanism");
        }
        match &self.backend {
            Backend::Dovecot(service) => service.begin(mechanism, response, place, log).await,
            Backend::Saslauthd(service) => service.begin(mechanism, response, place, log).await,
        }
    }

    /// Goes on with what the client answered.
    pub async fn go_on(&self, conversation: Conversation, response: &str, log: &Log) -> Step {
        match (&self.backend, conversation) {
            (Backend::Dovecot(service), Conversation::Dovecot(talk)) => service.go_on(talk, response, log).await,
            (Backend::Saslauthd(service), Conversation::Saslauthd(talk)) => service.go_on(talk, response, log).await,
            // A conversation is always with who began it.
            _ => Refusal::unknown(None),
        }
    }
}
