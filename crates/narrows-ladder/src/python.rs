//! The user's Python interpreter: what it is and where its packages keep shared libraries.

use crate::samples::Interpreter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints the version, then the folders that packages are imported from, one a line.
const ASK: &str = "import sys; print(sys.implementation.name, sys.version.split()[0]); \
                   print('\\n'.join(p for p in sys.path if p))";

/// An interpreter that was asked.
#[derive(Clone, Debug)]
pub struct Python {
    /// As it stands in the file.
    pub interpreter: Interpreter,
    /// Folders of shared libraries that packages brought along: `nvidia/*/lib`, `torch/lib`.
    pub libraries: Vec<PathBuf>,
}

/// Asks the interpreter at `path`. One that does not run has no version and no folders; the rungs
/// that need it will say why.
pub fn ask(path: &Path) -> Python {
    let output = Command::new(path).args(["-c", ASK]).output();
    let text = output
        .ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    let mut lines = text.lines();
    let version = lines.next().map(str::to_owned);
    Python {
        interpreter: Interpreter {
            path: path.display().to_string(),
            version,
        },
        libraries: lines
            .flat_map(|folder| library_folders(Path::new(folder)))
            .collect(),
    }
}

fn library_folders(site: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(entries) = std::fs::read_dir(site.join("nvidia")) {
        found.extend(entries.flatten().map(|e| e.path().join("lib")));
    }
    found.sort();
    found.push(site.join("torch/lib"));
    found.retain(|f| f.is_dir());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_bundled_libraries_are_found() {
        let site = tempfile::tempdir().unwrap();
        for folder in [
            "nvidia/cu13/lib",
            "nvidia/cublas/lib",
            "nvidia/other",
            "torch/lib",
        ] {
            std::fs::create_dir_all(site.path().join(folder)).unwrap();
        }
        let found = library_folders(site.path());
        let names: Vec<_> = found
            .iter()
            .map(|f| f.strip_prefix(site.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["nvidia/cu13/lib", "nvidia/cublas/lib", "torch/lib"]);
    }

    #[test]
    fn an_interpreter_that_is_not_there_has_no_version() {
        let python = ask(Path::new("/nonexistent/python"));
        assert_eq!(python.interpreter.version, None);
        assert!(python.libraries.is_empty());
    }
}
