//! Builds what `narrows` carries inside itself: the library that it injects, for `probe_image`,
//! and the planted programs of its self-test, for `planted_image`.
//!
//! Both are packages of their own (`narrows-probe`, `narrows-planted`) and always built with
//! optimisation, by a cargo inside this cargo with a target folder of its own. They are found
//! through what those packages' build scripts say, so this works from the workspace, from a
//! registry's sources and from a vendored folder alike. `NARROWS_PROBE_LIBRARY` names a ready
//! library instead, `NARROWS_PLANTED` a folder with the ready planted programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A package that is built here.
struct Carried {
    /// What an error calls it.
    what: &'static str,
    /// Variable that says where its manifest is.
    manifest: &'static str,
    /// Folder for the inner cargo, inside ours.
    target: &'static str,
    /// What of the package is built.
    targets: &'static [&'static str],
    /// The results that are kept.
    files: &'static [&'static str],
    /// Variable that names ready results: the one file, or the folder of several.
    ready: &'static str,
}

const CARRIED: [Carried; 2] = [
    Carried {
        what: "the injected library",
        manifest: "DEP_NARROWS_PROBE_MANIFEST",
        target: "probe",
        targets: &["--lib"],
        files: &["libnarrows_probe.so"],
        ready: "NARROWS_PROBE_LIBRARY",
    },
    Carried {
        what: "the self-test's programs",
        manifest: "DEP_NARROWS_PLANTED_MANIFEST",
        target: "planted",
        targets: &["--lib", "--bins"],
        files: &["libnarrows_planted.so", "planted-host"],
        ready: "NARROWS_PLANTED",
    },
];

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
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    for carried in &CARRIED {
        if let Err(why) = provide(carried) {
            // One message is one line.
            for line in format!("{} could not be built: {why}", carried.what).lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

fn provide(carried: &Carried) -> Outcome<()> {
    println!("cargo::rerun-if-env-changed={}", carried.ready);
    let out = PathBuf::from(variable("OUT_DIR")?);
    if let Some(ready) = env::var_os(carried.ready) {
        let ready = PathBuf::from(ready);
        println!("cargo::rerun-if-changed={}", ready.display());
        return carried.files.iter().try_for_each(|name| {
            let from = if ready.is_dir() {
                ready.join(name)
            } else {
                ready.clone()
            };
            copy(&from, &out.join(name))
        });
    }
    // Documentation needs none of it, macOS has no planted programs, and other systems have neither:
    // empty files.
    let system = variable("CARGO_CFG_TARGET_OS")?;
    let made = system == "linux" || system == "macos" && carried.target == "probe";
    if env::var_os("DOCS_RS").is_some() || !made {
        return carried.files.iter().try_for_each(|name| {
            fs::write(out.join(name), b"").map_err(|error| format!("{name}: {error}"))
        });
    }
    let package = PathBuf::from(variable(carried.manifest)?);
    let manifest = writable(&package, &out.join(format!("{}-sources", carried.target)))?;
    let siblings = siblings(&package);
    let built = build(carried, &manifest, &out.join(carried.target), &siblings)?;
    for name in carried.files {
        let mut from = built.join(name);
        if system == "macos" {
            from.set_extension("dylib");
        }
        copy(&from, &out.join(name))?;
        watch(&from.with_extension("d"));
    }
    // Manifests are not in cargo's lists of sources.
    println!("cargo::rerun-if-changed={}", manifest.display());
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
fn writable(manifest: &Path, copy: &Path) -> Outcome<PathBuf> {
    let folder = manifest.parent().ok_or("the manifest has no folder")?;
    let foreign = MARKS_OF_FOREIGN_SOURCES
        .iter()
        .any(|mark| folder.join(mark).exists());
    if !foreign {
        return Ok(manifest.to_path_buf());
    }
    copy_folder(folder, copy).map_err(|error| format!("{}: {error}", folder.display()))?;
    let copied = copy.join("Cargo.toml");
    // The copy may lie below a workspace that is not its own.
    let text = fs::read_to_string(&copied).map_err(|error| format!("the manifest: {error}"))?;
    if !text.lines().any(|line| line.trim() == "[workspace]") {
        fs::write(&copied, text + "\n[workspace]\n")
            .map_err(|error| format!("{}: {error}", copied.display()))?;
    }
    Ok(copied)
}

/// Our other crates that came the same way as the package, from cargo's own sources: the inner
/// cargo takes them from there. It knows no registry that only the outer one was told of (the one
/// of a release that is being checked, before it is published).
fn siblings(package: &Path) -> Vec<String> {
    let version = concat!("-", env!("CARGO_PKG_VERSION"));
    let sources = package.parent().filter(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(version))
    });
    let Some(sources) = sources.and_then(Path::parent) else {
        return Vec::new();
    };
    let folder = sources.join(format!("narrows-trace{version}"));
    let there = folder.join("Cargo.toml").exists();
    there
        .then(|| {
            let patch = format!(
                "patch.crates-io.narrows-trace.path={:?}",
                folder.display().to_string()
            );
            ["--config".to_owned(), patch]
        })
        .into_iter()
        .flatten()
        .collect()
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
fn build(
    carried: &Carried,
    manifest: &Path,
    target_folder: &Path,
    siblings: &[String],
) -> Outcome<PathBuf> {
    let mut words: Vec<&str> = siblings.iter().map(String::as_str).collect();
    words.push("--offline");
    let offline = cargo(carried, manifest, target_folder, &words)?;
    if let Err(first) = offline {
        words.pop();
        cargo(carried, manifest, target_folder, &words)?
            .map_err(|second| format!("{second}\nbefore that, without network: {first}"))?;
    }
    let target = variable("TARGET")?;
    Ok(target_folder.join(target).join("release"))
}

fn cargo(
    carried: &Carried,
    manifest: &Path,
    target_folder: &Path,
    more: &[&str],
) -> Outcome<Result<(), String>> {
    let mut command = Command::new(variable("CARGO")?);
    for name in OUTER_ONLY {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--release"])
        .args(carried.targets)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target_folder)
        .arg("--target")
        .arg(variable("TARGET")?)
        .args(more)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "thin")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", strip()?)
        .env("CARGO_PROFILE_RELEASE_PANIC", "unwind")
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let words = String::from_utf8_lossy(&output.stderr).replace('\n', "\n  ");
    Ok(Err(format!(
        "cargo ended with {}:\n  {words}",
        output.status
    )))
}

/// A linker for macOS keeps what has to be kept; a build for it from another system has no tool
/// that strips.
fn strip() -> Outcome<&'static str> {
    let macos = variable("CARGO_CFG_TARGET_OS")? == "macos";
    Ok(if macos { "none" } else { "symbols" })
}

/// Every source file that went into a result, as cargo lists them: `target: file file ...`.
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
}
