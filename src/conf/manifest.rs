//! The directories of an instance with owner, group and mode, once: install, start and check create, set and compare
//! by this table. `$name` in a path or owner is a parameter.

use super::main_cf::{ConfError, MainCf};
use crate::sys::accounts;
use crate::sys::files::reason;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

/// One directory.
#[derive(Debug)]
pub struct Row {
    pub path: &'static str,
    /// "root" or "$mail_owner".
    pub owner: &'static str,
    /// None: the group does not matter.
    pub group: Option<&'static str>,
    pub mode: u32,
    /// Created when it is missing.
    pub create: bool,
}

const fn row(path: &'static str, owner: &'static str, group: Option<&'static str>, mode: u32, create: bool) -> Row {
    Row { path, owner, group, mode, create }
}

const OWNER: &str = "$mail_owner";
const SETGID: Option<&str> = Some("$setgid_group");

/// Parents before what is in them.
pub const DIRECTORIES: &[Row] = &[
    row("$config_directory", "root", None, 0o755, false),
    row("$data_directory", OWNER, None, 0o700, true),
    row("$queue_directory", "root", None, 0o755, true),
    row("$queue_directory/active", OWNER, None, 0o700, true),
    row("$queue_directory/bounce", OWNER, None, 0o700, true),
    row("$queue_directory/corrupt", OWNER, None, 0o700, true),
    row("$queue_directory/defer", OWNER, None, 0o700, true),
    row("$queue_directory/deferred", OWNER, None, 0o700, true),
    row("$queue_directory/flush", OWNER, None, 0o700, true),
    row("$queue_directory/hold", OWNER, None, 0o700, true),
    row("$queue_directory/incoming", OWNER, None, 0o700, true),
    row("$queue_directory/private", OWNER, None, 0o700, true),
    row("$queue_directory/maildrop", OWNER, SETGID, 0o730, true),
    row("$queue_directory/public", OWNER, SETGID, 0o710, true),
    row("$queue_directory/pid", "root", None, 0o755, true),
    row("$queue_directory/saved", OWNER, None, 0o700, true),
    row("$queue_directory/trace", OWNER, None, 0o700, true),
];

/// A row with its parameters filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub path: PathBuf,
    pub uid: u32,
    pub gid: Option<u32>,
    pub mode: u32,
    pub create: bool,
}

/// Every directory of the instance. Without root all of them are the caller's own: an instance for oneself.
pub fn directories(cf: &MainCf) -> Result<Vec<Directory>, ConfError> {
    let rootless = accounts::effective_uid() != 0;
    let mut found = Vec::with_capacity(DIRECTORIES.len());
    for row in DIRECTORIES {
        let path = PathBuf::from(cf.expand_text("queue_directory", row.path)?);
        let owner = cf.expand_text("mail_owner", row.owner)?;
        let group = row.group.map(|group| cf.expand_text("setgid_group", group)).transpose()?;
        let (uid, gid) = if rootless {
            (accounts::effective_uid(), None)
        } else {
            let account = accounts::by_name(&owner).ok_or_else(|| {
                ConfError::Plain(format!(
                    "file {}: parameter mail_owner: unknown user name value: {owner}",
                    cf.file().display()
                ))
            })?;
            let gid = match group {
                Some(group) => Some(accounts::group_id(&group).ok_or_else(|| {
                    ConfError::Plain(format!(
                        "file {}: parameter setgid_group: unknown group name: {group}",
                        cf.file().display()
                    ))
                })?),
                None => None,
            };
            (account.uid, gid)
        };
        found.push(Directory { path, uid, gid, mode: row.mode, create: row.create });
    }
    Ok(found)
}

/// Creates the directories that are missing, with owner, group and mode; gives back those that it made.
pub fn create_missing(cf: &MainCf) -> Result<Vec<PathBuf>, ConfError> {
    let mut made = Vec::new();
    for directory in directories(cf)?.iter().filter(|directory| directory.create) {
        if directory.path.is_dir() {
            continue;
        }
        create(directory).map_err(|error| {
            ConfError::Plain(format!("create directory {}: {}", directory.path.display(), reason(&error)))
        })?;
        made.push(directory.path.clone());
    }
    Ok(made)
}

fn create(directory: &Directory) -> std::io::Result<()> {
    // Nobody else gets in before the owner is right.
    std::fs::DirBuilder::new().mode(0o700).create(&directory.path)?;
    if accounts::effective_uid() == 0 {
        std::os::unix::fs::lchown(&directory.path, Some(directory.uid), directory.gid)?;
    }
    std::fs::set_permissions(&directory.path, std::fs::Permissions::from_mode(directory.mode))
}
