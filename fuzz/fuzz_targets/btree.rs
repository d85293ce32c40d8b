//! A hostile file for a btree: table.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("room");
    pillarbox_fuzz::table(place.path(), "btree", "db", data);
});
