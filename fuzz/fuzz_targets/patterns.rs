//! Hostile text tables.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let place = tempfile::tempdir().expect("room");
    for kind in ["regexp", "cidr", "texthash"] {
        pillarbox_fuzz::table(place.path(), kind, "", data);
    }
});
