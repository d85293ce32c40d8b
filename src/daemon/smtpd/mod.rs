//! x
pub fn run(_: super::skeleton::Context) -> Result<(), String> { Ok(()) }
pub fn on_standard_streams(_: &crate::conf::MainCf, _: u32) -> Result<(), String> { Err("x".into()) }
