//! check_policy_service (SMTPD_POLICY_README): what is known of a request goes to a server as "name=value" lines, and
//! "action=..." comes back, which is obeyed as an access table's answer. A server that does not answer is asked again,
//! and then smtpd_policy_service_default_action stands in.

use super::check::{Check, Step};
use crate::conf::MainCf;
use crate::conf::typed::seconds;
use crate::daemon::smtpd::endpoint::{self, Both};
use crate::log::Log;
use crate::proto::xtext;
use crate::table::memory::{split_items, unbraced};
use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest answer.
const MAX_ANSWER: usize = 16 * 1024;

/// As the reference words it.
const NO_ANSWER: &str = "Application error";

/// smtpd_policy_service_*: what each service has by default.
#[derive(Clone)]
pub struct PolicySettings {
    default_action: String,
    context: String,
    timeout: Duration,
    tries: u32,
    retry_delay: Duration,
    max_idle: Duration,
    max_ttl: Duration,
    request_limit: i64,
}

impl PolicySettings {
    pub fn new(cf: &MainCf) -> PolicySettings {
        PolicySettings {
            default_action: cf.smtpd_policy_service_default_action(),
            context: cf.smtpd_policy_service_policy_context(),
            timeout: cf.smtpd_policy_service_timeout(),
            tries: u32::try_from(cf.smtpd_policy_service_try_limit()).unwrap_or(1).max(1),
            retry_delay: cf.smtpd_policy_service_retry_delay(),
            max_idle: cf.smtpd_policy_service_max_idle(),
            max_ttl: cf.smtpd_policy_service_max_ttl(),
            request_limit: cf.smtpd_policy_service_request_limit(),
        }
    }
}

/// An open connection.
struct Connection {
    stream: Box<dyn Both>,
    since: Instant,
    used: Instant,
    requests: i64,
}

/// One service, with its connection that is free.
pub struct PolicyService {
    /// "inet:127.0.0.1:10023", "unix:private/policy".
    server: String,
    settings: PolicySettings,
}

thread_local! {
    /// Free connections by server. All sessions live on one thread.
    static IDLE: RefCell<Vec<(String, Connection)>> = const { RefCell::new(Vec::new()) };
}

impl PolicyService {
    /// "transport:server" or "{ transport:server, name = value, ... }".
    pub fn parse(spec: &str, defaults: &PolicySettings) -> Result<PolicyService, String> {
        let mut settings = defaults.clone();
        let bad = |reason: &str| format!("policy service syntax error: {reason}");
        let inner = unbraced(spec).map_err(bad)?;
        if !inner.contains(':') {
            return Err(format!("need service transport:endpoint instead of \"{spec}\""));
        }
        if !spec.starts_with('{') {
            return Ok(PolicyService { server: spec.to_owned(), settings });
        }
        let items = join_assignments(split_items(inner));
        let (server, attributes) = items.split_first().ok_or_else(|| format!("empty policy service: \"{spec}\""))?;
        for attribute in attributes {
            let attribute = unbraced(attribute).map_err(bad)?;
            let (name, value) = attribute.split_once('=').ok_or_else(|| bad("missing '=' after attribute name"))?;
            let (name, value) = (name.trim(), value.trim());
            let time = || seconds(value, 's').map(Duration::from_secs).ok_or_else(|| bad(value));
            let number = || value.parse::<i64>().map_err(|_| bad(value));
            match name {
                "default_action" => settings.default_action = value.to_owned(),
                "policy_context" => settings.context = value.to_owned(),
                "max_idle" => settings.max_idle = time()?,
                "max_ttl" => settings.max_ttl = time()?,
                "timeout" => settings.timeout = time()?,
                "retry_delay" => settings.retry_delay = time()?,
                "request_limit" => settings.request_limit = number()?,
                "try_limit" => settings.tries = u32::try_from(number()?).unwrap_or(1).max(1),
                _ => return Err(bad(&format!("unexpected attribute name: {name}"))),
            }
        }
        Ok(PolicyService { server: server.clone(), settings })
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = endpoint::connect(&self.server).await?;
        let now = Instant::now();
        Ok(Connection { stream, since: now, used: now, requests: 0 })
    }

    fn idle(&self) -> Option<Connection> {
        let settings = &self.settings;
        IDLE.with_borrow_mut(|idle| {
            idle.retain(|(server, connection)| {
                *server != self.server
                    || (connection.used.elapsed() < settings.max_idle
                        && connection.since.elapsed() < settings.max_ttl
                        && (settings.request_limit <= 0 || connection.requests < settings.request_limit))
            });
            let at = idle.iter().position(|(server, _)| *server == self.server)?;
            Some(idle.swap_remove(at).1)
        })
    }

