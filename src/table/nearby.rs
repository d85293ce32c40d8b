//! [`Nearby`]: the blocks of a file that were read last. Whoever has many questions asks them in the order of the file,
//! and one read answers several. Bounded, and switched on only meanwhile: a single question reads what it needs.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 64 << 10;
const BLOCKS: usize = 8;

struct Block {
    number: u64,
    bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Nearby {
    on: Cell<bool>,
    /// The last used first.
    blocks: RefCell<Vec<Block>>,
}

impl Nearby {
    /// Runs `work` with the blocks kept between reads, and none kept from before.
    pub fn kept<T>(&self, work: impl FnOnce() -> T) -> T {
        self.on.set(true);
        let done = work();
        self.on.set(false);
        self.blocks.borrow_mut().clear();
        done
    }

    pub fn is_on(&self) -> bool {
        self.on.get()
    }

    pub fn read_exact_at(&self, file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if !self.on.get() {
            return file.read_exact_at(buffer, at);
        }
        let mut done = 0;
        while done < buffer.len() {
            let place = at + done as u64;
            let mut blocks = self.blocks.borrow_mut();
            fetch(&mut blocks, file, place / BLOCK)?;
            let Some(block) = blocks.first() else { return Err(ErrorKind::UnexpectedEof.into()) };
            let here = block.bytes.get((place % BLOCK) as usize..).unwrap_or_default();
            let rest = buffer.get_mut(done..).unwrap_or_default();
            let count = here.len().min(rest.len());
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            rest[..count].copy_from_slice(&here[..count]);
            done += count;
        }
        Ok(())
    }
}

/// Makes block `number` the first.
fn fetch(blocks: &mut Vec<Block>, file: &File, number: u64) -> io::Result<()> {
    if let Some(at) = blocks.iter().position(|block| block.number == number) {
        blocks[..=at].rotate_right(1);
        return Ok(());
    }
    let mut bytes =
        if blocks.len() < BLOCKS { Vec::new() } else { blocks.pop().map_or_else(Vec::new, |old| old.bytes) };
    bytes.resize(BLOCK as usize, 0);
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], number * BLOCK + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    blocks.insert(0, Block { number, bytes });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_same_bytes_as_without() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..1_500_000u32).map(|at| (at * 7 + at / 251) as u8).collect();
        file.write_all(&content).unwrap();
        let nearby = Nearby::default();
        nearby.kept(|| {
            for step in 0..3000usize {
                let (at, length) = (step * 7919 % 1_500_000, step % 70_000 + 1);
                let mut buffer = vec![0; length];
                match nearby.read_exact_at(&file, &mut buffer, at as u64) {
                    Ok(()) => assert_eq!(buffer, content[at..at + length]),
                    Err(error) => assert!(at + length > content.len(), "{error}"),
                }
            }
        });
    }
}
