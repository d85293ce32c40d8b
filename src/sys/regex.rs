//! POSIX regular expressions by the C library's regcomp(3): leftmost-longest, as regexp: tables mean them. No crate
//! has these semantics.

use std::ffi::CString;
use std::mem::MaybeUninit;

/// Groups that a result can name ($1 to $9 are common; more cost nothing).
pub const MAX_GROUPS: usize = 20;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Extended syntax (REG_EXTENDED).
    pub extended: bool,
    pub ignore_case: bool,
    /// `^` and `$` match at line breaks, `.` does not match one (REG_NEWLINE).
    pub newline: bool,
    /// Only whether it matches, not where (REG_NOSUB).
    pub no_groups: bool,
}

/// A compiled expression.
pub struct Regex {
    compiled: Box<libc::regex_t>,
    groups: usize,
}

// SAFETY: regexec(3) is thread-safe on a compiled expression (POSIX: it takes a const regex_t; glibc locks inside),
// and the expression is freed only by its owner.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles; the error is the C library's own text.
    pub fn new(pattern: &[u8], flags: Flags) -> Result<Regex, String> {
        let groups = count_groups(pattern, flags.extended);
        let pattern = CString::new(pattern).map_err(|_| "pattern contains a null byte".to_owned())?;
        let mut bits = 0;
        for (on, bit) in [
            (flags.extended, libc::REG_EXTENDED),
            (flags.ignore_case, libc::REG_ICASE),
            (flags.newline, libc::REG_NEWLINE),
            (flags.no_groups, libc::REG_NOSUB),
        ] {
            if on {
                bits |= bit;
            }
        }
        let mut compiled: Box<MaybeUninit<libc::regex_t>> = Box::new(MaybeUninit::zeroed());
        // SAFETY: `compiled` points to room for a regex_t, `pattern` is a NUL-terminated string; both outlive the call.
        let status = unsafe { libc::regcomp(compiled.as_mut_ptr(), pattern.as_ptr(), bits) };
        if status != 0 {
            let mut text = [0u8; 256];
            // SAFETY: regerror writes at most text.len() bytes with a NUL; after a failed regcomp the regex_t may be
            // passed to it (POSIX).
            unsafe { libc::regerror(status, compiled.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            return Err(String::from_utf8_lossy(&text[..end]).into_owned());
        }
        // SAFETY: regcomp succeeded, so the whole regex_t is initialised.
        let compiled = unsafe { Box::from_raw(Box::into_raw(compiled).cast::<libc::regex_t>()) };
        Ok(Regex { compiled, groups })
    }

    /// How many groups the expression has.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Where the expression and its groups match, group 0 being the whole; None when it does not match. Text after a
    /// NUL is not looked at.
    pub fn matches(&self, text: &[u8]) -> Option<Vec<Option<(usize, usize)>>> {
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let subject = CString::new(&text[..end]).ok()?;
        let mut found = [libc::regmatch_t { rm_so: -1, rm_eo: -1 }; MAX_GROUPS];
        // SAFETY: the expression is compiled, the subject NUL-terminated, and `found` has the stated length.
        let status = unsafe { libc::regexec(&*self.compiled, subject.as_ptr(), found.len(), found.as_mut_ptr(), 0) };
        if status != 0 {
            return None;
        }
        let span = |one: &libc::regmatch_t| {
            let (start, stop) = (usize::try_from(one.rm_so).ok()?, usize::try_from(one.rm_eo).ok()?);
            (start <= stop && stop <= end).then_some((start, stop))
        };
        Some(found.iter().map(span).collect())
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled by regcomp, freed once.
        unsafe { libc::regfree(&mut *self.compiled) };
    }
}

/// Opening parentheses that are operators; the libc crate does not show re_nsub.
fn count_groups(pattern: &[u8], extended: bool) -> usize {
    let mut groups = 0;
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        match byte {
            b'\\' => {
                groups += usize::from(!extended && pattern.get(at + 1) == Some(&b'('));
                at += 1;
            }
            b'(' => groups += usize::from(extended),
            b'[' => at = end_of_brackets(pattern, at),
            _ => {}
        }
        at += 1;
    }
    groups
}

/// The position of the bracket that ends the expression at `start`: a "]" first in it is an ordinary character.
fn end_of_brackets(pattern: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    if pattern.get(at) == Some(&b'^') {
        at += 1;
    }
    if pattern.get(at) == Some(&b']') {
        at += 1;
    }
    while let Some(&byte) = pattern.get(at) {
        match (byte, pattern.get(at + 1)) {
            (b']', _) => return at,
            (b'[', Some(&kind @ (b':' | b'.' | b'='))) => {
                let rest = &pattern[at + 2..];
                let close = rest.windows(2).position(|two| two == [kind, b']']);
                at += close.map_or(1, |close| close + 3);
            }
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_wins() {
        let flags = Flags { extended: true, ignore_case: true, newline: false, no_groups: false };
        let regex = Regex::new(b"(a|ab)(c|bcd)", flags).unwrap();
        assert_eq!(regex.groups(), 2);
        assert_eq!(count_groups(br"\((a)[(](b[[:alpha:]()]c)", true), 2);
        assert_eq!(count_groups(br"\((a)", false), 1);
        let found = regex.matches(b"xABCD").unwrap();
        assert_eq!(found[0], Some((1, 5)));
        assert!(regex.matches(b"x").is_none());
        assert_eq!(Regex::new(b"(a", flags).err().unwrap(), "Unmatched ( or \\(");
    }
}
