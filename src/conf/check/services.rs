//! Commands that master.cf names: each is one that this program serves (or accepts without serving it by a process),
//! or an executable file in daemon_directory.

use super::Finding;
use crate::conf::MainCf;
use crate::conf::master_cf::Service;
use std::os::unix::fs::PermissionsExt;

/// The reference's own daemons, which a master.cf may name.
pub const COMMANDS: &[&str] = &[
    "anvil",
    "bounce",
    "cleanup",
    "discard",
    "dnsblog",
    "error",
    "flush",
    "lmtp",
    "local",
    "master",
    "nqmgr",
    "oqmgr",
    "pickup",
    "pipe",
    "pop3d",
    "postlogd",
    "postscreen",
    "proxymap",
    "qmgr",
    "qmqpd",
    "scache",
    "showq",
    "smtp",
    "smtpd",
    "spawn",
    "tlsmgr",
    "tlsproxy",
    "trivial-rewrite",
    "verify",
    "virtual",
];

pub fn check(cf: &MainCf, services: &[Service], commands: &[&str], found: &mut Vec<Finding>) {
    let file = cf.directory().join("master.cf");
    let daemons = cf.text("daemon_directory").unwrap_or_default();
    for service in services {
        let command = service.command.as_str();
        if commands.contains(&command) {
            continue;
        }
        let path = std::path::Path::new(&daemons).join(command);
        let executable = std::fs::metadata(&path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
        if command.contains('/') || !executable {
            let text = format!("{}: line {}: unknown command: {command}", file.display(), service.line);
            found.push(Finding::fatal(text).at(&file, Some(service.line)));
        }
    }
    if !cf.text("maillog_file").unwrap_or_default().is_empty()
        && !services.iter().any(|service| service.command == "postlogd")
    {
        found.push(
            Finding::fatal("missing 'postlog' service in master.cf - run 'postfix upgrade-configuration'")
                .at(&file, None),
        );
    }
}
