//! `run.json`: what the launcher knows about a traced run, kept beside the recording so that a
//! report can be made again from the folder alone.

use serde::{Deserialize, Serialize};

/// Name of the file in the trace's folder.
pub const FILE: &str = "run.json";

/// Version of the layout.
pub const SCHEMA: &str = "narrows-run/1";

/// A traced run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows that recorded it.
    pub narrows: String,
    /// The command as it was given.
    pub command: Vec<String>,
    /// The file that was run.
    pub program: String,
    /// When it was started, RFC 3339 in UTC.
    pub started: String,
    /// From the start to the end; `None`: narrows did not see the end.
    pub wall_ns: Option<u64>,
    /// How it ended; `None`: narrows did not see the end.
    pub ended: Option<Ended>,
    /// Cores that the run could use.
    pub cores: Option<u32>,
    /// CPU model of the machine that it ran on; `None`: not recorded.
    #[serde(default)]
    pub cpu: Option<String>,
    /// Operating system and kernel that it ran on; `None`: not recorded.
    #[serde(default)]
    pub os: Option<String>,
    /// Text of the rules file that the user gave.
    pub rules: Option<String>,
    /// Name of that file.
    pub rules_name: Option<String>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It exited with this status.
    Exit(i32),
    /// A signal killed it.
    Signal(i32),
}

impl Ended {
    /// The status that a shell shows: the exit status, or 128 and the signal.
    pub fn shell_status(self) -> i32 {
        match self {
            Ended::Exit(status) => status,
            Ended::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Ended::Exit(status) => write!(f, "exit status {status}"),
            Ended::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "killed by signal {signal} ({name})"),
                None => write!(f, "killed by signal {signal}"),
            },
        }
    }
}

/// Names of the signals whose numbers are the same on all Linux and macOS machines.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
