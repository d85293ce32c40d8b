//! Owners, groups and modes of configuration, queue and data files, in the reference's words. Without root, an
//! instance is one's own: every file must be, and group or other may write none of them.

use super::Finding;
use crate::conf::MainCf;
use crate::sys::accounts;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Entries that are looked at in one tree; a queue of a million files is for postsuper.
const MAX_ENTRIES: usize = 20_000;

/// Queue directories whose files are the mail owner's.
const OWNED: &[&str] = &[
    "saved", "incoming", "active", "defer", "deferred", "bounce", "hold", "trace", "corrupt", "public", "private",
    "flush",
];

struct Owners<'a> {
    root: u32,
    mail_owner: String,
    mail_uid: u32,
    group: String,
    gid: Option<u32>,
    found: &'a mut Vec<Finding>,
}

pub fn check(cf: &MainCf, found: &mut Vec<Finding>) {
    let text = |name: &str| cf.text(name).unwrap_or_default();
    let rootless = accounts::effective_uid() != 0;
    let mail_owner = text("mail_owner");
    let own = accounts::effective_uid();
    let uid = accounts::by_name(&mail_owner).map_or(own, |account| account.uid);
    let group = cf.setgid_group();
    let gid = if rootless { None } else { accounts::group_id(&group) };
    let mut owners = Owners {
        root: if rootless { own } else { 0 },
        mail_owner,
        mail_uid: if rootless { own } else { uid },
        group,
        gid,
        found,
    };
    let queue = PathBuf::from(text("queue_directory"));
    for path in [queue.join("."), queue.join("pid")] {
        owners.one(&path, owners.root, "root");
        owners.writable(&path);
    }
    owners.tree(&cf.directory().join("."), owners.root, "root", true);
    let mail_owner = owners.mail_owner.clone();
    owners.tree(&PathBuf::from(text("data_directory")).join("."), owners.mail_uid, &mail_owner, true);
    for name in OWNED {
        owners.tree(&queue.join(name), owners.mail_uid, &mail_owner, false);
    }
    owners.one(&queue.join("maildrop"), owners.mail_uid, &mail_owner);
    for name in ["public", "maildrop"] {
        owners.group(&queue.join(name));
    }
    for name in ["bin", "etc", "lib", "sbin", "usr"] {
        owners.copies(&queue, Path::new(name));
    }
    for (path, data) in entries(&queue.join("corrupt")) {
        if data.is_file() {
            owners.say(format!("damaged message: corrupt/{}", path.file_name().unwrap_or_default().to_string_lossy()));
        }
    }
}

impl Owners<'_> {
    fn say(&mut self, text: String) {
        self.found.push(Finding::warning(text));
    }

    fn one(&mut self, path: &Path, uid: u32, name: &str) {
        if let Ok(data) = std::fs::symlink_metadata(path)
            && data.uid() != uid
        {
            self.say(format!("not owned by {name}: {}", path.display()));
        }
    }

    fn writable(&mut self, path: &Path) {
        if let Ok(data) = std::fs::metadata(path)
            && data.mode() & 0o022 != 0
        {
            self.say(format!("group or other writable: {}", path.display()));
        }
    }

    fn group(&mut self, path: &Path) {
        if let (Some(gid), Ok(data)) = (self.gid, std::fs::symlink_metadata(path))
            && data.gid() != gid
        {
            let text = format!("not owned by group {}: {}", self.group, path.display());
            self.say(text);
        }
    }

    /// The owner, and with `modes` that group and other may not write, of everything under `root`.
    fn tree(&mut self, root: &Path, uid: u32, name: &str, modes: bool) {
        let all = entries(root);
        for (path, data) in &all {
            let socket = !data.is_file() && !data.is_dir() && !data.is_symlink();
            if data.uid() != uid && (modes || !socket) {
                self.say(format!("not owned by {name}: {}", path.display()));
            }
        }
        if !modes {
            return;
        }
        for (path, data) in &all {
            if data.is_symlink() {
                self.writable(path);
            } else if data.mode() & 0o022 != 0 {
                self.say(format!("group or other writable: {}", path.display()));
            }
        }
        for (path, data) in &all {
            let leaves = data.is_symlink()
                && std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains('/'));
            // Debian's own link.
            if leaves && !path.ends_with("makedefs.out") {
                self.say(format!("symlink leaves directory: {}", path.display()));
            }
        }
    }

    /// System files that are copied into a chroot under the queue directory are as the originals.
    fn copies(&mut self, queue: &Path, name: &Path) {
        for (path, data) in entries(&queue.join(name)) {
            if data.uid() != self.root {
                self.say(format!("not owned by root: {}", path.display()));
            }
            let Ok(inside) = path.strip_prefix(queue) else { continue };
            let original = Path::new("/").join(inside);
            if data.is_file() && original.is_file() && !same_content(&path, &original) {
                self.say(format!("{} and {} differ", path.display(), original.display()));
            }
        }
    }
}

fn same_content(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| std::fs::metadata(path).map(|data| data.len()).ok();
    size(one) == size(other)
        && match (std::fs::read(one), std::fs::read(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => true,
        }
}

/// A path and everything below it; links are not followed.
fn entries(root: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
        if data.is_dir() && found.len() < MAX_ENTRIES {
            let mut inside: Vec<PathBuf> =
                std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            inside.sort_unstable_by(|left, right| right.cmp(left));
            open.extend(inside);
        }
        found.push((path, data));
    }
    found
}
