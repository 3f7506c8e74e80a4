//! The Python that is first in PATH: its version, its lock, its GPU packages. None is imported.

use super::{Finding, Status};
use std::process::{Command, Stdio};

/// Prints a line for Python, then one per package that is there.
const LOOK: &str = r#"
import sys, importlib.util, importlib.metadata
lock = getattr(sys, "_is_gil_enabled", lambda: True)()
print("%d.%d.%d" % sys.version_info[:3], "with" if lock else "without")
for name, package in (("torch", "torch"), ("cupy", "cupy"), ("numba", "numba"), ("jax", "jax"),
                      ("tensorflow", "tensorflow"), ("pyopencl", "pyopencl"), ("wgpu", "wgpu"),
                      ("vulkan", "vulkan"), ("triton", "triton"), ("cuda", "cuda-python")):
    try:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "?"
        print(name, version)
    except Exception:
        pass
"#;

pub(super) fn look() -> Vec<Finding> {
    let ran = Command::new("python3")
        .args(["-c", LOOK])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = ran else {
        return vec![Finding::bad(
            Status::Missing,
            "python",
            "no python3 in PATH",
            "install it to trace Python programs; nothing else needs it",
        )];
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let Some((version, lock)) = lines.next().and_then(|l| l.split_once(' ')) else {
        return vec![Finding::bad(
            Status::Warning,
            "python",
            format!("python3 ended with {} and told nothing", output.status),
            "see what python3 -c 'import sys' says",
        )];
    };
    let packages: Vec<&str> = lines.collect();
    vec![
        Finding::ok(
            "python",
            format!("python3 {version}, {lock} a global interpreter lock"),
        ),
        match packages.as_slice() {
            [] => Finding::note(
                "python",
                "no GPU package of those that narrows knows; in a virtual environment, activate it",
            ),
            some => Finding::ok("python", some.join(", ")),
        },
    ]
}
