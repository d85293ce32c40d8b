//! A hostile file for a cdb: table.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("room");
    pillarbox_fuzz::table(place.path(), "cdb", "cdb", data);
});
