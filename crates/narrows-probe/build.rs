//! Tells the crate that carries the probe (`narrows`) where its sources are.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A loader that opened the library as a layer closes it again, while pointers to its hooks are
    // still around.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    // Interposing a function takes a reference to it. Programs without Metal or C++ must still
    // start, on systems that lack either.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") {
        for word in [
            "-weak_framework",
            "Metal",
            "-weak-lc++",
            "-install_name",
            "@rpath/libnarrows_probe.dylib",
        ] {
            println!("cargo::rustc-cdylib-link-arg={word}");
        }
        // The C library's crate names libiconv, which nothing here uses.
        let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        let strip = if flags.contains("linker-flavor=ld64") {
            "-dead_strip_dylibs"
        } else {
            "-Wl,-dead_strip_dylibs"
        };
        println!("cargo::rustc-cdylib-link-arg={strip}");
    }
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        println!("cargo::metadata=manifest={}/Cargo.toml", folder.display());
    }
}
