//! smtpd_sasl_type = cyrus, as it is mostly used: SMTPD.conf says `pwcheck_method: saslauthd`, and saslauthd(8) checks
//! passwords that come by PLAIN (RFC 4616) or LOGIN. Cyrus's library itself, with the mechanisms and password files that it
//! knows besides, is not here.

use super::{Conversation, PATIENCE, Place, Refusal, Step};
use crate::conf::MainCf;
use crate::log::Log;
use crate::proto::dovecot_auth::Mechanism;
use data_encoding::BASE64;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Where Debian's Postfix, and then Cyrus's library, look for the configuration.
const DIRECTORIES: &[&str] = &["/etc/postfix/sasl", "/usr/lib/sasl2", "/etc/sasl2"];
/// Where saslauthd listens, below its directory.
const SOCKET: &str = "mux";
const RUN: &str = "/var/run/saslauthd";
/// Longest name, password, service or realm, and longest answer.
const MAX_WORD: usize = 1024;
const MAX_CONFIGURATION: u64 = 64 * 1024;

/// As the reference words it.
const MALFORMED: &str = "another step is needed in authentication";

/// Base64 of "Username:" and "Password:".
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

pub struct Saslauthd {
    socket: PathBuf,
    mechanisms: Vec<Mechanism>,
    service: String,
    realm: String,
}

/// What is known so far.
pub enum Talk {
    Plain,
    Login { name: Option<String> },
}

impl Saslauthd {
    pub fn new(cf: &MainCf, log: &Log) -> Result<Saslauthd, String> {
        let name = format!("{}.conf", cf.smtpd_sasl_path());
        let own = cf.cyrus_sasl_config_path();
        let directories: Vec<&str> = match own.is_empty() {
            true => DIRECTORIES.to_vec(),
            false => own.split(':').collect(),
        };
        let places = directories.iter().map(|directory| Path::new(directory).join(&name));
        let Some((place, text)) = places.into_iter().find_map(|place| Some((place.clone(), read(&place).ok()?))) else {
            return Err(format!(
                "smtpd_sasl_type = cyrus: no {name} in {}: write \"pwcheck_method: saslauthd\" and \"mech_list: plain \
                 login\" into it, or set smtpd_sasl_type = dovecot",
                directories.join(", ")
            ));
        };
        let setting = |name: &str| {
            let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
            lines.filter(|(own, _)| own.trim() == name).map(|(_, value)| value.trim().to_owned()).next_back()
        };
        let method = setting("pwcheck_method").unwrap_or_else(|| "auxprop".to_owned());
        if method.split_whitespace().next() != Some("saslauthd") {
            return Err(format!(
                "{}: pwcheck_method: {method} is not served here; use saslauthd, or smtpd_sasl_type = dovecot",
                place.display()
            ));
        }
        let listed = setting("mech_list").unwrap_or_else(|| "plain login".to_owned());
        let (mut mechanisms, mut others) = (Vec::new(), Vec::new());
        for word in listed.split_whitespace() {
            let name = word.to_ascii_uppercase();
            match name.as_str() {
                "PLAIN" | "LOGIN" => mechanisms.push(Mechanism { name, properties: vec!["plaintext".into()] }),
                _ => others.push(name),
            }
        }
        if !others.is_empty() {
            log.warning(format!("{}: mech_list: saslauthd cannot check {}", place.display(), others.join(", ")));
        }
        let socket = setting("saslauthd_path").map_or_else(|| Path::new(RUN).join(SOCKET), PathBuf::from);
        Ok(Saslauthd { socket, mechanisms, service: cf.smtpd_sasl_service(), realm: cf.smtpd_sasl_local_domain() })
    }

    pub fn mechanisms(&self) -> Vec<Mechanism> {
        self.mechanisms.clone()
    }

    pub async fn begin(&self, mechanism: &str, response: Option<&str>, _: &Place, log: &Log) -> Step {
        let talk = if mechanism.eq_ignore_ascii_case("PLAIN") { Talk::Plain } else { Talk::Login { name: None } };
        match (talk, response) {
            (talk, Some(response)) => self.go_on(talk, response, log).await,
            (Talk::Plain, None) => Step::More(Conversation::Saslauthd(Talk::Plain), String::new()),
            (talk, None) => Step::More(Conversation::Saslauthd(talk), USERNAME.to_owned()),
        }
    }

    pub async fn go_on(&self, talk: Talk, response: &str, log: &Log) -> Step {
        let text = BASE64.decode(response.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(text) = text else { return Refusal::because(MALFORMED) };
        match talk {
            Talk::Plain => match text.split('\0').collect::<Vec<_>>().as_slice() {
                // To act for somebody else is nobody's right here.
                [other, name, password] if other.is_empty() || other == name => self.check(name, password, log).await,
                [other, _, _] => {
                    log.warning("SASL authentication failure: Requested identity not authenticated identity");
                    Step::Bad(Refusal {
                        name: Some((*other).to_owned()),
                        reason: Some("authentication failure".into()),
                        temporary: false,
                    })
                }
                _ => Refusal::because(MALFORMED),
            },
            Talk::Login { name: None } => {
                Step::More(Conversation::Saslauthd(Talk::Login { name: Some(text) }), PASSWORD.to_owned())
            }
            Talk::Login { name: Some(name) } => self.check(&name, &text, log).await,
        }
    }

    /// Asks saslauthd. A name with a realm is taken apart, as Cyrus's library does.
    async fn check(&self, name: &str, password: &str, log: &Log) -> Step {
        let (user, realm) = name.split_once('@').unwrap_or((name, &self.realm));
        let words = [user, password, &self.service, realm];
        let bad = |reason: &str, temporary| {
            Step::Bad(Refusal { name: Some(name.to_owned()), reason: Some(reason.to_owned()), temporary })
        };
        if user.is_empty() || words.iter().any(|word| word.len() > MAX_WORD) {
            return bad("authentication failure", false);
        }
        let answered =
            timeout(PATIENCE, self.ask(&words)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match answered {
            Ok(answer) if answer.starts_with("OK") => Step::Good(name.to_owned()),
            Ok(_) => {
                log.warning("SASL authentication failure: Password verification failed");
                bad("authentication failure", false)
            }
            Err(error) => {
                let (place, reason) = (self.socket.display(), crate::sys::files::reason(&error));
                log.warning(format!(
                    "SASL authentication failure: cannot connect to saslauthd server: {place}: {reason}"
                ));
                bad("generic failure", true)
            }
        }
    }

    /// Words with their lengths before them, in two bytes each; the answer comes the same way.
    async fn ask(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let mut request = Vec::new();
        for word in words {
            let length = u16::try_from(word.len()).map_err(io::Error::other)?;
            request.extend(length.to_be_bytes());
            request.extend_from_slice(word.as_bytes());
        }
        stream.write_all(&request).await?;
        let length = usize::from(stream.read_u16().await?).min(MAX_WORD);
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn read(place: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(place)?.take(MAX_CONFIGURATION).read_to_string(&mut text)?;
    Ok(text)
}
