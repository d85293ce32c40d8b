//! The verdicts of header and body checks in cleanup's lines.

use crate::applet::pflogsumm::fact::Verdict;
use crate::applet::pflogsumm::text;
use crate::log::line::{Postfix, digits};
use crate::sys::scan::positions;
use memchr::{memchr_iter, memmem};

/// The parts of a message that cleanup's verdicts are about.
const PARTS: [&[u8]; 3] = [b"header", b"body", b"END-OF-MESSAGE"];

/// The part in ": PART ", where a text begins with that.
pub(super) fn part_of(text: &[u8]) -> Option<&'static [u8]> {
    let [b':', b' ', after @ ..] = text else { return None };
    PARTS.into_iter().find(|part| after.starts_with(part) && after.get(part.len()) == Some(&b' '))
}

/// Whether ": PART " stands anywhere.
fn has_part(text: &[u8]) -> bool {
    positions(text, b':').any(|at| text.get(at..).and_then(part_of).is_some())
}

/// "/cleanup[N]: ... reject: header TEXT"
pub(super) fn verdict<'a>(line: &Postfix<'_>, rest: &'a [u8]) -> Option<(Verdict, &'static [u8], &'a [u8])> {
    // Nearly no line has a verdict, and a regular one has it behind its first word.
    if line.regular && !has_part(line.content.get(line.word.len()..).unwrap_or_default()) {
        return None;
    }
    const WORDS: [(&[u8], Verdict); 4] = [
        (b"reject", Verdict::Reject),
        (b"warning", Verdict::Warn),
        (b"hold", Verdict::Hold),
        (b"discard", Verdict::Discard),
    ];
    let begin = memmem::find_iter(rest, b"/cleanup[").find_map(|at| {
        let number = at + b"/cleanup[".len();
        let end = number + digits(rest.get(number..)?);
        (end > number && rest.get(end..)?.starts_with(b"]: ")).then_some(end + 3)
    })?;
    let tail = rest.get(begin..)?;
    memchr_iter(b':', tail).find_map(|at| {
        let after = tail.get(at..)?;
        let part = part_of(after)?;
        let (before, verdict) =
            WORDS.into_iter().find_map(|(word, verdict)| Some((tail.get(..at)?.strip_suffix(word)?, verdict)))?;
        let whole = !before.last().copied().is_some_and(text::is_word);
        whole.then(|| (verdict, part, after.get(2 + part.len() + 1..).unwrap_or_default()))
    })
}
