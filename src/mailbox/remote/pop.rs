//! POP3 (RFC 1939, 2449, 2595) as a reader speaks it: CAPA, STLS, USER, PASS, UIDL, LIST, RETR; DELE only for what the user
//! deleted.

use super::spool::{self, Spool};
use super::stream::{Connection, connect, encrypt, in_time};
use super::url::Url;
use super::{RemoteError, Secret};
use crate::mailbox::marks::Flags;
use crate::message::{date, header};
use std::collections::HashMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// A line of a message, and of an answer, is no longer.
const LINE: u64 = 4 << 20;
/// A maildrop holds no more messages.
const MESSAGES: usize = 4_000_000;

struct Pop {
    stream: BufReader<Connection>,
}

pub async fn fetch(url: &Url, user: &str, password: &Secret, spool: &mut Spool) -> Result<(), RemoteError> {
    let mut pop = Pop::login(url, user, password).await?;
    let ids: HashMap<u32, String> = pop.numbered("UIDL").await.unwrap_or_default().into_iter().collect();
    for (number, size) in pop.numbered("LIST").await? {
        spool.fits(size.split(' ').next().and_then(|size| size.parse().ok()).unwrap_or(0))?;
        pop.ask(&format!("RETR {number}")).await?;
        let mut message = Vec::new();
        while let Some(line) = pop.line_of_many().await? {
            message.extend_from_slice(&line);
            spool.fits(message.len() as u64)?;
            spool::fits_memory(message.len() as u64)?;
        }
        let (block, _) = header::split(&message);
        let sent = header::find(block, "Date").and_then(|value| {
            let (time, zone) = date::of_header(&String::from_utf8_lossy(&value))?;
            date::local(time, zone)?.to_zoned(jiff::tz::TimeZone::system()).ok()
        });
        spool.add(ids.get(&number).map_or("", String::as_str), Flags::NONE, sent, &message)?;
    }
    pop.ask("QUIT").await.map(|_| ())
}

pub async fn delete(url: &Url, user: &str, password: &Secret, ids: &[&str]) -> Result<(), RemoteError> {
    let mut pop = Pop::login(url, user, password).await?;
    let there: HashMap<String, u32> =
        pop.numbered("UIDL").await?.into_iter().map(|(number, id)| (id, number)).collect();
    for id in ids {
        // Another program was faster: it is gone, as it should be.
        if let Some(number) = there.get(*id) {
            pop.ask(&format!("DELE {number}")).await?;
        }
    }
    // Only QUIT makes the deletions true.
    pop.ask("QUIT").await.map(|_| ())
}

impl Pop {
    async fn login(url: &Url, user: &str, password: &Secret) -> Result<Pop, RemoteError> {
        let (stream, local) = connect(url).await?;
        let mut pop = Pop { stream: BufReader::new(stream) };
        pop.answer().await?;
        if !url.scheme.is_tls() {
            let offered = pop.many("CAPA").await.unwrap_or_default();
            if offered.iter().any(|line| line.eq_ignore_ascii_case("STLS")) {
                pop.ask("STLS").await?;
                // Words that came before the encryption are nobody's.
                if !pop.stream.buffer().is_empty() {
                    return Err(RemoteError::Protocol);
                }
                pop.stream = BufReader::new(encrypt(pop.stream.into_inner(), &url.host).await?);
            } else if !local {
                return Err(RemoteError::Plain);
            }
        }
        for (word, value) in [("USER", user), ("PASS", password.0.as_str())] {
            if value.contains(['\r', '\n', '\0']) {
                return Err(RemoteError::Protocol);
            }
            pop.ask(&format!("{word} {value}")).await?;
        }
        Ok(pop)
    }

    async fn ask(&mut self, command: &str) -> Result<String, RemoteError> {
        in_time(self.stream.write_all(format!("{command}\r\n").as_bytes())).await??;
        in_time(self.stream.flush()).await??;
        self.answer().await
    }

    /// The words after "+OK".
    async fn answer(&mut self) -> Result<String, RemoteError> {
        let line = self.line().await?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        match text.split_once(' ').unwrap_or((&text, "")) {
            ("+OK", words) => Ok(words.to_owned()),
            ("-ERR", words) => Err(RemoteError::Refused(words.to_owned())),
            _ => Err(RemoteError::Protocol),
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, RemoteError> {
        let mut line = Vec::new();
        in_time((&mut self.stream).take(LINE).read_until(b'\n', &mut line)).await??;
        if line.ends_with(b"\n") { Ok(line) } else { Err(RemoteError::Protocol) }
    }

    /// A line of an answer that ends with a dot; None at its end.
    async fn line_of_many(&mut self) -> Result<Option<Vec<u8>>, RemoteError> {
        let mut line = self.line().await?;
        if line.starts_with(b".") {
            if matches!(line.as_slice(), b".\r\n" | b".\n") {
                return Ok(None);
            }
            line.remove(0);
        }
        Ok(Some(line))
    }

    async fn many(&mut self, command: &str) -> Result<Vec<String>, RemoteError> {
        self.ask(command).await?;
        let mut all = Vec::new();
        while let Some(line) = self.line_of_many().await? {
            all.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            if all.len() > MESSAGES {
                return Err(RemoteError::Protocol);
            }
        }
        Ok(all)
    }

    /// The lines "NUMBER WORDS" of an answer.
    async fn numbered(&mut self, command: &str) -> Result<Vec<(u32, String)>, RemoteError> {
        let lines = self.many(command).await?;
        let parsed = lines.iter().map(|line| {
            let (number, words) = line.split_once(' ')?;
            Some((number.parse().ok()?, words.trim().to_owned()))
        });
        parsed.collect::<Option<Vec<_>>>().ok_or(RemoteError::Protocol)
    }
}
