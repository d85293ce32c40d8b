//! The lab's directory: configuration, queue, mailboxes, homes, log, all inside it.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Login names; each one's password is its name, as in the handout.
pub const USERS: &[&str] = &["eleve", "toto", "titi"];

pub struct Lab {
    pub directory: PathBuf,
    pub smtp_port: u16,
    pub pop3_port: u16,
}

/// A file by which a directory is known as ours to empty.
const MARK: &str = ".pillarbox-lab";

/// Where the lab keeps its own copy of the program.
pub fn program_in(directory: &Path) -> PathBuf {
    directory.join("bin/pillarbox")
}

/// An empty directory for the lab. One that holds something else is left alone.
pub fn make_empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        let ours = directory.join(MARK).exists();
        let empty = fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?.next().is_none();
        if !ours && !empty {
            bail!("{} holds something that is not a lab; give another directory", directory.display());
        }
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.ends_with("bin") && crate::sys::accounts::effective_uid() != 0 {
                // The running program may be the one in there.
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("empty {}", path.display()))?;
        }
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .with_context(|| format!("create {}", directory.display()))?;
    File::create(directory.join(MARK))?;
    Ok(())
}

/// Copies the program, so that the lab goes on when the original is built anew.
pub fn copy_program(mut own: &File, program: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let folder = program.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let _ = fs::remove_file(program);
    let mut copy = File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(program)
        .with_context(|| format!("write {}", program.display()))?;
    io::copy(&mut own, &mut copy)?;
    copy.set_permissions(fs::Permissions::from_mode(0o755))?;
    if let Some((uid, gid)) = owner {
        for path in [folder, program, &folder.with_file_name(MARK)] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

impl Lab {
    /// Writes everything; nothing is started yet.
    pub fn lay_out(directory: &Path) -> Result<Lab> {
        let program = program_in(directory);
        let own = File::open("/proc/self/exe")?;
        let running_inside = own.metadata()?.ino() == fs::metadata(&program).map(|data| data.ino()).unwrap_or(0);
        make_empty(directory)?;
        if !running_inside {
            copy_program(&own, &program, None)?;
        }
        for applet in super::super::APPLETS {
            for name in applet.links.iter().filter_map(|link| link.rsplit('/').next()) {
                let link = directory.join("bin").join(name);
                let _ = fs::remove_file(&link);
                std::os::unix::fs::symlink("pillarbox", &link)?;
            }
        }
        let lab = Lab { directory: directory.to_owned(), smtp_port: free_port(10_025)?, pop3_port: free_port(10_110)? };
        lab.write_configuration()?;
        Ok(lab)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write_configuration(&self) -> Result<()> {
        for name in ["etc/postfix", "spool", "data", "mail", "log", "home/eleve", "home/toto", "home/titi"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(self.path(name))?;
        }
        let me = crate::sys::accounts::by_uid(crate::sys::accounts::effective_uid())
            .context("your user id has no name in the system's user list")?;
        let me = me.name.to_string_lossy().into_owned();
        let base = self.directory.display().to_string();
        self.write("etc/mailname", "srvdmz.virtualux.fr\n", 0o644)?;
        self.write(
            "etc/aliases",
            "# the handout: root's mail goes to a person\npostmaster: root\nroot: eleve\n",
            0o644,
        )?;
        self.write("etc/postfix/main.cf", &main_cf(&base, &me), 0o644)?;
        self.write("etc/postfix/master.cf", &self.master_cf(&base), 0o644)?;
        // Passwords stand in it, and only we may say who is who.
        let users: String =
            USERS.iter().map(|user| format!("{user}:{{PLAIN}}{user}:::{user}:{base}/home/{user}:/bin/sh\n")).collect();
        self.write("etc/postfix/passwd", &users, 0o600)?;
        self.write("etc/dovecot.conf", &dovecot_conf(&base), 0o644)?;
        // What the packages' /etc/mail.rc says; each home has it, since the lab writes nothing outside its directory.
        for user in USERS {
            self.write(&format!("home/{user}/.mailrc"), "set ask askcc append dot save crt\nignore Received Message-Id Resent-Message-Id Status Mail-From Return-Path Via Delivered-To\n", 0o600)?;
        }
        Ok(())
    }

    fn master_cf(&self, base: &str) -> String {
        let (smtp, pop3) = (self.smtp_port, self.pop3_port);
        format!(
            "127.0.0.1:{smtp} inet n - n - - smtpd\n\
             127.0.0.1:{pop3} inet n - n - - pop3d -c {base}/etc/dovecot.conf\n\
             pickup unix n - n 60 1 pickup\n\
             cleanup unix n - n - 0 cleanup\n\
             qmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\n\
             defer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\n\
             smtp unix - - n - - smtp\n\
             relay unix - - n - - smtp\n\
             showq unix n - n - - showq\n\
             error unix - - n - - error\n\
             retry unix - - n - - error\n\
             discard unix - - n - - discard\n\
             local unix - n n - - local\n\
             postlog unix-dgram n - n - 1 postlogd\n"
        )
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.path(name);
        crate::sys::files::write_atomically(&path, text.as_bytes(), mode)
            .with_context(|| format!("write {}", path.display()))
    }

    /// A command of the lab, as a user types it in a shell of theirs.
    pub fn command(&self, user: &str, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line);
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        command
            .env("PATH", path)
            .env("MAIL_CONFIG", self.path("etc/postfix"))
            .env("HOME", self.path(&format!("home/{user}")))
            .env("LOGNAME", user)
            .env("USER", user)
            .env("MAIL", self.path(&format!("mail/{user}")))
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb")
            .env_remove("MAILRC")
            .current_dir(&self.directory);
        command
    }

    pub fn mailbox(&self, user: &str) -> String {
        let bytes = fs::read(self.path(&format!("mail/{user}"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn stop(&self) {
        let _ = self.command("eleve", "postfix stop").output();
    }

    pub fn last_log_lines(&self) -> String {
        let text = fs::read_to_string(self.path("log/mail.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        format!("The last lines of {}:\n{tail}", self.path("log/mail.log").display())
    }

    /// For --keep.
    pub fn tell_how_to_talk(&self) -> io::Result<()> {
        let base = self.directory.display();
        let (smtp, pop3) = (self.smtp_port, self.pop3_port);
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "\nThe lab goes on. To talk to it:\n\
             \n  SMTP        telnet 127.0.0.1 {smtp}\
             \n  POP3        telnet 127.0.0.1 {pop3}      (user toto, pass toto)\
             \n  send        MAIL_CONFIG={base}/etc/postfix LOGNAME=toto {base}/bin/mail titi\
             \n  read        MAIL_CONFIG={base}/etc/postfix LOGNAME=titi HOME={base}/home/titi MAIL={base}/mail/titi {base}/bin/mail\
             \n  queue       MAIL_CONFIG={base}/etc/postfix {base}/bin/mailq\
             \n  log         {base}/log/mail.log\
             \n  stop        MAIL_CONFIG={base}/etc/postfix {base}/bin/postfix stop\n\
             \nThunderbird: a new account by manual configuration: name and address toto@virtualux.fr; incoming POP3,\
             \nserver 127.0.0.1, port {pop3}, connection security none, password transmitted insecurely, user toto;\
             \noutgoing SMTP, server 127.0.0.1, port {smtp}, connection security none, no authentication."
        )
    }
}

fn main_cf(base: &str, me: &str) -> String {
    format!(
        "# The handout's main.cf, for an instance of one's own: everything in {base}, nothing as root.\n\
         compatibility_level = 3.6\n\
         mail_owner = {me}\n\
         queue_directory = {base}/spool\n\
         data_directory = {base}/data\n\
         command_directory = {base}/bin\n\
         maillog_file = {base}/log/mail.log\n\
         maillog_file_prefixes = {base}\n\
         mail_spool_directory = {base}/mail\n\
         myorigin = {base}/etc/mailname\n\
         mydomain = virtualux.fr\n\
         myhostname = srvdmz.$mydomain\n\
         mydestination = $myhostname, localhost.virtualux.fr, localhost, $mydomain\n\
         relay_domains = $mydestination\n\
         mynetworks = 127.0.0.0/8\n\
         inet_interfaces = loopback-only\n\
         inet_protocols = ipv4\n\
         alias_maps = hash:{base}/etc/aliases\n\
         alias_database = hash:{base}/etc/aliases\n\
         # The users are those of {base}/etc/postfix/passwd, beside this file.\n\
         local_recipient_maps = unix:passwd.byname $alias_maps\n\
         recipient_delimiter = +\n\
         smtpd_banner = $myhostname ESMTP $mail_name (pillarbox lab)\n"
    )
}

fn dovecot_conf(base: &str) -> String {
    format!(
        "protocols = pop3\n\
         listen = 127.0.0.1\n\
         login_greeting = Dovecot ready.\n\
         disable_plaintext_auth = no\n\
         first_valid_uid = 1\n\
         mail_location = mbox:{base}/home/%u/mail:INBOX={base}/mail/%u\n\
         passdb {{\n  driver = passwd-file\n  args = {base}/etc/postfix/passwd\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = {base}/etc/postfix/passwd\n}}\n\
         log_path = {base}/log/pop3d.log\n"
    )
}

/// The first free port from `start` on.
fn free_port(start: u16) -> Result<u16> {
    (start..start + 1000)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .with_context(|| format!("no free port from {start} on"))
}
