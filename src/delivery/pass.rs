//! Handing recipients to another delivery agent: mailbox_transport, fallback_transport. That agent writes the status
//! lines; who passed the recipient on marks it done.

use crate::conf::MainCf;
use crate::ipc::delivery::{Answer, Request, Target};
use crate::ipc::wire;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The offset of a recipient that has no record of its own in the queue file: there is nothing to mark.
pub const NO_RECORD: u64 = 0;

/// Where other agents listen.
pub struct Passer {
    directory: PathBuf,
}

impl Passer {
    pub fn new(cf: &MainCf) -> Passer {
        Passer { directory: PathBuf::from(cf.queue_directory()).join("private") }
    }

    /// Asks the agent of `transport` ("lmtp:unix:private/dovecot-lmtp", "maildrop") to deliver to `target`. Without a
    /// next hop it is that of the request.
    pub fn pass(&self, transport: &str, request: &Request, target: &Target) -> io::Result<Answer> {
        let (service, nexthop) = transport.split_once(':').unwrap_or((transport, ""));
        if service.is_empty() || service.contains('/') || service == request.transport {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("bad transport: {transport}")));
        }
        let passed = Request {
            transport: service.to_owned(),
            nexthop: if nexthop.is_empty() { request.nexthop.clone() } else { nexthop.to_owned() },
            recipients: vec![Target { offset: NO_RECORD, ..target.clone() }],
            ..request.clone()
        };
        let mut stream = UnixStream::connect(self.directory.join(service))?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        // Longer than any agent's own limits.
        stream.set_read_timeout(Some(Duration::from_secs(6 * 3600)))?;
        wire::send(&mut stream, &passed)?;
        wire::receive(&mut stream)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
