//! Which files `!include` names.

use std::path::{Path, PathBuf};

/// The files that a pattern with "*" and "?" in its last part names, in order; others stand for themselves.
pub(super) fn expand(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.contains(['*', '?']) {
        return if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let dir = pattern.parent().unwrap_or(Path::new("/"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let found = entry.file_name().to_string_lossy().into_owned();
            !found.starts_with('.') && matches(name.as_bytes(), found.as_bytes())
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// glob(7) without brackets.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star, mut i) = (0, None, 0);
    while i < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, i));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[i] => {
                at += 1;
                i += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    at = place + 1;
                    i = from + 1;
                    star = Some((place, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}
