//! Tells the crate that carries the probe (`narrows`) where its sources are.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        println!("cargo::metadata=manifest={}/Cargo.toml", folder.display());
    }
}
