//! What is asked of verify(8), and what it is told.

use super::wire;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the service may take over an answer: it has all of them in memory.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of an address, as the reference numbers it in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Deliverable,
    Deferred,
    Undeliverable,
    /// A probe is under way.
    Pending,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Question {
    /// What is known of an address; where nothing is, a probe is sent.
    Ask { address: String },
    /// What a probe came to.
    Tell { address: String, status: Status, text: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub status: Status,
    pub text: String,
}

/// Tells the service what a probe came to. Blocking.
pub fn tell(socket: &Path, address: &str, status: Status, text: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    wire::send(&mut stream, &Question::Tell { address: address.to_owned(), status, text: text.to_owned() })?;
    // The answer says that it is in the cache: whoever asks now is told.
    wire::receive::<Answer>(&mut stream).map(drop)
}

/// Asks what is known of an address.
pub async fn ask(socket: &Path, address: &str) -> io::Result<Answer> {
    let asked = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        wire::send_async(&mut stream, &Question::Ask { address: address.to_owned() }).await?;
        wire::receive_async::<Answer>(&mut stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    tokio::time::timeout(PATIENCE, asked).await?
}
