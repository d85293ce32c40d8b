//! How the programs are linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The places that a position-independent program mends when it starts, as a bitmap: a list of them is a megabyte that
    // each start would read. Debian 12's C library knows both.
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|libc| libc == "gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
