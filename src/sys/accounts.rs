//! Users and groups, through the C library's name service (files, LDAP, SSSD: whatever nsswitch.conf says).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use users::os::unix::UserExt;

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

/// The account with this login name.
pub fn by_name(name: impl AsRef<OsStr>) -> Option<Account> {
    users::get_user_by_name(name.as_ref()).map(|user| Account::from_user(&user))
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

pub fn effective_uid() -> u32 {
    users::get_effective_uid()
}

/// The gecos field up to its first comma; uzers does not hand it out.
fn full_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    let gecos = user.map(|user| user.gecos.to_string_lossy().into_owned()).unwrap_or_default();
    gecos.split(',').next().unwrap_or_default().to_owned()
}
