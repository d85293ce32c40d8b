//! x
pub fn run(_: super::skeleton::Context) -> Result<(), String> {
    Ok(())
}
