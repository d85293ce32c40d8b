//! What this machine is called, and how large its terminal is.

use std::ffi::{CStr, CString};

/// The host's name with its domain, as far as the resolver knows it (`hostname -f`).
pub fn canonical_name() -> String {
    let own = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if own.contains('.') { own } else { lookup(&own).filter(|name| name.contains('.')).unwrap_or(own) }
}

fn lookup(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: an all-zero addrinfo is the documented empty hint.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = libc::AI_CANONNAME;
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut found: *mut libc::addrinfo = std::ptr::null_mut();
    // SAFETY: name is terminated, the hints and the result pointer live through the call.
    if unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &hints, &mut found) } != 0 || found.is_null() {
        return None;
    }
    // SAFETY: on success the list has a first element; its canonical name is null or a terminated string. It is freed
    // once, after the copy was made.
    let canonical = unsafe {
        let text = (*found).ai_canonname;
        let copy = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        libc::freeaddrinfo(found);
        copy
    };
    canonical
}

/// (columns, lines) of the terminal on standard output or input.
pub fn terminal_size() -> Option<(u16, u16)> {
    for number in [libc::STDOUT_FILENO, libc::STDIN_FILENO] {
        // SAFETY: an all-zero winsize is valid, and TIOCGWINSZ only writes one.
        let mut size: libc::winsize = unsafe { std::mem::zeroed() };
        // SAFETY: as above; a descriptor that is no terminal gives an error.
        if unsafe { libc::ioctl(number, libc::TIOCGWINSZ, &mut size) } == 0 && size.ws_col > 0 {
            return Some((size.ws_col, size.ws_row));
        }
    }
    None
}

/// Sets (or, with None, removes) a variable for the programs that are started from now on.
pub fn set_environment(name: &str, value: Option<&str>) {
    // SAFETY: called by single-threaded command-line programs only, so that nobody reads the environment meanwhile.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}
