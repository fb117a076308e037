//! How the static binary is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // It finds its place in memory by itself, and for that reads a list of all its pointers:
    // 0.8 MB, unless they are packed. musl does that itself since 1.2.4, which came with Rust
    // 1.93; glibc would have to be of 2022.
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "musl") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
