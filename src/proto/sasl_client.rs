//! How a client proves who it is (RFC 4422): which mechanism of those that a server offers, and the client's half of it.
//! PLAIN, LOGIN, CRAM-MD5, SCRAM (RFC 5802) and XOAUTH2; what is on the wire is base64, as SMTP wants it.

use data_encoding::BASE64;
use hmac::{KeyInit, Mac};
use ring::rand::SecureRandom;
use std::num::NonZeroU32;

/// A name and its secret. No Debug: it would end up in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// What a server may ask, in rounds of PBKDF2: as much as a second or two of work.
const MAX_ROUNDS: u32 = 1_000_000;

/// smtp_sasl_security_options and its kin: what a mechanism must be, or must not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands(u8);

const NO_PLAINTEXT: u8 = 1;
const NO_ACTIVE: u8 = 2;
const NO_DICTIONARY: u8 = 4;
const NO_ANONYMOUS: u8 = 8;
const MUTUAL: u8 = 16;
const FORWARD_SECRECY: u8 = 32;
const DEMANDS: &[(&str, u8)] = &[
    ("noplaintext", NO_PLAINTEXT),
    ("noactive", NO_ACTIVE),
    ("nodictionary", NO_DICTIONARY),
    ("noanonymous", NO_ANONYMOUS),
    ("mutual_auth", MUTUAL),
    ("forward_secrecy", FORWARD_SECRECY),
];

impl Demands {
    /// The error is the word that nobody knows.
    pub fn parse(list: &str) -> Result<Demands, String> {
        let words = list.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty());
        words.into_iter().try_fold(Demands(0), |Demands(bits), word| {
            let known = DEMANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            known.map(|(_, bit)| Demands(bits | bit)).ok_or_else(|| word.to_owned())
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    ScramSha256,
    ScramSha1,
    CramMd5,
    Plain,
    Login,
    XOAuth2,
}

/// Strongest first, with the demands that each meets. XOAUTH2 comes last: a password is no token, so who has one for it
/// says so (smtp_sasl_mechanism_filter).
const MECHANISMS: &[(&str, Mechanism, u8)] = &[
    ("SCRAM-SHA-256", Mechanism::ScramSha256, NO_PLAINTEXT | NO_ACTIVE | NO_ANONYMOUS | MUTUAL),
    ("SCRAM-SHA-1", Mechanism::ScramSha1, NO_PLAINTEXT | NO_ACTIVE | NO_ANONYMOUS | MUTUAL),
    ("CRAM-MD5", Mechanism::CramMd5, NO_PLAINTEXT | NO_ANONYMOUS),
    ("PLAIN", Mechanism::Plain, NO_ANONYMOUS),
    ("LOGIN", Mechanism::Login, NO_ANONYMOUS),
    ("XOAUTH2", Mechanism::XOAuth2, NO_ANONYMOUS),
];

impl Mechanism {
    /// The best of what is offered that meets the demands.
    pub fn choose(offered: &[String], Demands(demands): Demands) -> Option<Mechanism> {
        let fits = |(name, _, met): &&(&str, Mechanism, u8)| {
            demands & !met == 0 && offered.iter().any(|word| word.eq_ignore_ascii_case(name))
        };
        MECHANISMS.iter().find(fits).map(|(_, mechanism, _)| *mechanism)
    }

    pub fn name(self) -> &'static str {
        MECHANISMS.iter().find(|(_, mechanism, _)| *mechanism == self).map_or("", |(name, ..)| name)
    }
}

/// Why a client has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client has said all that it had to say.
    #[error("generic failure")]
    Over,
    #[error("bad protocol / cancel")]
    Malformed,
    /// SCRAM: the server does not know the password either.
    #[error("server failed mutual authentication step")]
    Impostor,
    #[error("generic failure")]
    NoRandom,
}

enum Stage {
    /// LOGIN: the name, and then the password.
    Name,
    Password,
    Challenge,
    /// SCRAM: what was said first, with the client's own nonce.
    ServerFirst {
        bare: String,
        nonce: String,
    },
    /// SCRAM: the proof that the server owes, in base64.
    ServerFinal(String),
    Over,
}

/// One login.
pub struct Login {
    mechanism: Mechanism,
    credentials: Credentials,
    stage: Stage,
}

