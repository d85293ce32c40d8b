//! What the accurate numbers are written as.

/// Histograms on a terminal.
pub mod chart;
/// The lines that are counted differently.
pub mod differences;
/// Each event.
pub mod events;
/// What looks unusual.
pub mod hints;
/// A page.
pub mod html;
/// A watched log.
pub mod live;
/// The numbers themselves.
pub mod numbers;
/// The event table in files.
#[cfg(feature = "parquet")]
pub mod parquet;
/// For a textfile collector.
pub mod prometheus;
/// One message's life.
pub mod trace;
