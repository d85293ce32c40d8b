//! .forward files that delivery will not obey.

use super::finding::Findings;
use super::ground::Ground;
use std::os::unix::fs::MetadataExt;

/// System accounts have no mail of their own to forward.
const FIRST_PERSON: u32 = 1000;

pub fn check(ground: &Ground, found: &mut Findings) {
    if !ground.value("forward_path").contains(".forward") {
        return;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, home, ..] = fields[..] else { continue };
        let Ok(uid) = uid.parse::<u32>() else { continue };
        if uid != 0 && uid < FIRST_PERSON {
            continue;
        }
        let path = format!("{home}/.forward");
        let Ok(data) = std::fs::metadata(&path) else { continue };
        let fault = if data.uid() != uid && data.uid() != 0 {
            "belongs to somebody else"
        } else if data.mode() & 0o002 != 0 {
            "can be written by everybody"
        } else {
            continue;
        };
        found.warning(
            None,
            format!("{path} {fault}"),
            "local(8) ignores such a file with a warning, and the mail goes to the mailbox.",
            format!("chown {name} {path}; chmod 600 {path}"),
        );
    }
}
