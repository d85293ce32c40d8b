//! A hostile file for a lmdb: table.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("room");
    pillarbox_fuzz::table(place.path(), "lmdb", "lmdb", data);
});
