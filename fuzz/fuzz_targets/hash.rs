//! A hostile file for a hash: table.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("room");
    pillarbox_fuzz::table(place.path(), "hash", "db", data);
});
