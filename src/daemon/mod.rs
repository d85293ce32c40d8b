//! The roles that master starts, and the start-up order that all of them share.

/// The loop of a delivery agent.
pub mod agent;
/// bounce(8): notices to senders, as a library of the queue manager.
pub mod bounce;
/// error(8), retry(8), discard(8).
pub mod error;
/// local(8).
pub mod local;
/// master(8).
pub mod master;
/// Tables that only root may read.
pub mod passwords;
/// pickup(8).
pub mod pickup;
/// pipe(8).
pub mod pipe;
/// qmgr(8).
pub mod qmgr;
/// showq(8).
pub mod showq;
/// What every role does before it serves.
pub mod skeleton;
/// smtp(8).
pub mod smtp;
/// smtpd(8).
pub mod smtpd;
/// A connection that may become encrypted.
mod transport;
/// verify(8).
pub mod verify;
/// virtual(8); "virtual" is a reserved word.
pub mod virtual_agent;

use skeleton::{Model, Privilege, Role, no_files};

/// Every command that a line of master.cf may name, and how it is served. Those of [`Model::Absorbed`] are accepted
/// and start nothing: what they do for the reference is a library call here, or is not done (the note says which).
pub const ROLES: &[Role] = &[
    Role {
        command: "smtpd",
        model: Model::Sessions,
        privilege: Privilege::MailOwner,
        run: smtpd::run,
        private: smtpd::private_files,
        note: "",
    },
    Role {
        command: "postscreen",
        model: Model::Sessions,
        privilege: Privilege::MailOwner,
        run: smtpd::run_screened,
        private: smtpd::private_files_behind,
        note: "",
    },
    Role {
        command: "pickup",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: pickup::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "qmgr",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: qmgr::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "oqmgr",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: qmgr::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "nqmgr",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: qmgr::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "showq",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: showq::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "verify",
        model: Model::Single,
        privilege: Privilege::MailOwner,
        run: verify::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "local",
        model: Model::Agent,
        privilege: Privilege::Root,
        run: local::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "smtp",
        model: Model::Agent,
        privilege: Privilege::MailOwner,
        run: smtp::run,
        private: smtp::private_files,
        note: "",
    },
    Role {
        command: "lmtp",
        model: Model::Agent,
        privilege: Privilege::MailOwner,
        run: smtp::run_lmtp,
        private: smtp::private_files_lmtp,
        note: "",
    },
    Role {
        command: "virtual",
        model: Model::Agent,
        privilege: Privilege::Root,
        run: virtual_agent::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "pipe",
        model: Model::Agent,
        privilege: Privilege::Root,
        run: pipe::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "error",
        model: Model::Agent,
        privilege: Privilege::MailOwner,
        run: error::run,
        private: no_files,
        note: "",
    },
    Role {
        command: "discard",
        model: Model::Agent,
        privilege: Privilege::MailOwner,
        run: error::run_discard,
        private: no_files,
        note: "",
    },
    Role {
        command: "pop3d",
        model: Model::Sessions,
        privilege: Privilege::Root,
        run: pop3d::run,
        private: no_files,
        note: "",
    },
    absorbed("cleanup", "messages are cleaned up by their receiver, as a library call"),
    absorbed("trivial-rewrite", "addresses are resolved by a library call"),
    absorbed("bounce", "the queue manager writes the logs and the notices"),
    absorbed("anvil", "smtpd counts its own clients"),
    absorbed("tlsmgr", "smtpd keeps its TLS sessions itself, smtp keeps none"),
    absorbed("scache", "connections are not cached between processes"),
    absorbed("proxymap", "tables are opened by their users"),
    absorbed("flush", "fast ETRN is not done; flushing by site scans the queue"),
    absorbed("postlogd", "lines are appended to maillog_file by their writers"),
    absorbed("master", "it runs by itself"),
    absorbed("qmqpd", "not served: nothing listens on its port"),
    absorbed("spawn", "not served: nothing listens on its socket"),
    absorbed("dnsblog", "postscreen asks DNS lists itself"),
    absorbed("tlsproxy", "postscreen encrypts its connections itself"),
];

const fn absorbed(command: &'static str, note: &'static str) -> Role {
    Role {
        command,
        model: Model::Absorbed,
        privilege: Privilege::MailOwner,
        run: skeleton::nothing,
        private: no_files,
        note,
    }
}

/// The role that serves a command of master.cf.
pub fn find(command: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.command == command)
}
/// POP3 for system users.
pub mod pop3d;

#[cfg(test)]
mod tests {
    use super::*;

    /// The check (a lower layer) holds the names; here stands what serves them.
    #[test]
    fn every_command_that_the_check_accepts_has_a_row() {
        for command in crate::conf::check::services::COMMANDS {
            assert!(find(command).is_some(), "{command}");
        }
    }
}
