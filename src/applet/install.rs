//! pillarbox install, pillarbox uninstall: the binary, its links, manual pages, completions, init scripts and unit put
//! in place, and taken away again. What stood in the way is kept beside it and comes back.

use super::{APPLETS, Applet, Invocation, Purpose, manual};
use crate::exit::{Exit, Failure};
use crate::sys::accounts;
use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub const INSTALL: Applet = Applet {
    name: "install",
    aliases: &[],
    links: &[],
    section: 8,
    purpose: Purpose::House,
    about: "put the links, manual pages and start scripts in place (as root)",
    cli: || cli("install"),
    run: |call| run(call, Deed::Install),
};

pub const UNINSTALL: Applet = Applet {
    name: "uninstall",
    aliases: &[],
    links: &[],
    section: 8,
    purpose: Purpose::House,
    about: "take away what install put in place",
    cli: || cli("uninstall"),
    run: |call| run(call, Deed::Uninstall),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Install,
    Uninstall,
}

fn cli(name: &'static str) -> Command {
    Command::new(name)
        .about(if name == "install" { INSTALL.about } else { UNINSTALL.about })
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIRECTORY")
                .default_value("/")
                .value_parser(value_parser!(PathBuf))
                .help("the system's root, for images and packages"),
        )
        .arg(
            Arg::new("prefix")
                .long("prefix")
                .value_name("PATH")
                .default_value("/usr")
                .value_parser(value_parser!(PathBuf))
                .help("where programs live under the root"),
        )
}

fn run(call: &Invocation, deed: Deed) -> Result<Exit, Failure> {
    let name = if deed == Deed::Install { "install" } else { "uninstall" };
    let matches = super::cli::long(cli(name), &call.args)?;
    let place = Place::new(&matches);
    if place.root == Path::new("/") && accounts::effective_uid() != 0 {
        return Err(Failure::new(
            Exit::NOPERM,
            format!("{name} changes the system: run it as root, or give --root DIRECTORY"),
        ));
    }
    match deed {
        Deed::Install => install(&place)?,
        Deed::Uninstall => uninstall(&place)?,
    }
    Ok(Exit::OK)
}

/// Where things go.
struct Place {
    root: PathBuf,
    prefix: PathBuf,
}

impl Place {
    fn new(matches: &ArgMatches) -> Place {
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned().unwrap_or_default();
        Place { root: path("root"), prefix: path("prefix") }
    }

    /// A path under the root.
    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn in_prefix(&self, path: &str) -> PathBuf {
        self.at(self.prefix.join(path))
    }

    /// The list of what was put in place, one path a line, for the way back.
    fn record(&self) -> PathBuf {
        self.in_prefix("lib/pillarbox/installed")
    }
}

/// The suffix under which a file that stood in the way is kept.
const KEPT: &str = ".before-pillarbox";

/// Puts things in place and remembers each.
struct Installer<'a> {
    place: &'a Place,
    done: Vec<PathBuf>,
}

impl Installer<'_> {
    /// Makes way: what is not ours is kept beside, and the directory exists.
    fn make_way(&mut self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .with_context(|| format!("create {}", parent.display()))?;
        }
        let ours = self.is_ours(path);
        if std::fs::symlink_metadata(path).is_ok() {
            if ours {
                std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
            } else {
                let kept = kept(path);
                std::fs::rename(path, &kept)
                    .with_context(|| format!("rename {} to {}", path.display(), kept.display()))?;
            }
        }
        self.done.push(path.to_owned());
        Ok(())
    }

    fn is_ours(&self, path: &Path) -> bool {
        let listed = std::fs::read_to_string(self.place.record()).unwrap_or_default();
        listed.lines().any(|line| Path::new(line) == path)
    }

    fn file(&mut self, path: PathBuf, content: &[u8], mode: u32) -> Result<()> {
        self.make_way(&path)?;
        crate::sys::files::write_atomically(&path, content, mode)
            .with_context(|| format!("write {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    fn link(&mut self, path: PathBuf, target: &Path) -> Result<()> {
        self.make_way(&path)?;
        std::os::unix::fs::symlink(target, &path).with_context(|| format!("link {}", path.display()))
    }

    /// A configuration file that is only written where none is, and stays when we go.
    fn once(&self, path: PathBuf, content: &[u8]) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        crate::sys::files::write_atomically(&path, content, 0o644).with_context(|| format!("write {}", path.display()))
    }
}

fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(KEPT);
    name.into()
}