    /// The action that the server answers.
    async fn ask(&self, log: &Log, request: &[u8]) -> io::Result<String> {
        let mut connection = match self.idle() {
            Some(connection) => connection,
            None => self.connect().await.inspect_err(|error| {
                log.warning(format!("connect to {}: {}", place(&self.server), crate::sys::files::reason(error)));
            })?,
        };
        let stream = &mut connection.stream;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::Error::other(NO_ANSWER));
            }
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::other(NO_ANSWER));
            }
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        let action = text.lines().find_map(|line| line.strip_prefix("action=")).map(str::to_owned);
        let Some(action) = action else {
            log.warning(format!("missing attribute action in input from {}", place(&self.server)));
            return Err(io::Error::other(NO_ANSWER));
        };
        connection.used = Instant::now();
        connection.requests += 1;
        IDLE.with_borrow_mut(|idle| idle.push((self.server.clone(), connection)));
        Ok(action)
    }
}

/// "name = value" in three words is one assignment.
fn join_assignments(items: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for item in items {
        match joined.last_mut() {
            Some(last) if item == "=" || (last.ends_with('=') && !item.starts_with('{')) || item.starts_with('=') => {
                last.push_str(&item);
            }
            _ => joined.push(item),
        }
    }
    joined
}

impl Check<'_> {
    pub async fn policy(&mut self, service: &PolicyService, name: &str, class: &str) -> Step {
        let request = self.policy_request(&service.settings);
        let settings = &service.settings;
        let mut action = None;
        for attempt in 1..=settings.tries {
            match tokio::time::timeout(settings.timeout, service.ask(self.log, &request)).await {
                Ok(Ok(answer)) => {
                    action = Some(answer);
                    break;
                }
                failed => {
                    let reason = match failed {
                        Ok(Err(error)) => crate::sys::files::reason(&error),
                        _ => "Connection timed out".to_owned(),
                    };
                    self.log.warning(format!("problem talking to server {}: {reason}", place(&service.server)));
                    if attempt < settings.tries {
                        tokio::time::sleep(settings.retry_delay).await;
                    }
                }
            }
        }
        let action = action.unwrap_or_else(|| settings.default_action.clone());
        self.act(&service.server, &action, "policy query", name, class).await
    }

    fn policy_request(&self, settings: &PolicySettings) -> Vec<u8> {
        let peer = self.peer;
        let summary = self.secured.map(|own| &own.summary);
        let certificate = self.secured.and_then(|own| own.certificate.as_ref());
        let trusted = certificate.filter(|own| own.trusted);
        let number = |value: u64| value.to_string();
        // The first BDAT stands where DATA would.
        let stage = if self.stage == "BDAT" { "DATA" } else { self.stage };
        let attributes: &[(&str, String)] = &[
            ("request", "smtpd_access_policy".into()),
            ("protocol_state", stage.into()),
            ("protocol_name", self.protocol.into()),
            ("client_address", peer.address_name()),
            ("client_name", peer.name.clone()),
            ("client_port", peer.port.to_string()),
            ("reverse_client_name", peer.reverse.clone()),
            ("server_address", peer.server_address.clone()),
            ("server_port", peer.server_port.to_string()),
            ("helo_name", self.helo.unwrap_or_default().into()),
            ("sender", self.sender.unwrap_or_default().into()),
            ("recipient", self.recipient.unwrap_or_default().into()),
            (
                "recipient_count",
                number(if matches!(stage, "DATA" | "END-OF-MESSAGE") { self.recipients as u64 } else { 0 }),
            ),
            ("queue_id", Some(self.queue_id.as_str()).filter(|id| *id != "NOQUEUE").unwrap_or_default().into()),
            ("instance", self.instance.into()),
            ("size", number(self.size)),
            ("etrn_domain", self.etrn.unwrap_or_default().into()),
            ("stress", String::new()),
            ("sasl_method", self.login.map_or_else(String::new, |own| own.method.clone())),
            ("sasl_username", self.login_name().into()),
            ("sasl_sender", self.login_sender.unwrap_or_default().into()),
            // What is not proved is told of nobody.
            ("ccert_subject", trusted.map_or_else(String::new, |own| xtext::encode(&own.subject))),
            ("ccert_issuer", trusted.map_or_else(String::new, |own| xtext::encode(&own.issuer))),
            ("ccert_fingerprint", certificate.map_or_else(String::new, |own| own.fingerprint.clone())),
            ("ccert_pubkey_fingerprint", certificate.map_or_else(String::new, |own| own.key_fingerprint.clone())),
            ("encryption_protocol", summary.map_or("", |own| own.protocol).into()),
            ("encryption_cipher", summary.map_or("", |own| own.cipher).into()),
            ("encryption_keysize", summary.map_or(0, |own| own.bits).to_string()),
            ("policy_context", settings.context.clone()),
        ];
        let mut request = Vec::with_capacity(1024);
        for (name, value) in attributes {
            request.extend_from_slice(name.as_bytes());
            request.push(b'=');
            request.extend(value.bytes().map(|byte| if matches!(byte, b'\n' | 0) { b'?' } else { byte }));
            request.push(b'\n');
        }
        request.push(b'\n');
        request
    }
}

/// The server without its kind, as messages name it.
fn place(server: &str) -> &str {
    server.split_once(':').map_or(server, |(_, place)| place)
}
