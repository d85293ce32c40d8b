//! Room in the queue's file system.

use super::finding::Findings;
use super::ground::Ground;

pub fn check(ground: &Ground, found: &mut Findings) {
    let queue = ground.value("queue_directory");
    let Ok(state) = nix::sys::statvfs::statvfs(queue.as_str()) else { return };
    let free = state.blocks_available().saturating_mul(state.fragment_size());
    let inodes_left = state.files() == 0 || state.files_available() > 100;
    let limit = ground.cf.message_limit();
    let needed = limit.saturating_mul(3) / 2;
    if free < needed.max(1 << 20) || !inodes_left {
        found.error(
            ground.value_span("queue_directory"),
            format!("{queue} has room for {} MB and no more", free >> 20),
            "smtpd takes no mail when less than one and a half times message_size_limit is free (452 4.3.1).",
            "make room, or put the queue on a file system of its own",
        );
    }
}
