//! Which users may submit mail, look at the queue, or flush it (authorized_submit_users and its kin, postconf(5)).

use crate::conf::MainCf;
use crate::sys::accounts;
use crate::table::matchlist::Flavour;
use crate::table::{self, MatchList, Options};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Submit,
    List,
    Flush,
}

/// Ok: the real user may. The error is the reference's sentence.
pub fn check(cf: &MainCf, deed: Deed) -> Result<(), String> {
    let uid = accounts::real_uid();
    // The superuser and the mail system's own account need no permission.
    if uid == 0 || accounts::by_name(cf.mail_owner()).is_some_and(|owner| owner.uid == uid) {
        return Ok(());
    }
    let (title, list, words) = match deed {
        Deed::Submit => ("authorized_submit_users", cf.authorized_submit_users(), "submit mail"),
        Deed::List => ("authorized_mailq_users", cf.authorized_mailq_users(), "view the mail queue"),
        Deed::Flush => ("authorized_flush_users", cf.authorized_flush_users(), "flush the mail queue"),
    };
    let account = accounts::by_uid(uid);
    let name = account.as_ref().map_or_else(|| "unknown".into(), |account| account.name.to_string_lossy());
    let users = MatchList::parse(title, &list, Flavour::Strings, &Options::of_types(&[table::open::PLAIN]));
    match users.contains(&name) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("User {name}({uid}) is not allowed to {words}")),
        Err(error) => Err(format!("{title}: {error}")),
    }
}
