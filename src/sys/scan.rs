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

/// Appends where each newline of a text stands, which must be shorter than 4 GiB, and says whether anywhere `first`
/// stands and `third` two bytes behind it. One pass for both: they are the only ones over all bytes of a log.
pub fn survey(text: &[u8], [first, third]: [u8; 2], ends: &mut Vec<u32>) -> bool {
    #[cfg(target_arch = "x86_64")]
    let (done, mut found) = if std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has the instructions.
        unsafe { survey_avx2(text, [first, third], ends) }
    } else {
        (0, false)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (done, mut found) = (0, false);
    let rest = text.get(done..).unwrap_or_default();
    ends.extend(positions(rest, b'\n').map(|at| (done + at) as u32));
    found |= rest.windows(3).any(|bytes| bytes[0] == first && bytes[2] == third);
    found
}

/// The same, 64 bytes at a time, and how many bytes that were: all but the last block, and the two bytes that a pair needs
/// behind it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn survey_avx2(text: &[u8], [first, third]: [u8; 2], ends: &mut Vec<u32>) -> (usize, bool) {
    use std::arch::x86_64::*;
    const BLOCK: usize = 64;
    // What a block holds nearly always at most: that many are written without asking, since the processor cannot guess
    // in which block a line ends.
    const FEW: usize = 2;
    let load = |bytes: &[u8; 32]| {
        // SAFETY: 32 bytes are read from an array of 32.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>()) }
    };
    let equal = |bytes: &[u8; 32], other: __m256i| _mm256_cmpeq_epi8(load(bytes), other);
    let [newline, first, third] = [b'\n', first, third].map(|byte| _mm256_set1_epi8(byte.cast_signed()));
    let bits = |bytes: __m256i| u64::from(_mm256_movemask_epi8(bytes).cast_unsigned());
    let (mut pairs, mut done) = (_mm256_setzero_si256(), 0);
    while let Some(block) = text.get(done..).and_then(|rest| rest.first_chunk::<{ BLOCK + 2 }>()) {
        let [low, high, ..] = block.as_chunks::<32>().0 else { break };
        let [behind_low, behind_high, ..] = block[2..].as_chunks::<32>().0 else { break };
        pairs = _mm256_or_si256(pairs, _mm256_and_si256(equal(low, first), equal(behind_low, third)));
        pairs = _mm256_or_si256(pairs, _mm256_and_si256(equal(high, first), equal(behind_high, third)));
        let mut found = bits(equal(low, newline)) | bits(equal(high, newline)) << 32;
        let count = found.count_ones() as usize;
        ends.reserve(BLOCK);
        let length = ends.len();
        for (slot, _) in ends.spare_capacity_mut().iter_mut().zip(0..count.max(FEW)) {
            slot.write((done as u32).wrapping_add(found.trailing_zeros()));
            found &= found.wrapping_sub(1);
        }
        // SAFETY: room for BLOCK was made, and the loop has written that many, of which there are at most BLOCK.
        unsafe { ends.set_len(length.wrapping_add(count)) };
        done = done.wrapping_add(BLOCK);
    }
    (done, _mm256_movemask_epi8(pairs) != 0)
}

/// Whether two texts are the same `from` a place on: at once where up to sixteen bytes are left, and as many stand in each
/// text in all.
#[inline(always)]
pub fn same_end(one: &[u8], other: &[u8], from: usize) -> bool {
    let length = one.len().wrapping_sub(from);
    if let (Some(a), Some(b)) = (one.last_chunk::<16>(), other.last_chunk::<16>())
        && one.len() == other.len()
        && (1..=16).contains(&length)
    {
        let differ = u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b);
        return differ >> (8 * (16 - length)) == 0;
    }
    one.get(from..) == other.get(from..)
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
        let has_pair = |text: &[u8]| survey(text, *b"[D", &mut Vec::new());
        for length in [0, 2, 3, 33, 34, 35, 65, 66, 67, 100, 129, 130, 131, 140] {
            assert!(!has_pair(&vec![b'['; length]));
            for at in 0..length.saturating_sub(2) {
                let mut text = vec![b'x'; length];
                (text[at], text[at + 2]) = (b'[', b'D');
                assert!(has_pair(&text), "{length} {at}");
                text[at + 1..].rotate_right(1);
                assert!(!has_pair(&text), "{length} {at}");
            }
        }
    }

    #[test]
    fn ends_of_texts_are_compared_from_a_place_on() {
        let one = b"Nov 24 12:34:56 mx.some.example ";
        for length in 0..=one.len() {
            let one = &one[..length];
            for from in 0..=length {
                assert!(same_end(one, one, from));
                for at in 0..length {
                    let mut other = one.to_vec();
                    other[at] ^= 0x40;
                    assert_eq!(same_end(one, &other, from), at < from, "{length} {from} {at}");
                }
            }
        }
        assert!(!same_end(one, &one[1..], 15));
    }

    #[test]
    fn lines_end_where_they_end() {
        for length in [0, 1, 31, 32, 33, 64, 66, 67, 100, 200] {
            for step in [1, 3, 20, 21, 22, 32, 33, 64, 150] {
                let mut text = vec![b'x'; length];
                text.iter_mut().step_by(step).for_each(|byte| *byte = b'\n');
                let mut ends = Vec::new();
                survey(&text, *b"[D", &mut ends);
                assert!(ends.iter().map(|&end| end as usize).eq((0..length).step_by(step)), "{length} {step}");
            }
        }
    }
}
