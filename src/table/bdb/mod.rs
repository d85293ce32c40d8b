//! Berkeley DB 5.3 files as Debian's postmap writes them, read and written without Berkeley DB.
//!
//! A file is pages of one size. Page 0 is the meta page: magic, version, page size, and for hash the bucket masks and
//! the page where each doubling of the buckets begins, for btree the root. Every other page has a 26-byte header
//! (log position, own number, previous and next page, number of items, lowest item, level, type), then 16-bit offsets
//! of its items, which are filled from the end of the page. Items over a size stand on chains of overflow pages.
//!
//! Numbers are little-endian; a file from a machine of the other order is refused. Every offset, length, page number
//! and chain is checked, and a reader holds one page and one item at a time, so a hostile file gives a [`Fault`].

/// Lookup and listing in a btree file.
mod btree;
/// Writing whole files.
pub mod build;
/// Meta page, pages, items, overflow chains.
pub mod file;
/// Lookup and listing in a hash file.
mod hash;

pub use file::{Db, Fault, Kind};
