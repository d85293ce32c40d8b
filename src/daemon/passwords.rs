//! The tables of passwords that a client has for servers: opened before privileges are dropped, as the reference does,
//! so that they may be root's alone. For the same reason a process ends when one of them changes: it could not open it
//! again.

use crate::conf::MainCf;
use crate::table::{Maps, Options};
use std::os::unix::fs::MetadataExt;

pub struct Passwords {
    pub maps: Maps,
    files: Vec<(String, Stamp)>,
}

/// What tells a file from one that was put in its place: inode, size, time of change in seconds and nanoseconds.
type Stamp = Option<(u64, u64, i64, i64)>;

/// What the file of a table of that name may have behind it.
const SUFFIXES: &[&str] = &["", ".db", ".lmdb", ".cdb", ".dir"];

fn stamp(file: &str) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    Some((data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

impl Passwords {
    /// Those of the role that runs as `command`; None: it has none, or uses none.
    pub fn open(command: &str, cf: &MainCf) -> Option<Passwords> {
        let (title, list) = match command {
            "smtp" if cf.smtp_sasl_auth_enable() => ("smtp_sasl_password_maps", cf.smtp_sasl_password_maps()),
            "lmtp" if cf.lmtp_sasl_auth_enable() => ("lmtp_sasl_password_maps", cf.lmtp_sasl_password_maps()),
            _ => return None,
        };
        let names = MainCf::tables(&list).into_iter().map(|(_, name)| name).filter(|name| name.starts_with('/'));
        let files = names.flat_map(|name| SUFFIXES.iter().map(move |suffix| format!("{name}{suffix}")));
        // Before they are opened: a change in between is seen.
        let files = files.map(|file| (file.clone(), stamp(&file))).collect();
        Some(Passwords { maps: Maps::open(title, &list, &Options::default()), files })
    }

    pub fn have_changed(&self) -> bool {
        self.files.iter().any(|(file, before)| stamp(file) != *before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_table_that_is_written_again() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("passwords");
        std::fs::write(&file, "mx toto:old\n").unwrap();
        let text = format!("smtp_sasl_auth_enable=yes\nsmtp_sasl_password_maps=texthash:{}\n", file.display());
        let cf = MainCf::parse(Path::new("/x"), &text).unwrap();
        let opened = Passwords::open("smtp", &cf).unwrap();
        assert!(!opened.have_changed() && Passwords::open("lmtp", &cf).is_none());
        std::fs::write(&file, "mx toto:another\n").unwrap();
        assert!(opened.have_changed());
    }
}
