//! The Python side, carried inside: its source and how it is started.

use std::path::Path;
use std::process::Command;

/// The whole harness, one program: the rungs, then what runs them.
pub(crate) const SOURCE: &str = concat!(
    include_str!("harness/base.py"),
    "\n\n",
    include_str!("harness/frameworks.py"),
    "\n\n",
    include_str!("harness/bindings.py"),
    "\n\n",
    include_str!("harness/main.py"),
);

/// The harness in the interpreter at `python`.
pub(crate) fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .args(["-c", SOURCE])
        // JAX takes most of the device's memory at its start otherwise, which the children of a
        // pool and the other rungs need too.
        .env("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        .env("TF_CPP_MIN_LOG_LEVEL", "2")
        .env("PYTHONUNBUFFERED", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_into_an_argument() {
        // Linux takes 128 KiB in one argument.
        assert!(SOURCE.len() < 100_000);
        assert!(!SOURCE.contains('\0'));
    }

    #[test]
    fn its_own_tests_pass() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness_test.py");
        let output = Command::new("python3")
            .arg("-B")
            .arg(tests)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
