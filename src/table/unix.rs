//! unix:passwd.byname and unix:group.byname: the system's accounts as tables, each answer a line of the file.

use super::open::{Opened, Options, Table, TableError, Value};

enum Which {
    Passwd,
    Group,
}

struct Unix {
    which: Which,
    options: Options,
}

pub fn open(kind: &str, name: &str, options: &Options) -> Result<Opened, TableError> {
    let which = match name {
        "passwd.byname" => Which::Passwd,
        "group.byname" => Which::Group,
        _ => return Err(TableError::new(format!("{kind}:{name}"), format!("unknown table: {kind}:{name}"))),
    };
    Ok(Box::new(Unix { which, options: options.clone() }))
}

impl Table for Unix {
    fn lookup(&self, key: &[u8]) -> Result<Option<Value>, TableError> {
        // Mail for TOTO is mail for toto.
        let key = self.options.folded(key);
        let Ok(name) = std::str::from_utf8(&key) else { return Ok(None) };
        let failed = |table: &str, errno: nix::errno::Errno| {
            TableError::new(table, format!("{table}: {}", crate::sys::files::reason(&errno.into())))
        };
        match self.which {
            Which::Passwd => {
                // The accounts room: a rootless instance's own users come before the system's.
                let found = crate::sys::accounts::lookup(name).map_err(|error| {
                    TableError::new(
                        "unix:passwd.byname",
                        format!("unix:passwd.byname: {}", crate::sys::files::reason(&error)),
                    )
                })?;
                Ok(found.map(|user| {
                    format!(
                        "{}:x:{}:{}:{}:{}:{}",
                        user.name.to_string_lossy(),
                        user.uid,
                        user.gid,
                        user.full_name,
                        user.home.display(),
                        user.shell.display()
                    )
                    .into_bytes()
                }))
            }
            Which::Group => {
                let group = nix::unistd::Group::from_name(name).map_err(|errno| failed("unix:group.byname", errno))?;
                Ok(group.map(|group| format!("{}:x:{}:{}", group.name, group.gid, group.mem.join(",")).into_bytes()))
            }
        }
    }
}
