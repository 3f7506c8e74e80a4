//! Tells the crate that carries the probe (`narrows`) where its sources are.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A loader that opened the library as a layer closes it again, while pointers to its hooks are
    // still around.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        println!("cargo::metadata=manifest={}/Cargo.toml", folder.display());
    }
}
