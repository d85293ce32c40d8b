//! The connection: lines in, with a limit and a time-out, replies out, held back while more commands wait
//! (RFC 2920). One buffer each way, and TLS between them and the socket once it is asked for.

pub use crate::daemon::transport::Duplex;
use crate::daemon::transport::Transport;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::{CommonState, ServerConfig};

/// What a read came to.
#[derive(Debug)]
pub enum Input {
    /// A line without its end. `crlf` tells a CR LF from a bare LF; `too_long` a line that was cut.
    Line {
        text: Vec<u8>,
        crlf: bool,
        too_long: bool,
    },
    Closed,
    TimedOut,
}

pub struct Stream<S> {
    socket: Transport<S>,
    input: Vec<u8>,
    start: usize,
    output: Vec<u8>,
    timeout: Duration,
}

impl<S: Duplex> Stream<S> {
    pub fn new(socket: S, timeout: Duration) -> Stream<S> {
        Stream { socket: Transport::Plain(socket), input: Vec::new(), start: 0, output: Vec::new(), timeout }
    }

    /// Answers a TLS handshake. What the client sent before it is forgotten: nothing that came unencrypted may be taken
    /// for a command of the session that follows (CVE-2011-0411). After a failure the connection is gone.
    pub async fn encrypt(&mut self, config: Arc<ServerConfig>, patience: Duration) -> io::Result<&CommonState> {
        self.flush().await?;
        self.input = Vec::new();
        self.start = 0;
        self.socket.encrypt(config, patience).await
    }

    /// Bytes that were read and not used yet.
    pub fn pending(&self) -> &[u8] {
        &self.input[self.start..]
    }

    /// Marks pending bytes as used.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.input.len() {
            self.input.clear();
            self.start = 0;
            // An idle session keeps no big buffer.
            self.input.shrink_to(4096);
        }
    }

    /// Reads more bytes; false at the end of the stream.
    pub async fn fill(&mut self, chunk: usize) -> io::Result<bool> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        let before = self.input.len();
        self.input.reserve(chunk);
        let read = tokio::time::timeout(self.timeout, self.socket.read_buf(&mut self.input)).await;
        match read {
            Ok(Ok(_)) => Ok(self.input.len() > before),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The next line. Replies go out before anything is awaited.
    pub async fn line(&mut self, limit: usize) -> Input {
        let mut too_long = false;
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.pending()) {
                let mut text = self.pending()[..end].to_vec();
                self.consume(end + 1);
                let crlf = text.pop_if(|last| *last == b'\r').is_some();
                too_long |= text.len() > limit;
                text.truncate(limit);
                return Input::Line { text, crlf, too_long };
            }
            if self.pending().len() > limit + 2 {
                // The rest of the line is thrown away as it comes; the reply is one for the whole line.
                too_long = true;
                let excess = self.pending().len() - limit;
                let keep = self.pending()[..limit].to_vec();
                self.consume(limit + excess);
                self.input.splice(0..0, keep);
            }
            if self.flush().await.is_err() {
                return Input::Closed;
            }
            match self.fill(1024).await {
                Ok(true) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Input::TimedOut,
                Ok(false) | Err(_) => return Input::Closed,
            }
        }
    }

    /// Queues a reply; it is sent when no further command waits.
    pub fn reply(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let write = async {
            self.socket.write_all(&output).await?;
            self.socket.flush().await
        };
        match tokio::time::timeout(self.timeout, write).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    pub async fn close(&mut self) {
        let _ = self.flush().await;
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_line_costs_no_more_than_the_limit() {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let writer = tokio::spawn(async move {
            let mut client = client;
            client.write_all(&vec![b'x'; 100_000]).await.unwrap();
            client.write_all(b"\r\nNOOP\r\n").await.unwrap();
            client
        });
        let mut stream = Stream::new(server, Duration::from_secs(5));
        let Input::Line { text, too_long, .. } = stream.line(512).await else { panic!("a line") };
        assert!(too_long && text.len() == 512);
        let Input::Line { text, crlf, too_long } = stream.line(512).await else { panic!("a line") };
        assert_eq!((text.as_slice(), crlf, too_long), (&b"NOOP"[..], true, false));
        drop(writer.await);
    }
}
