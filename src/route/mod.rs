//! Address rewriting and resolving, as a library. What the reference asks trivial-rewrite(8) over a socket is a call
//! here; the `rewrite` line of a real master.cf is accepted and starts nothing.

/// To which transport and next hop an address goes.
pub mod resolve;
/// Incomplete addresses made complete.
pub mod rewrite;

pub use resolve::{Class, Resolution, Router};
pub use rewrite::Rewriter;
