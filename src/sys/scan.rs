//! Looking for bytes, sixteen at a time where the processor does so (SSE2, a part of every x86-64), else eight. The
//! `memchr` crate is faster on long texts; the fields of a log line are as short as its preparations.

/// Where `byte` first stands.
#[inline(always)]
pub fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks::<16>();
    for (number, chunk) in chunks.iter().enumerate() {
        let found = equal16(chunk, byte);
        if found != 0 {
            return Some(number * 16 + found.trailing_zeros() as usize);
        }
    }
    let done = chunks.len() * 16;
    // The last sixteen bytes overlap those before, which do not have it.
    if let Some(last) = bytes.last_chunk::<16>() {
        let found = equal16(last, byte);
        return (found != 0).then(|| bytes.len() - 16 + found.trailing_zeros() as usize);
    }
    rest.iter().position(|&other| other == byte).map(|at| done + at)
}

/// Everywhere that `byte` stands, from left to right.
#[inline(always)]
pub fn positions(bytes: &[u8], byte: u8) -> Positions<'_> {
    Positions { bytes, byte, from: 0 }
}

/// See [`positions`].
pub struct Positions<'a> {
    bytes: &'a [u8],
    byte: u8,
    from: usize,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let at = self.from + position(self.bytes.get(self.from..)?, self.byte)?;
        self.from = at + 1;
        Some(at)
    }
}

/// Appends where each newline of a text stands, which must be shorter than 4 GiB.
pub fn line_ends(text: &[u8], ends: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return unsafe { line_ends_avx2(text, ends) };
    }
    ends.extend(positions(text, b'\n').map(|at| at as u32));
}

/// The same, 32 bytes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn line_ends_avx2(text: &[u8], ends: &mut Vec<u32>) {
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8};
    let newline = _mm256_set1_epi8(b'\n'.cast_signed());
    let (chunks, rest) = text.as_chunks::<32>();
    let mut from = 0;
    for chunk in chunks {
        // SAFETY: 32 bytes are read from an array of 32.
        let bytes = unsafe { _mm256_loadu_si256(chunk.as_ptr().cast::<__m256i>()) };
        let mut found = _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, newline)).cast_unsigned();
        while found != 0 {
            ends.push(from + found.trailing_zeros());
            found &= found - 1;
        }
        from += 32;
    }
    ends.extend(positions(rest, b'\n').map(|at| from + at as u32));
}

/// Whether anywhere in a text `first` stands and `third` two bytes behind it.
pub fn has_pair(text: &[u8], first: u8, third: u8) -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return unsafe { has_pair_avx2(text, first, third) };
    }
    text.windows(3).any(|bytes| bytes[0] == first && bytes[2] == third)
}

/// The same, 32 bytes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn has_pair_avx2(text: &[u8], first: u8, third: u8) -> bool {
    use std::arch::x86_64::*;
    let (ones, threes) = (_mm256_set1_epi8(first.cast_signed()), _mm256_set1_epi8(third.cast_signed()));
    let (chunks, behind) = (text.as_chunks::<32>().0, text.get(2..).unwrap_or_default().as_chunks::<32>().0);
    let mut found = _mm256_setzero_si256();
    for (here, there) in chunks.iter().zip(behind) {
        // SAFETY: 32 bytes are read from arrays of 32.
        let (here, there) =
            unsafe { (_mm256_loadu_si256(here.as_ptr().cast()), _mm256_loadu_si256(there.as_ptr().cast::<__m256i>())) };
        let both = _mm256_and_si256(_mm256_cmpeq_epi8(here, ones), _mm256_cmpeq_epi8(there, threes));
        found = _mm256_or_si256(found, both);
    }
    let rest = text.get(chunks.len().min(behind.len()) * 32..).unwrap_or_default();
    _mm256_movemask_epi8(found) != 0 || rest.windows(3).any(|bytes| bytes[0] == first && bytes[2] == third)
}

/// A bit for each of sixteen bytes that is `byte`, the first one lowest.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn equal16(bytes: &[u8; 16], byte: u8) -> u16 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: sixteen bytes are read from an array of sixteen; the instructions are part of every x86-64.
    unsafe {
        let bytes = _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))) as u16
    }
}

/// The same where there is no such instruction.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn equal16(bytes: &[u8; 16], byte: u8) -> u16 {
    bytes.iter().rev().fold(0, |bits, &other| bits << 1 | u16::from(other == byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_found_at_any_place_and_length() {
        for length in 0..70 {
            let mut text = vec![b'x'; length];
            assert_eq!(position(&text, b'y'), None);
            for at in (0..length).rev() {
                text[at] = b'y';
                assert_eq!(position(&text, b'y'), Some(at));
            }
        }
        assert!(positions(b"a,bc,,d", b',').eq([1, 4, 5]));
    }

    #[test]
    fn a_pair_is_found_anywhere() {
        for length in [0, 2, 3, 33, 34, 35, 66, 100] {
            assert!(!has_pair(&vec![b'['; length], b'[', b'D'));
            for at in 0..length.saturating_sub(2) {
                let mut text = vec![b'x'; length];
                (text[at], text[at + 2]) = (b'[', b'D');
                assert!(has_pair(&text, b'[', b'D'), "{length} {at}");
                text[at + 1..].rotate_right(1);
                assert!(!has_pair(&text, b'[', b'D'), "{length} {at}");
            }
        }
    }

    #[test]
    fn lines_end_where_they_end() {
        for length in [0, 1, 31, 32, 33, 64, 100] {
            for step in [1, 3, 32, 33] {
                let mut text = vec![b'x'; length];
                text.iter_mut().step_by(step).for_each(|byte| *byte = b'\n');
                let mut ends = Vec::new();
                line_ends(&text, &mut ends);
                assert!(ends.iter().map(|&end| end as usize).eq((0..length).step_by(step)), "{length} {step}");
            }
        }
    }
}