impl Login {
    /// The login, and what goes behind the mechanism's name in the first command ("": nothing).
    pub fn start(mechanism: Mechanism, credentials: Credentials) -> Result<(Login, String), Refusal> {
        let Credentials { user, password } = &credentials;
        let (first, stage) = match mechanism {
            Mechanism::Plain => (format!("\0{user}\0{password}"), Stage::Over),
            // An empty answer ends an explanation of what was wrong with the token.
            Mechanism::XOAuth2 => (format!("user={user}\x01auth=Bearer {password}\x01\x01"), Stage::Challenge),
            Mechanism::Login => (String::new(), Stage::Name),
            Mechanism::CramMd5 => (String::new(), Stage::Challenge),
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => {
                let mut random = [0; 24];
                ring::rand::SystemRandom::new().fill(&mut random).map_err(|_| Refusal::NoRandom)?;
                return Ok(Login::scram(mechanism, credentials.clone(), BASE64.encode(&random)));
            }
        };
        Ok((Login { mechanism, credentials, stage }, BASE64.encode(first.as_bytes())))
    }

    fn scram(mechanism: Mechanism, credentials: Credentials, nonce: String) -> (Login, String) {
        let user = credentials.user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        let first = BASE64.encode(format!("n,,{bare}").as_bytes());
        (Login { mechanism, credentials, stage: Stage::ServerFirst { bare, nonce } }, first)
    }

