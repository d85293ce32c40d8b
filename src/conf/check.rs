//! (stand-in until the check room is merged)
use super::{MainCf, master_cf};
use std::fmt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
pub struct Finding {
    text: String,
    fatal: bool,
}
impl Finding {
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }
}
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
pub fn prepare(cf: &MainCf) -> Result<(), String> {
    let owner = crate::sys::accounts::by_name(cf.mail_owner());
    let group = crate::sys::accounts::group_id(&cf.setgid_group());
    for (name, mode, submission) in [
        ("active", 0o700, false),
        ("bounce", 0o700, false),
        ("corrupt", 0o700, false),
        ("defer", 0o700, false),
        ("deferred", 0o700, false),
        ("flush", 0o700, false),
        ("hold", 0o700, false),
        ("incoming", 0o700, false),
        ("private", 0o700, false),
        ("saved", 0o700, false),
        ("trace", 0o700, false),
        ("maildrop", 0o1730, true),
        ("public", 0o2710, true),
        ("pid", 0o755, false),
    ] {
        let path = Path::new(&cf.queue_directory()).join(name);
        if path.is_dir() {
            continue;
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode & 0o777)
            .create(&path)
            .map_err(|e| format!("mkdir {}: {e}", path.display()))?;
        if name != "pid" && crate::sys::accounts::effective_uid() == 0 {
            let _ = std::os::unix::fs::chown(&path, owner.as_ref().map(|o| o.uid), group.filter(|_| submission));
        }
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    }
    Ok(())
}
pub fn run(cf: &MainCf, known: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut out = Vec::new();
    let fatal = |text: String| Finding { text: format!("fatal: {text}"), fatal: true };
    if let Err(e) = cf.verify() {
        out.push(fatal(e.to_string()));
    }
    match master_cf::read(cf.directory()) {
        Err(e) => out.push(fatal(e.to_string())),
        Ok(lines) => {
            for l in lines {
                if !known(&l.command) {
                    out.push(fatal(format!(
                        "{}: line {}: unknown command: {}",
                        cf.directory().join("master.cf").display(),
                        l.line,
                        l.command
                    )));
                }
            }
        }
    }
    out
}
