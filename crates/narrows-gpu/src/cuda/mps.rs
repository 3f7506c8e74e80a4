//! Whether a daemon of CUDA's Multi-Process Service is running, and how a process is kept out of
//! it. Only looks: nothing here starts, stops or configures a daemon.
//!
//! The names are those of NVIDIA's MPS documentation ("Environment variables", "Control daemon"):
//! the daemon and its clients meet in a folder of pipes, `CUDA_MPS_PIPE_DIRECTORY` or
//! `/tmp/nvidia-mps`. A client that finds no control pipe there uses the device by itself.

use super::NAME;
use crate::{Error, Mps};
use std::path::{Path, PathBuf};

/// Name of the variable that says where daemon and clients meet.
const VARIABLE: &str = "CUDA_MPS_PIPE_DIRECTORY";
const DEFAULT: &str = "/tmp/nvidia-mps";
/// A folder that does not exist: nobody can be met there.
const NOWHERE: &str = "/nonexistent/no-mps";

/// The folder of pipes of a running daemon; `None` when there is none.
pub fn daemon() -> Option<PathBuf> {
    let folder = folder();
    runs_in(&folder).then_some(folder)
}

fn folder() -> PathBuf {
    std::env::var_os(VARIABLE)
        .filter(|v| !v.is_empty())
        .map_or_else(|| DEFAULT.into(), PathBuf::from)
}

/// The control pipe is there, and the process that the daemon has written down is alive.
fn runs_in(folder: &Path) -> bool {
    if !folder.join("control").exists() {
        return false;
    }
    match std::fs::read_to_string(folder.join("nvidia-cuda-mps-control.pid")) {
        Ok(pid) => Path::new("/proc").join(pid.trim()).exists(),
        // A daemon in another container: its pipe is here, its process is not ours to see.
        Err(_) => true,
    }
}

/// What has to be set in the environment of a pool process; `None`: nothing. [`Mps::On`] without
/// a daemon is [`Error::Unsupported`].
pub fn environment(mps: Mps) -> Result<Option<(&'static str, PathBuf)>, Error> {
    match mps {
        Mps::AsIs => Ok(None),
        Mps::Off => Ok(Some((VARIABLE, NOWHERE.into()))),
        Mps::On => match daemon() {
            Some(folder) => Ok(Some((VARIABLE, folder))),
            None => Err(Error::Unsupported {
                backend: NAME,
                what: "a pool with MPS".into(),
                why: format!(
                    "no daemon is running (no live control pipe in {})",
                    folder().display()
                ),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_a_control_pipe_and_a_live_process() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!runs_in(folder.path()));
        std::fs::write(folder.path().join("control"), "").unwrap();
        assert!(runs_in(folder.path()));
        let pid = folder.path().join("nvidia-cuda-mps-control.pid");
        std::fs::write(&pid, format!("{}\n", std::process::id())).unwrap();
        assert!(runs_in(folder.path()));
        std::fs::write(&pid, "4194305\n").unwrap();
        assert!(!runs_in(folder.path()), "no process has such a number");
    }

    #[test]
    fn without_the_server_a_process_is_sent_nowhere() {
        assert!(environment(Mps::AsIs).unwrap().is_none());
        let (name, value) = environment(Mps::Off).unwrap().unwrap();
        assert_eq!(name, "CUDA_MPS_PIPE_DIRECTORY");
        assert!(!value.exists());
    }
}
