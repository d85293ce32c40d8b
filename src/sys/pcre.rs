//! Perl-compatible expressions by the PCRE2 library, through its raw binding: the pcre2 crate over it hides three of the
//! flags that pcre_table(5) has (A, E, U).

use pcre2_sys as pcre2;
use std::ptr;

/// Where an expression and its groups match; a group that took no part has no place.
pub type Spans = Vec<Option<(usize, usize)>>;

/// Compile flags, to be put together by `|`.
pub struct Flag;

impl Flag {
    pub const CASELESS: u32 = pcre2::PCRE2_CASELESS;
    pub const MULTILINE: u32 = pcre2::PCRE2_MULTILINE;
    pub const DOTALL: u32 = pcre2::PCRE2_DOTALL;
    pub const EXTENDED: u32 = pcre2::PCRE2_EXTENDED;
    pub const ANCHORED: u32 = pcre2::PCRE2_ANCHORED;
    pub const DOLLAR_ENDONLY: u32 = pcre2::PCRE2_DOLLAR_ENDONLY;
    pub const UNGREEDY: u32 = pcre2::PCRE2_UNGREEDY;
}

/// Why an expression does not compile.
#[derive(Debug, PartialEq, Eq)]
pub struct PcreError {
    /// Bytes from the expression's start.
    pub offset: usize,
    /// The library's words.
    pub text: String,
}

/// A compiled expression.
pub struct Pcre {
    code: *mut pcre2::pcre2_code_8,
    groups: usize,
}

// SAFETY: a compiled expression is read only by pcre2_match (pcre2api(3), "multithreading"), each match has a match data
// block of its own, and the expression is freed only by its owner.
unsafe impl Send for Pcre {}
// SAFETY: as above.
unsafe impl Sync for Pcre {}

impl Pcre {
    pub fn new(pattern: &[u8], flags: u32) -> Result<Pcre, PcreError> {
        let (mut code, mut offset) = (0, 0);
        // SAFETY: pattern and its length belong together; the out-parameters live through the call; a null compile
        // context asks for defaults.
        let compiled = unsafe {
            pcre2::pcre2_compile_8(pattern.as_ptr(), pattern.len(), flags, &mut code, &mut offset, ptr::null_mut())
        };
        if compiled.is_null() {
            return Err(PcreError { offset, text: message(code) });
        }
        let mut groups = 0u32;
        // SAFETY: the expression is compiled, and PCRE2_INFO_CAPTURECOUNT writes one u32.
        unsafe { pcre2::pcre2_pattern_info_8(compiled, pcre2::PCRE2_INFO_CAPTURECOUNT, (&raw mut groups).cast()) };
        Ok(Pcre { code: compiled, groups: groups as usize })
    }

    /// How many groups the expression has.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Where the expression and its groups match, group 0 being the whole. The error is the library's number; among
    /// them its own limit on backtracking.
    pub fn matches(&self, text: &[u8]) -> Result<Option<Spans>, i32> {
        let found = Matched::of(self).ok_or(pcre2::PCRE2_ERROR_NOMEMORY)?;
        // SAFETY: expression and match data belong together; text and its length too; a null match context asks for
        // the default limits.
        let status =
            unsafe { pcre2::pcre2_match_8(self.code, text.as_ptr(), text.len(), 0, 0, found.0, ptr::null_mut()) };
        if status == pcre2::PCRE2_ERROR_NOMATCH {
            return Ok(None);
        }
        let Ok(count) = usize::try_from(status) else { return Err(status) };
        // SAFETY: the vector has one pair for each group and the whole, as the match data was made from the expression,
        // and lives as long as it; pairs beyond `count` are not set.
        let pairs = unsafe {
            std::slice::from_raw_parts(pcre2::pcre2_get_ovector_pointer_8(found.0), 2 * count.min(self.groups + 1))
        };
        let span = |pair: &[usize]| match *pair {
            [start, end] if start <= end && end <= text.len() => Some((start, end)),
            _ => None,
        };
        Ok(Some(pairs.chunks_exact(2).map(span).collect()))
    }
}

impl Drop for Pcre {
    fn drop(&mut self) {
        // SAFETY: compiled by pcre2_compile_8, freed once.
        unsafe { pcre2::pcre2_code_free_8(self.code) };
    }
}

/// Room for the result of one match.
struct Matched(*mut pcre2::pcre2_match_data_8);

impl Matched {
    fn of(pcre: &Pcre) -> Option<Matched> {
        // SAFETY: the expression is compiled; a null context asks for the default allocator.
        let data = unsafe { pcre2::pcre2_match_data_create_from_pattern_8(pcre.code, ptr::null_mut()) };
        (!data.is_null()).then_some(Matched(data))
    }
}

impl Drop for Matched {
    fn drop(&mut self) {
        // SAFETY: made by pcre2_match_data_create_from_pattern_8, freed once.
        unsafe { pcre2::pcre2_match_data_free_8(self.0) };
    }
}

fn message(code: i32) -> String {
    let mut text = [0u8; 256];
    // SAFETY: the buffer and its length belong together; the library ends what it writes with a NUL.
    let length = unsafe { pcre2::pcre2_get_error_message_8(code, text.as_mut_ptr(), text.len()) };
    let length = usize::try_from(length).unwrap_or(0).min(text.len());
    String::from_utf8_lossy(&text[..length]).into_owned()
}
