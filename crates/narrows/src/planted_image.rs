//! The planted programs of the self-test as bytes inside this command, and as files in a folder
//! that goes away with [`Planted`].

use narrows_planted::OBJECTS;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const HOST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/planted-host"));
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libnarrows_planted.so"));

/// The programs as files, until it is dropped.
pub(crate) struct Planted {
    folder: PathBuf,
}

impl Planted {
    /// Writes the host, and the object once under each of its names.
    pub(crate) fn extract() -> io::Result<Planted> {
        if HOST.is_empty() || OBJECT.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this build of narrows carries no planted programs for this system",
            ));
        }
        let mut first_error = None;
        for parent in crate::probe_image::candidates() {
            match extract_to(&parent) {
                Ok(planted) => return Ok(planted),
                Err(error) => {
                    let what = format!("{}: {error}", parent.display());
                    first_error.get_or_insert(io::Error::new(error.kind(), what));
                }
            }
        }
        Err(first_error.unwrap_or_else(|| io::Error::other("no folder to write to")))
    }

    /// The folder, which traces of the run may be put into as well.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program to run.
    pub(crate) fn host(&self) -> PathBuf {
        self.folder.join("planted-host")
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // What cannot be removed stays: there is nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn extract_to(parent: &Path) -> io::Result<Planted> {
    crate::probe_image::own_folder(parent)?;
    let folder = parent.join(format!("selftest-{}", std::process::id()));
    // A leftover of a killed process that had this number.
    let _ = fs::remove_dir_all(&folder);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let planted = Planted { folder };
    write(&planted.host(), HOST)?;
    for name in OBJECTS {
        write(&planted.folder.join(name), OBJECT)?;
    }
    Ok(planted)
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(file)?
        .write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::extract_to;
    use std::process::Command;

    #[test]
    fn the_programs_run_and_go_away() {
        let parent = tempfile::tempdir().expect("folder");
        let planted = extract_to(parent.path()).expect("extracted");
        let output = Command::new(planted.host())
            .args([
                "--plant",
                "mutex",
                "--layer",
                "library",
                "--threads",
                "2",
                "--ops",
                "3",
            ])
            .output()
            .expect("starts");
        let words = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(words.contains("\"ops\":6"), "{words}");
        let folder = planted.folder().to_path_buf();
        drop(planted);
        assert!(!folder.exists());
    }
}