fn install(place: &Place) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let own = std::env::current_exe().context("find this program's own file")?;
    let own = std::fs::canonicalize(&own).unwrap_or(own);
    let mut installer = Installer { place, done: Vec::new() };
    let binary = place.prefix.join("lib/pillarbox/pillarbox");
    let content = std::fs::read(&own).with_context(|| format!("read {}", own.display()))?;
    installer.file(place.at(&binary), &content, 0o755)?;
    create_accounts(place, &mut out)?;
    // Not a link to the main file: this one is set-gid, and argv[0] belongs to whoever calls it.
    let postdrop = own.with_file_name("postdrop");
    let content = std::fs::read(&postdrop)
        .with_context(|| format!("read {} (cargo builds it beside pillarbox)", postdrop.display()))?;
    let gate = place.in_prefix("sbin/postdrop");
    installer.file(gate.clone(), &content, 0o755)?;
    set_gate(place, &gate)?;
    for applet in APPLETS {
        for link in applet.links {
            installer.link(place.in_prefix(link), &binary)?;
        }
    }
    installer.link(place.in_prefix("bin/pillarbox"), &binary)?;
    for (path, content) in manual::pages() {
        installer.file(place.in_prefix(&format!("share/man/{path}")), content.as_bytes(), 0o644)?;
    }
    for (path, content) in manual::completions() {
        installer.file(place.in_prefix(&format!("share/{path}")), content.as_bytes(), 0o644)?;
    }
    installer.file(place.at("/etc/init.d/postfix"), include_bytes!("../../packaging/postfix.init"), 0o755)?;
    installer.file(place.at("/etc/init.d/dovecot"), include_bytes!("../../packaging/dovecot.init"), 0o755)?;
    installer.file(
        place.in_prefix("lib/systemd/system/postfix.service"),
        include_bytes!("../../packaging/postfix.service"),
        0o644,
    )?;
    installer.once(place.at("/etc/postfix/main.cf"), include_bytes!("../../packaging/main.cf"))?;
    installer.once(place.at("/etc/postfix/master.cf"), include_bytes!("../../packaging/master.cf"))?;
    installer.once(place.at("/etc/aliases"), b"# See man 5 aliases for format\npostmaster: root\n")?;
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    installer.once(place.at("/etc/mailname"), format!("{host}\n").as_bytes())?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(place.at("/var/spool/postfix"))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(place.at("/var/lib/postfix"))?;
    // The queue's directories, so that mail can be submitted before the first start.
    if place.root == Path::new("/")
        && let Ok(cf) = crate::conf::MainCf::read(Path::new(crate::conf::main_cf::DEFAULT_DIRECTORY))
    {
        crate::conf::manifest::create_missing(&cf).context("make the queue directories")?;
        if let Some(owner) = accounts::by_name("postfix") {
            std::os::unix::fs::chown(place.at("/var/lib/postfix"), Some(owner.uid), Some(owner.gid))?;
        }
    }
    let list: String = installer.done.iter().map(|path| format!("{}\n", path.display())).collect();
    crate::sys::files::write_atomically(&place.record(), list.as_bytes(), 0o644)?;
    writeln!(out, "{} files in place; pillarbox uninstall takes them away again.", installer.done.len())?;
    writeln!(out, "Next: newaliases, postfix check, /etc/init.d/postfix start")?;
    Ok(())
}

/// The accounts that the mail system runs as, by the system's own tools.
fn create_accounts(place: &Place, out: &mut impl Write) -> Result<()> {
    if place.root != Path::new("/") {
        return Ok(());
    }
    for group in ["postfix", "postdrop"] {
        if accounts::group_id(group).is_none() {
            tool("groupadd", &["--system", group])?;
            writeln!(out, "group {group} made")?;
        }
    }
    if accounts::by_name("postfix").is_none() {
        let home = [
            "--system",
            "--gid",
            "postfix",
            "--home-dir",
            "/var/spool/postfix",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            "postfix",
        ];
        tool("useradd", &home)?;
        writeln!(out, "user postfix made")?;
    }
    Ok(())
}

fn tool(name: &str, arguments: &[&str]) -> Result<()> {
    let status = std::process::Command::new(name).args(arguments).status().with_context(|| format!("run {name}"))?;
    anyhow::ensure!(status.success(), "{name} {} failed", arguments.join(" "));
    Ok(())
}

/// Gives postdrop its group and its bit; in an image the packager's tools do it.
fn set_gate(place: &Place, path: &Path) -> Result<()> {
    let Some(group) = accounts::group_id("postdrop").filter(|_| place.root == Path::new("/")) else { return Ok(()) };
    std::os::unix::fs::chown(path, Some(0), Some(group))
        .with_context(|| format!("chgrp postdrop {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o2755))?;
    Ok(())
}

fn uninstall(place: &Place) -> Result<()> {
    let record = place.record();
    let list = std::fs::read_to_string(&record)
        .with_context(|| format!("read {} (nothing is installed here?)", record.display()))?;
    let mut count = 0;
    for path in list.lines().map(Path::new) {
        match std::fs::remove_file(path) {
            Ok(()) => count += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("remove {}", path.display())),
        }
        let before = kept(path);
        if std::fs::symlink_metadata(&before).is_ok() {
            std::fs::rename(&before, path).with_context(|| format!("rename {}", before.display()))?;
        }
    }
    std::fs::remove_file(&record)?;
    let _ = std::fs::remove_dir(place.in_prefix("lib/pillarbox"));
    writeln!(std::io::stdout(), "{count} files taken away; configuration, queue and mail stay.")?;
    Ok(())
}
