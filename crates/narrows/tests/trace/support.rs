//! Hosts and the command.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The command under test, with a cache of its own.
pub(crate) fn narrows() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    for name in ["LD_PRELOAD", "NARROWS_TRACE", "VK_LAYER_PATH"] {
        command.env_remove(name);
    }
    command
}

/// A folder for one test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// `fixtures/hosts/NAME.c`, compiled into `folder`.
pub(crate) fn host(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hosts");
    let program = folder.join(name);
    let status = Command::new("gcc")
        .args(["-O1", "-g", "-pthread", "-o"])
        .arg(&program)
        .arg(hosts.join(format!("{name}.c")))
        .args(more)
        .status()
        .expect("gcc runs (apt-get install gcc libc6-dev)");
    assert!(status.success(), "{name}.c does not compile");
    program
}

/// `turns` and the folder that it is in.
pub(crate) fn turns() -> (TempDir, PathBuf) {
    let folder = folder();
    let program = host(folder.path(), "turns", &[]);
    (folder, program)
}

/// `narrows trace --out OUT -- PROGRAM ARGUMENTS`.
pub(crate) fn trace(out: &Path, program: &Path, arguments: &[&str]) -> Output {
    let mut command = narrows();
    command
        .args(["trace", "--timeline", "16M", "--out"])
        .arg(out)
        .arg("--")
        .arg(program);
    command.args(arguments).output().expect("narrows runs")
}

/// The command's standard output, after it ended well.
pub(crate) fn stdout(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("narrows runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {error}", output.status);
    output.stdout
}

/// `narrows report OUT --json`.
pub(crate) fn report(out: &Path) -> Value {
    let text = stdout(narrows().arg("report").arg(out).arg("--json"));
    serde_json::from_slice(&text).expect("JSON")
}

/// Text of bytes.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
