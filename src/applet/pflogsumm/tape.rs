//! Facts as bytes: what threads hand each other, and what `--partial` writes. Numbers are of variable length, seven bits
//! a byte, the lowest first; texts are a length and their bytes. Reading believes nothing: a tape comes from a file.

use super::fact::{Date, Fact, Sink};
use super::map::{Digest, Key};

/// Facts in the order of the log, with the digests of their keys: those are of this process only.
#[derive(Debug)]
pub struct Tape {
    encoder: Encoder,
}

impl Default for Tape {
    fn default() -> Tape {
        Tape { encoder: Encoder { bytes: Vec::new(), keyed: true } }
    }
}

impl Sink for Tape {
    #[inline]
    fn take(&mut self, fact: Fact<'_>) {
        fact.write(&mut self.encoder);
    }
}

impl Tape {
    /// A tape for other processes.
    pub fn portable() -> Tape {
        Tape { encoder: Encoder::default() }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.encoder.bytes
    }

    pub fn clear(&mut self) {
        self.encoder.bytes.clear();
    }

    /// Hands each fact to a sink.
    pub fn play(&self, sink: &mut impl Sink) {
        run(Decoder { bytes: self.bytes(), keyed: self.encoder.keyed }, sink);
    }
}

/// Facts that are looked at ahead.
const AHEAD: usize = 32;

/// Hands each fact of a portable tape to a sink. False when a part of it is no fact; what stands before it was handed
/// over.
pub fn play(bytes: &[u8], sink: &mut impl Sink) -> bool {
    run(Decoder { bytes, keyed: false }, sink)
}

fn run(mut decoder: Decoder<'_>, sink: &mut impl Sink) -> bool {
    let mut facts = Vec::with_capacity(AHEAD);
    loop {
        facts.clear();
        let mut whole = true;
        while whole && facts.len() < AHEAD && !decoder.bytes.is_empty() {
            match Fact::read(&mut decoder) {
                Some(fact) => facts.push(fact),
                None => whole = false,
            }
        }
        facts.iter().for_each(|fact| sink.want(fact));
        facts.iter().for_each(|fact| sink.want_more(fact));
        facts.iter().for_each(|fact| sink.take(*fact));
        if !whole || decoder.bytes.is_empty() {
            return whole;
        }
    }
}

/// Writes the parts of a fact.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    /// Whether it is read in this process, for which digests and numbers need not be made again.
    keyed: bool,
}

impl Encoder {
    #[inline]
    pub fn tag(&mut self, tag: u8) -> &mut Encoder {
        // One look at the buffer's end for nearly all that follows.
        self.bytes.reserve(256);
        self.byte(tag)
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) -> &mut Encoder {
        self.bytes.push(byte);
        self
    }

    #[inline]
    pub fn number(&mut self, mut number: u64) -> &mut Encoder {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
        self
    }

    /// The sign stands in the lowest bit.
    pub fn signed(&mut self, number: i64) -> &mut Encoder {
        self.number((number.wrapping_shl(1) ^ (number >> 63)) as u64)
    }

    /// Thousandths when these say all, which they do in a log; else the number's own bits.
    #[inline]
    pub fn decimal(&mut self, number: f64) -> &mut Encoder {
        if self.keyed {
            self.bytes.extend_from_slice(&number.to_bits().to_le_bytes());
            return self;
        }
        let thousandths = (number * 1000.0).round();
        // -0.0 is equal to 0.0 and is not the same.
        if (0.0..1e15).contains(&thousandths) && (thousandths / 1000.0).to_bits() == number.to_bits() {
            return self.number((thousandths as u64) << 1);
        }
        self.byte(1);
        self.bytes.extend_from_slice(&number.to_bits().to_le_bytes());
        self
    }

    #[inline]
    pub fn key(&mut self, key: Key<'_>) -> &mut Encoder {
        if self.keyed {
            self.bytes.extend_from_slice(&key.digest.0.to_le_bytes());
        }
        self.text(key.text)
    }

    #[inline]
    pub fn text(&mut self, text: &[u8]) -> &mut Encoder {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text);
        self
    }

    pub fn maybe(&mut self, text: Option<&[u8]>) -> &mut Encoder {
        match text {
            None => self.byte(0),
            Some(text) => self.byte(1).text(text),
        }
    }

    pub fn maybe_number(&mut self, number: Option<u64>) -> &mut Encoder {
        match number {
            None => self.byte(0),
            Some(number) => self.byte(1).number(number),
        }
    }

    pub fn date(&mut self, (year, month, day): Date) -> &mut Encoder {
        self.signed(year).signed(month).signed(day)
    }
}

/// Reads the parts of a fact.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    keyed: bool,
}

impl<'a> Decoder<'a> {
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    /// Two digits are all that a stamp can say.
    pub fn hour(&mut self) -> Option<u8> {
        self.byte().filter(|&hour| hour < 100)
    }

    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return None;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    #[inline]
    pub fn decimal(&mut self) -> Option<f64> {
        if self.keyed {
            return Some(f64::from_bits(self.word()?));
        }
        let number = self.number()?;
        if number & 1 == 0 {
            return Some((number >> 1) as f64 / 1000.0);
        }
        Some(f64::from_bits(self.word()?))
    }

    #[inline]
    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*word))
    }

    #[inline]
    pub fn key(&mut self) -> Option<Key<'a>> {
        if !self.keyed {
            return Some(Key::of(self.text()?));
        }
        let digest = Digest(self.word()?);
        Some(Key { text: self.text()?, digest })
    }

    #[inline]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(text)
    }

    pub fn maybe(&mut self) -> Option<Option<&'a [u8]>> {
        Some(match self.byte()? {
            0 => None,
            _ => Some(self.text()?),
        })
    }

    pub fn maybe_number(&mut self) -> Option<Option<u64>> {
        Some(match self.byte()? {
            0 => None,
            _ => Some(self.number()?),
        })
    }

    pub fn date(&mut self) -> Option<Date> {
        let (year, month, day) = (self.signed()?, self.signed()?, self.signed()?);
        // What stamps can say; reports reckon with these numbers.
        let sane = (-1..=9999).contains(&year) && (-1..=99).contains(&month) && (0..=99).contains(&day);
        sane.then_some((year, month, day))
    }
}
