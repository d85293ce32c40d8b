//! Hands argv to the applet table and ends the process with the answer.

use std::process::ExitCode;

fn main() -> ExitCode {
    pillarbox::sys::spawn::sane_standard_descriptors();
    // The main file must never be set-id: argv[0] belongs to the caller, and every applet would run with that id.
    if pillarbox::sys::privilege::started_set_id() {
        eprintln!("pillarbox: fatal: this file must not be set-uid or set-gid (chmod 0755)");
        return ExitCode::from(pillarbox::exit::Exit::OSERR.0);
    }
    ExitCode::from(pillarbox::applet::main(std::env::args_os().collect()).0)
}
