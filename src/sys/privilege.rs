//! Who we are. A role drops its privileges for good before its first byte from outside ([`drop_for_good`]);
//! local(8) and pop3d's keeper, which must become the recipient, borrow that identity for a while ([`Borrowed`])
//! or give it to a child for good (`spawn`).

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::io;

/// Becomes `uid` and `gid` with the supplementary groups `groups` (empty: none), irrevocably, and checks that the
/// way back is closed. Without root it is a no-op for oneself and an error for anyone else.
pub fn drop_for_good(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    if !Uid::effective().is_root() {
        return if Uid::effective().as_raw() == uid { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) };
    }
    let supplementary: Vec<Gid> = groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    setgroups(&supplementary)?;
    let (new_uid, new_gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(new_gid, new_gid, new_gid)?;
    setresuid(new_uid, new_uid, new_uid)?;
    if uid != 0 && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("privileges could be taken back after they were dropped"));
    }
    Ok(())
}

/// No execve after this can gain privileges by a set-id bit. Not for roles that run users' commands.
pub fn forbid_new_privileges() -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs().map_err(io::Error::from)
}

/// The effective identity of another user for the life of this value; root comes back when it is dropped.
/// For single-threaded roles only: the C library changes all threads.
pub struct Borrowed {
    active: bool,
}

impl Borrowed {
    /// A no-op without root when `uid` is ourselves (rootless instances); else an error.
    pub fn identity(uid: u32, gid: u32, groups: &[u32]) -> io::Result<Borrowed> {
        if !Uid::current().is_root() {
            return if Uid::effective().as_raw() == uid {
                Ok(Borrowed { active: false })
            } else {
                Err(io::ErrorKind::PermissionDenied.into())
            };
        }
        let supplementary: Vec<Gid> = groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
        let borrowed = Borrowed { active: true };
        setgroups(&supplementary)?;
        let keep = Uid::from_raw(u32::MAX);
        setresgid(Gid::from_raw(u32::MAX), Gid::from_raw(gid), Gid::from_raw(u32::MAX))?;
        setresuid(keep, Uid::from_raw(uid), keep)?;
        Ok(borrowed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.active {
            return;
        }
        let keep = Uid::from_raw(u32::MAX);
        let back = setresuid(keep, Uid::from_raw(0), keep)
            .and_then(|()| setresgid(Gid::from_raw(u32::MAX), Gid::from_raw(0), Gid::from_raw(u32::MAX)))
            .and_then(|()| setgroups(&[]));
        if back.is_err() {
            // Going on as a half-way identity could deliver one user's mail as another: rather end here; the queue
            // file is still there and the next process takes it up.
            std::process::abort();
        }
    }
}

/// Whether this process was started set-id (or with file capabilities): the main file must never be.
pub fn started_set_id() -> bool {
    // SAFETY: getauxval reads the auxiliary vector that the kernel made; it has no preconditions.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    secure || Uid::current() != Uid::effective() || Gid::current() != Gid::effective()
}

/// Forgets the caller's environment but for the variables in `keep`: a set-id program must not let the caller choose
/// its time zone files, its locale or its loader's wishes. To be called first, before any thread is there.
pub fn clean_environment(keep: &[&str]) {
    let names: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| !keep.iter().any(|kept| *name == kept)) {
        // SAFETY: the program has one thread yet, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}
