//! Users and groups, through the C library's name service (files, LDAP, SSSD: whatever nsswitch.conf says).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use users::os::unix::UserExt;

/// The users of a rootless instance (`CONFIG_DIRECTORY/passwd`), who come before the system's. They all have the
/// caller's user id: without root there is no other.
static PRIVATE: OnceLock<Vec<Account>> = OnceLock::new();

/// Reads a rootless instance's own user file, passwd(5) in form. Not for root, and only a file that belongs to the
/// caller and that nobody else can write: whoever can, can say where mail goes.
pub fn adopt_private_file(path: &Path) {
    if effective_uid() == 0 || PRIVATE.get().is_some() {
        return;
    }
    let Ok(file) = File::open(path) else { return };
    let Ok(data) = file.metadata() else { return };
    if data.uid() != effective_uid() || data.mode() & 0o022 != 0 {
        return;
    }
    let mut text = String::new();
    if file.take(1 << 20).read_to_string(&mut text).is_err() {
        return;
    }
    let _ = PRIVATE.set(text.lines().filter_map(private_line).collect());
}

/// "name:password:uid:gid:full name:home:shell"; the ids are the caller's whatever the line says.
fn private_line(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, _, _, full_name, home, ..] = fields.as_slice() else { return None };
    let shell = fields.get(6).copied().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    (!name.is_empty() && !name.starts_with('#')).then(|| Account {
        name: name.into(),
        uid: effective_uid(),
        gid: nix::unistd::Gid::effective().as_raw(),
        full_name: (*full_name).to_owned(),
        home: home.into(),
        shell: shell.into(),
    })
}

/// Who the caller is: in a rootless instance the user that $LOGNAME names, if it is one of the instance's; else the
/// account of the real user id.
pub fn caller() -> Option<Account> {
    let private = PRIVATE.get().and_then(|users| {
        let name = std::env::var_os("LOGNAME")?;
        users.iter().find(|user| user.name == name).cloned()
    });
    private.or_else(|| by_uid(real_uid()))
}

/// One line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: OsString,
    pub uid: u32,
    pub gid: u32,
    /// The full name: the gecos field up to its first comma.
    pub full_name: String,
    pub home: PathBuf,
    pub shell: PathBuf,
}

impl Account {
    fn from_user(user: &users::User) -> Account {
        Account {
            name: user.name().to_owned(),
            uid: user.uid(),
            gid: user.primary_group_id(),
            full_name: full_name(user.uid()),
            home: user.home_dir().to_owned(),
            shell: user.shell().to_owned(),
        }
    }
}

/// The account with this login name. `Ok(None)`: there is none; an error: nobody could say, and mail must wait.
pub fn lookup(name: &str) -> io::Result<Option<Account>> {
    let private = PRIVATE.get().and_then(|users| users.iter().find(|user| user.name == name).cloned());
    if private.is_some() {
        return Ok(private);
    }
    let found = nix::unistd::User::from_name(name).map_err(io::Error::from)?;
    Ok(found.map(|user| Account {
        name: user.name.into(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        full_name: user.gecos.to_string_lossy().split(',').next().unwrap_or_default().to_owned(),
        home: user.dir,
        shell: user.shell,
    }))
}

/// [`lookup`] where it makes no difference why there is no answer.
pub fn by_name(name: impl AsRef<OsStr>) -> Option<Account> {
    lookup(name.as_ref().to_str()?).ok().flatten()
}

/// The account with this user id.
pub fn by_uid(uid: u32) -> Option<Account> {
    users::get_user_by_uid(uid).map(|user| Account::from_user(&user))
}

/// The id of the group with this name.
pub fn group_id(name: &str) -> Option<u32> {
    users::get_group_by_name(name).map(|group| group.gid())
}

/// All groups of a user, the primary one included.
pub fn groups_of(account: &Account) -> Vec<u32> {
    users::get_user_groups(&account.name, account.gid)
        .map(|groups| groups.iter().map(users::Group::gid).collect())
        .unwrap_or_else(|| vec![account.gid])
}

pub fn real_uid() -> u32 {
    users::get_current_uid()
}

/// Of this process, user and group.
pub fn effective_ids() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

pub fn effective_uid() -> u32 {
    users::get_effective_uid()
}

/// The gecos field up to its first comma; uzers does not hand it out.
fn full_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    let gecos = user.map(|user| user.gecos.to_string_lossy().into_owned()).unwrap_or_default();
    gecos.split(',').next().unwrap_or_default().to_owned()
}
