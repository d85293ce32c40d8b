//! Stories about the whole mail system, each on a throwaway copy of this machine (tests/machine/box): real users, real
//! ports, the real files. A story is a shell script, tests/stories/NAME.sh, and holds for ours and, with
//! `UNDER_TEST=reference`, for the installed reference packages.
//!
//! They need root, namespaces and overlays; where these or a needed program are missing, a story says why it was
//! skipped.

#![allow(clippy::unwrap_used, clippy::panic)] // A story that cannot be told has failed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};

/// How many copies of the machine there are at a time: each is a whole mail system.
const AT_A_TIME: u32 = 2;

static RUNNING: (Mutex<u32>, Condvar) = (Mutex::new(0), Condvar::new());

/// A turn, given back when it is dropped, also by a story that fails.
struct Turn;

impl Turn {
    fn take() -> Turn {
        let running = RUNNING.0.lock().unwrap();
        *RUNNING.1.wait_while(running, |count| *count >= AT_A_TIME).unwrap() += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Ok(mut running) = RUNNING.0.lock() {
            *running -= 1;
        }
        RUNNING.1.notify_one();
    }
}

fn tell(name: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let binaries = Path::new(env!("CARGO_BIN_EXE_pillarbox")).parent().unwrap();
    let turn = Turn::take();
    let done = Command::new("timeout")
        .arg("--kill-after=5")
        .arg("180")
        .arg(tests.join("machine/box"))
        .arg(binaries)
        .args(["bash", &format!("/run/box/stories/{name}.sh")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    drop(turn);
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    match done.status.code() {
        Some(0) => {}
        Some(77) => eprintln!("{name}: {}", said.trim_end()),
        status => panic!("{name}: status {status:?}\n{said}"),
    }
}

macro_rules! stories {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                tell(stringify!($name));
            }
        )*

        /// A story that nobody tells would prove nothing.
        #[test]
        fn every_story_is_told() {
            let told = [$(stringify!($name)),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
            for file in std::fs::read_dir(folder).unwrap() {
                let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
                assert!(told.contains(&name.as_str()), "tests/stories/{name}.sh is told by no test");
            }
        }
    };
}

stories! {
    addresses
    aliases
    before_queue
    bounce
    broken
    commands
    deferral
    disk_errors
    domain
    double_bounce
    etrn
    filters
    full_disk
    down
    hold
    kills
    lists
    marks
    locals
    mailboxes
    mx
    pop3_service
    probes
    refusals
    relay
    reload
    replies
    sasl_client
    screen
    services
    smuggling
    submission
    talkers
    tls_client
    tls_trouble
    verify
    unfit
    verp
}
