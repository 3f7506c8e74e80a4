//! Builds the library that `narrows` injects and leaves it where `probe_image` includes it.
//!
//! The library is a package of its own (`narrows-probe`) and always built with optimisation, by a
//! cargo inside this cargo with a target folder of its own. It is found through what that
//! package's build script says, so this works from the workspace, from a registry's sources and
//! from a vendored folder alike. `NARROWS_PROBE_LIBRARY` names a ready library instead.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const LIBRARY: &str = "libnarrows_probe.so";
const PREBUILT: &str = "NARROWS_PROBE_LIBRARY";

/// Files that cargo leaves in package sources that are not the user's own.
const MARKS_OF_FOREIGN_SOURCES: [&str; 2] = [".cargo-ok", ".cargo-checksum.json"];

/// What the outer cargo says about its own build and must not rule the inner one: wrappers of
/// clippy and coverage, flags that would instrument the injected library.
const OUTER_ONLY: [&str; 9] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
];

type Outcome<T> = Result<T, String>;

fn main() {
    if let Err(why) = run() {
        println!("cargo::error=the injected library could not be built: {why}");
    }
}

fn run() -> Outcome<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let image = out.join(LIBRARY);
    if let Some(ready) = env::var_os(PREBUILT) {
        println!("cargo::rerun-if-changed={}", Path::new(&ready).display());
        return copy(Path::new(&ready), &image);
    }
    // Documentation needs no library, and other systems have none of this kind: an empty one.
    let linux = variable("CARGO_CFG_TARGET_OS")? == "linux";
    if env::var_os("DOCS_RS").is_some() || !linux {
        return fs::write(&image, b"").map_err(|error| format!("{}: {error}", image.display()));
    }
    let manifest = PathBuf::from(variable("DEP_NARROWS_PROBE_MANIFEST")?);
    let manifest = writable(&manifest, &out)?;
    let built = build(&manifest, &out.join("probe"))?;
    copy(&built.join(LIBRARY), &image)?;
    watch(&built.join("libnarrows_probe.d"));
    Ok(())
}

fn variable(name: &str) -> Outcome<OsString> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set"))
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("{} -> {}: {error}", from.display(), to.display()))
}

/// Cargo writes a lock file beside a manifest. Sources that belong to cargo are not to be
/// written to, so the build uses a copy of them.
fn writable(manifest: &Path, out: &Path) -> Outcome<PathBuf> {
    let folder = manifest.parent().ok_or("the manifest has no folder")?;
    let foreign = MARKS_OF_FOREIGN_SOURCES
        .iter()
        .any(|mark| folder.join(mark).exists());
    if !foreign {
        return Ok(manifest.to_path_buf());
    }
    let copy = out.join("probe-sources");
    copy_folder(folder, &copy).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(copy.join("Cargo.toml"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Runs the inner cargo, first without network; the folder of its results.
fn build(manifest: &Path, target_folder: &Path) -> Outcome<PathBuf> {
    let offline = cargo(manifest, target_folder, &["--offline"])?;
    if let Err(first) = offline {
        cargo(manifest, target_folder, &[])?
            .map_err(|second| format!("{second}\nbefore that, without network: {first}"))?;
    }
    let target = variable("TARGET")?;
    Ok(target_folder.join(target).join("release"))
}

fn cargo(manifest: &Path, target_folder: &Path, more: &[&str]) -> Outcome<Result<(), String>> {
    let mut command = Command::new(variable("CARGO")?);
    for name in OUTER_ONLY {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--release", "--lib", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target_folder)
        .arg("--target")
        .arg(variable("TARGET")?)
        .args(more)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "thin")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_PROFILE_RELEASE_PANIC", "unwind")
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let words = String::from_utf8_lossy(&output.stderr).replace('\n', "\n  ");
    Ok(Err(format!("cargo ended with {}:\n  {words}", output.status)))
}

/// Every source file that went into the library, as cargo lists them: `target: file file ...`.
fn watch(list: &Path) {
    let Ok(text) = fs::read_to_string(list) else {
        return;
    };
    let Some((_, files)) = text.split_once(": ") else {
        return;
    };
    // Spaces inside a name are escaped.
    let files = files.trim_end().replace("\\ ", "\0");
    for file in files.split(' ').filter(|file| !file.is_empty()) {
        println!("cargo::rerun-if-changed={}", file.replace('\0', " "));
    }
    // New modules show in the folders; manifests are not listed.
    if let Ok(manifest) = variable("DEP_NARROWS_PROBE_MANIFEST") {
        println!("cargo::rerun-if-changed={}", Path::new(&manifest).display());
    }
}
