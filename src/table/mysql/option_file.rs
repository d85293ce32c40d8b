//! The option files of MySQL's clients (my.cnf): who asks, and where, when the table does not say it. The password is
//! the table's own, as in the reference.

use std::path::{Path, PathBuf};

/// What a table takes from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub user: Option<String>,
    pub socket: Option<String>,
    pub port: Option<u16>,
}

/// Files within files.
const DEPTH: u32 = 4;

/// Reads the file, or those of the system; group [client] and another. No file and an empty group: nothing is read.
pub fn read(file: Option<&str>, group: &str) -> Client {
    let mut client = Client::default();
    match file {
        Some(file) => include(Path::new(file), group, &mut client, DEPTH),
        None if group.is_empty() => {}
        None => ["/etc/my.cnf", "/etc/mysql/my.cnf"]
            .iter()
            .for_each(|file| include(Path::new(file), group, &mut client, DEPTH)),
    }
    client
}

/// A file that cannot be read says nothing, as in MySQL's own programs.
fn include(path: &Path, group: &str, client: &mut Client, depth: u32) {
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let mut ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            ours = name == "client" || name == "client-server" || name == "client-mariadb" || name == group;
        } else if let Some(more) = line.strip_prefix("!includedir").filter(|_| depth > 0) {
            let mut files: Vec<PathBuf> = std::fs::read_dir(more.trim())
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|end| end == "cnf"))
                .collect();
            files.sort();
            files.iter().for_each(|file| include(file, group, client, depth - 1));
        } else if let Some(more) = line.strip_prefix("!include").filter(|_| depth > 0) {
            include(Path::new(more.trim()), group, client, depth - 1);
        } else if ours && let Some((name, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            match name.trim() {
                "user" => client.user = Some(value),
                "socket" => client.socket = Some(value),
                "port" => client.port = value.parse().ok(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_files_in_files() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("my.cnf"), place.path().join("more.cnf"));
        std::fs::write(&second, "[mail]\nsocket='/x y'\n").unwrap();
        std::fs::write(
            &first,
            format!("[mysqld]\nuser=no\n[client]\n# c\nuser = a\nport=7\n!include {}\n", second.display()),
        )
        .unwrap();
        let read = |group| read(first.to_str(), group);
        let expected = Client { user: Some("a".into()), port: Some(7), ..Client::default() };
        assert_eq!(read("client"), expected);
        assert_eq!(read("mail"), Client { socket: Some("/x y".into()), ..expected });
    }
}
