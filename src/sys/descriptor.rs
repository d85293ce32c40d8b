//! Datagrams between our own processes that may carry an open descriptor (SCM_RIGHTS), over a pair of sequenced-packet
//! sockets: a message comes whole or not at all.

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg, sendmsg,
    socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Two connected ends.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one datagram with an open descriptor of ours, or none.
pub fn send(socket: impl AsFd, message: &[u8], descriptor: Option<RawFd>) -> io::Result<()> {
    let parts = [IoSlice::new(message)];
    let carried: Vec<RawFd> = descriptor.into_iter().collect();
    let rights = [ControlMessage::ScmRights(&carried)];
    let control: &[ControlMessage<'_>] = if carried.is_empty() { &[] } else { &rights };
    sendmsg::<UnixAddr>(socket.as_fd().as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one datagram of at most `limit` bytes; an empty one means that the other end is closed. More than one
/// descriptor, or a datagram that was cut, is an error: nobody of ours sends such.
pub fn receive(socket: impl AsFd, limit: usize) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut message = vec![0; limit];
    let mut control = cmsg_space!([RawFd; 1]);
    let (length, owned, flags) = {
        let mut parts = [IoSliceMut::new(&mut message)];
        let got = recvmsg::<UnixAddr>(
            socket.as_fd().as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        let mut owned = Vec::new();
        for part in got.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = part {
                // SAFETY: the kernel has just opened these descriptors for us, and nobody else knows their numbers.
                owned.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        (got.bytes, owned, got.flags)
    };
    if flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) || owned.len() > 1 {
        return Err(io::Error::other("a datagram was too large"));
    }
    message.truncate(length);
    Ok((message, owned.into_iter().next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_descriptor_travels() {
        let (a, b) = pair().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "inside").unwrap();
        send(&a, b"hello", Some(file.as_file().as_raw_fd())).unwrap();
        let (message, descriptor) = receive(&b, 100).unwrap();
        assert_eq!(message, b"hello");
        let mut text = String::new();
        std::fs::File::from(descriptor.unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        send(&a, &[1; 200], None).unwrap();
        assert!(receive(&b, 100).is_err());
        drop(a);
        assert_eq!(receive(&b, 100).unwrap().0, b"");
    }
}
