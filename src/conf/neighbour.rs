//! main.cf as another service has it. What the reference does in processes of their own (cleanup, trivial-rewrite) is done
//! here by whoever needs it: with main.cf and the `-o` settings of that service's line in master.cf, not with those of the
//! service that does it.

use super::MainCf;
use super::master_cf::{self, Endpoint};

/// What the service of this name has. A configuration that can no longer be read is an answer that we have already: the
/// caller's own.
pub fn neighbour(own: &MainCf, service: &str) -> MainCf {
    let Ok(mut cf) = MainCf::read(own.directory()) else { return own.clone() };
    let services = master_cf::read(own.directory()).unwrap_or_default();
    if let Some(line) = services.iter().find(|line| line.endpoint == Endpoint::Unix && line.name == service) {
        for (name, value) in line.overrides() {
            cf.set(&name, &value);
        }
    }
    cf
}

/// What the service has that connections are passed on to ("smtpd pass ..."); None: there is no such line.
pub fn successor(own: &MainCf, service: &str) -> Option<MainCf> {
    let services = master_cf::read(own.directory()).unwrap_or_default();
    let line = services.iter().find(|line| line.endpoint == Endpoint::Pass && line.name == service)?;
    let mut cf = MainCf::read(own.directory()).ok()?;
    cf.set("service_name", service);
    cf.set("process_name", &line.command);
    for (name, value) in line.overrides() {
        cf.set(&name, &value);
    }
    Some(cf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_settings() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("main.cf"), "biff = no\nmyorigin = a\n").unwrap();
        let master = "cleanup inet n - n - 0 cleanup\n -o biff=yes\ncleanup unix n - n - 0 cleanup\n -o myorigin=b\n";
        std::fs::write(directory.path().join("master.cf"), master).unwrap();
        let mut own = MainCf::read(directory.path()).unwrap();
        own.set("myorigin", "c");
        assert_eq!(neighbour(&own, "cleanup").myorigin(), "b");
        assert_eq!(neighbour(&own, "cleanup").text("biff").unwrap(), "no");
        assert_eq!(neighbour(&own, "rewrite").myorigin(), "a");
        let passed = "smtpd inet n - n - 0 smtpd\nsmtpd pass - - n - - smtpd\n -o myorigin=d\n";
        std::fs::write(directory.path().join("master.cf"), passed).unwrap();
        assert_eq!(successor(&own, "smtpd").unwrap().myorigin(), "d");
        assert!(successor(&own, "other").is_none());
        std::fs::remove_file(directory.path().join("main.cf")).unwrap();
        assert_eq!(neighbour(&own, "cleanup").myorigin(), "c");
    }
}