    /// The answer to a challenge.
    pub fn answer(&mut self, challenge: &str) -> Result<String, Refusal> {
        let Credentials { user, password } = &self.credentials;
        let challenge = BASE64.decode(challenge.trim().as_bytes()).map_err(|_| Refusal::Malformed);
        let (answer, next) = match (&self.stage, self.mechanism) {
            (Stage::Name, _) => (user.clone(), Stage::Password),
            (Stage::Password, _) => (password.clone(), Stage::Over),
            (Stage::Challenge, Mechanism::CramMd5) => {
                // RFC 2195. HMAC takes keys of any length.
                let mut mac =
                    hmac::Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).map_err(|_| Refusal::Malformed)?;
                mac.update(&challenge?);
                let digest = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
                (format!("{user} {digest}"), Stage::Over)
            }
            (Stage::Challenge, _) => (String::new(), Stage::Over),
            (Stage::ServerFirst { bare, nonce }, _) => {
                let text = String::from_utf8(challenge?).map_err(|_| Refusal::Malformed)?;
                let (answer, owed) = self.prove(bare, nonce, &text).ok_or(Refusal::Malformed)?;
                (answer, Stage::ServerFinal(owed))
            }
            (Stage::ServerFinal(owed), _) => {
                let text = String::from_utf8(challenge?).map_err(|_| Refusal::Malformed)?;
                if text.strip_prefix("v=").is_none_or(|proof| proof != owed) {
                    return Err(Refusal::Impostor);
                }
                (String::new(), Stage::Over)
            }
            (Stage::Over, _) => return Err(Refusal::Over),
        };
        self.stage = next;
        Ok(BASE64.encode(answer.as_bytes()))
    }

    /// Whether all was said, the server's own proof included.
    pub fn is_over(&self) -> bool {
        // A server that only says yes after SCRAM's proof (and none of its own) is believed: so does Cyrus's library.
        !matches!(self.stage, Stage::Name | Stage::Password | Stage::ServerFirst { .. })
    }

    /// RFC 5802, section 3: the client's final message, and the proof that the server owes for it.
    fn prove(&self, bare: &str, nonce: &str, server_first: &str) -> Option<(String, String)> {
        let part = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let (whole, salt, rounds) = (part("r=")?, BASE64.decode(part("s=")?.as_bytes()).ok()?, part("i=")?);
        let rounds = rounds.parse::<NonZeroU32>().ok().filter(|rounds| rounds.get() <= MAX_ROUNDS)?;
        if !whole.starts_with(nonce) {
            return None;
        }
        let (pbkdf2, mac, digest) = match self.mechanism {
            Mechanism::ScramSha1 => (
                ring::pbkdf2::PBKDF2_HMAC_SHA1,
                ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            ),
            _ => (ring::pbkdf2::PBKDF2_HMAC_SHA256, ring::hmac::HMAC_SHA256, &ring::digest::SHA256),
        };
        let mut salted = vec![0; digest.output_len()];
        ring::pbkdf2::derive(pbkdf2, rounds, &salt, self.credentials.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| ring::hmac::sign(&ring::hmac::Key::new(mac, key), text);
        let without_proof = format!("c=biws,r={whole}");
        let said = format!("{bare},{server_first},{without_proof}");
        let client_key = sign(&salted, b"Client Key");
        let stored = ring::digest::digest(digest, client_key.as_ref());
        let signature = sign(stored.as_ref(), said.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let owed = sign(sign(&salted, b"Server Key").as_ref(), said.as_bytes());
        Some((format!("{without_proof},p={}", BASE64.encode(&proof)), BASE64.encode(owed.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toto(password: &str) -> Credentials {
        Credentials { user: "toto".into(), password: password.into() }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_strongest_that_meets_the_demands() {
        let choose = |offered: &str, demands| {
            Mechanism::choose(&words(offered), Demands::parse(demands).unwrap()).map(Mechanism::name)
        };
        let all = "LOGIN PLAIN XOAUTH2 CRAM-MD5 scram-sha-1 SCRAM-SHA-256";
        assert_eq!(choose(all, "noanonymous"), Some("SCRAM-SHA-256"));
        assert_eq!(choose("LOGIN PLAIN CRAM-MD5", "noplaintext, noanonymous"), Some("CRAM-MD5"));
        assert_eq!(choose("LOGIN PLAIN", "noplaintext"), None);
        assert_eq!(choose("XOAUTH2 LOGIN PLAIN", ""), Some("PLAIN"));
        assert_eq!(choose(all, "nodictionary"), None);
        assert_eq!(choose("CRAM-MD5 SCRAM-SHA-1", "mutual_auth"), Some("SCRAM-SHA-1"));
        assert_eq!(Demands::parse("noplaintext junk"), Err("junk".into()));
    }

    #[test]
    fn what_is_said() {
        let said = |mechanism, challenges: &[&str]| {
            let (mut login, first) = Login::start(mechanism, toto("secret")).unwrap();
            let mut all = vec![first];
            all.extend(challenges.iter().map(|challenge| login.answer(&BASE64.encode(challenge.as_bytes())).unwrap()));
            assert_eq!(login.answer("").unwrap_err(), Refusal::Over);
            let plain = |text: &String| String::from_utf8(BASE64.decode(text.as_bytes()).unwrap()).unwrap();
            all.iter().map(plain).collect::<Vec<_>>()
        };
        assert_eq!(said(Mechanism::Plain, &[]), ["\0toto\0secret"]);
        assert_eq!(said(Mechanism::Login, &["Username:", "Password:"]), ["", "toto", "secret"]);
        assert_eq!(said(Mechanism::XOAuth2, &["{}"]), ["user=toto\x01auth=Bearer secret\x01\x01", ""]);
        let cram = said(Mechanism::CramMd5, &["<1.2@server>"]);
        assert_eq!(cram[1].len(), "toto ".len() + 32);
    }

    /// The example of RFC 2195.
    #[test]
    fn cram() {
        let credentials = Credentials { user: "tim".into(), password: "tanstaaftanstaaf".into() };
        let (mut login, _) = Login::start(Mechanism::CramMd5, credentials).unwrap();
        let answer = login.answer("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+").unwrap();
        assert_eq!(answer, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
        assert_eq!(Login::start(Mechanism::CramMd5, toto("x")).unwrap().0.answer("!!!"), Err(Refusal::Malformed));
    }

    /// The examples of RFC 5802 and RFC 7677.
    #[test]
    fn scram() {
        let rows = [
            (
                Mechanism::ScramSha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Mechanism::ScramSha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (mechanism, nonce, server_first, client_final, server_final) in rows {
            let credentials = Credentials { user: "user".into(), password: "pencil".into() };
            let start = || Login::scram(mechanism, credentials.clone(), nonce.to_owned()).0;
            let base64 = |text: &str| BASE64.encode(text.as_bytes());
            let mut login = start();
            assert!(!login.is_over());
            assert_eq!(login.answer(&base64(server_first)).unwrap(), base64(client_final));
            assert_eq!(login.answer(&base64("v=AAAA")), Err(Refusal::Impostor));
            assert_eq!(login.answer(&base64(server_final)).unwrap(), "");
            for wrong in ["r=other,s=QSXCR+Q6sek8bf92,i=4096", "r=x", "i=0", ""] {
                assert_eq!(start().answer(&base64(wrong)), Err(Refusal::Malformed));
            }
            let endless = server_first.replace("i=4096", "i=4000000000");
            assert_eq!(start().answer(&base64(&endless)), Err(Refusal::Malformed));
        }
    }
}
