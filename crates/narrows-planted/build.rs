//! Tells the crate that carries the planted programs (`narrows`) where their sources are.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The copies of the object are told apart by their names; a shared build id would join them.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-cdylib=-Wl,--build-id=none");
    }
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        println!("cargo::metadata=manifest={}/Cargo.toml", folder.display());
    }
}
