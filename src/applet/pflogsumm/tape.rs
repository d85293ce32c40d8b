//! Facts as bytes: what threads hand each other, and what `--partial` writes. Numbers are of variable length, seven bits
//! a byte, the lowest first; texts are a length and their bytes. Reading believes nothing: a tape comes from a file.

use super::fact::{Date, Fact, Sink};

/// Facts in the order of the log.
#[derive(Debug, Default)]
pub struct Tape {
    bytes: Encoder,
}

impl Sink for Tape {
    fn take(&mut self, fact: Fact<'_>) {
        fact.write(&mut self.bytes);
    }
}

impl Tape {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes.0
    }

    pub fn append(&mut self, other: &Tape) {
        self.bytes.0.extend_from_slice(other.bytes());
    }

    pub fn clear(&mut self) {
        self.bytes.0.clear();
    }
}

/// Hands each fact of a tape to a sink. False when a part of it is no fact; what stands before it was handed over.
pub fn play(bytes: &[u8], sink: &mut impl Sink) -> bool {
    let mut decoder = Decoder(bytes);
    while !decoder.0.is_empty() {
        let Some(fact) = Fact::read(&mut decoder) else { return false };
        sink.take(fact);
    }
    true
}

/// Writes the parts of a fact.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    pub fn tag(&mut self, tag: u8) -> &mut Encoder {
        self.byte(tag)
    }

    pub fn byte(&mut self, byte: u8) -> &mut Encoder {
        self.0.push(byte);
        self
    }

    pub fn number(&mut self, mut number: u64) -> &mut Encoder {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// The sign stands in the lowest bit.
    pub fn signed(&mut self, number: i64) -> &mut Encoder {
        self.number((number.wrapping_shl(1) ^ (number >> 63)) as u64)
    }

    /// Thousandths when these say all, which they do in a log; else the number's own bits.
    pub fn decimal(&mut self, number: f64) -> &mut Encoder {
        let thousandths = (number * 1000.0).round();
        // -0.0 is equal to 0.0 and is not the same.
        if (0.0..1e15).contains(&thousandths) && (thousandths / 1000.0).to_bits() == number.to_bits() {
            return self.number((thousandths as u64) << 1);
        }
        self.byte(1);
        self.0.extend_from_slice(&number.to_bits().to_le_bytes());
        self
    }

    pub fn text(&mut self, text: &[u8]) -> &mut Encoder {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
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
pub struct Decoder<'a>(pub &'a [u8]);

impl<'a> Decoder<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Two digits are all that a stamp can say.
    pub fn hour(&mut self) -> Option<u8> {
        self.byte().filter(|&hour| hour < 100)
    }

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

    pub fn decimal(&mut self) -> Option<f64> {
        let number = self.number()?;
        if number & 1 == 0 {
            return Some((number >> 1) as f64 / 1000.0);
        }
        let (bits, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
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
