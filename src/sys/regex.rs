//! POSIX extended regular expressions of the C library, with or without regard to case.

use std::ffi::CString;

/// A compiled pattern.
pub struct Regex {
    compiled: Box<libc::regex_t>,
}

impl Regex {
    /// None when it is no pattern.
    pub fn new(pattern: &str, ignore_case: bool) -> Option<Regex> {
        let pattern = CString::new(pattern).ok()?;
        let mut compiled = Box::new(std::mem::MaybeUninit::<libc::regex_t>::zeroed());
        let case = if ignore_case { libc::REG_ICASE } else { 0 };
        let flags = libc::REG_EXTENDED | case | libc::REG_NOSUB;
        // SAFETY: the pattern is terminated, and regcomp initialises the structure when it returns 0.
        if unsafe { libc::regcomp(compiled.as_mut_ptr(), pattern.as_ptr(), flags) } != 0 {
            return None;
        }
        // SAFETY: initialised by regcomp; the box keeps its address.
        Some(Regex { compiled: unsafe { Box::from_raw(Box::into_raw(compiled).cast::<libc::regex_t>()) } })
    }

    pub fn matches(&self, text: &str) -> bool {
        let Ok(text) = CString::new(text.replace('\0', " ")) else { return false };
        // SAFETY: compiled stays valid until it is dropped; with REG_NOSUB no match array is written.
        unsafe { libc::regexec(&*self.compiled, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled once, freed once.
        unsafe { libc::regfree(&mut *self.compiled) }
    }
}
