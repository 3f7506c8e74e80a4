//! The reader: a trace folder becomes values.
//!
//! Reading never changes a file and never maps one, so a trace may be read while its program runs
//! or after it was killed. Any bytes give values or an error: what is cut off, foreign or damaged
//! is left out and named in [`Process::problems`] or [`Damage`]. Memory is bounded by the
//! statistics files (at most 128 MiB by format, in practice a few), not by the timeline.

mod bytes;
mod events;
mod log;
mod merge;
mod process;
mod stats;
mod thread;
mod timeline;
mod unsettled;

pub use events::{Event, What};
pub use log::{CallInfo, ModuleInfo};
pub use process::{Ending, Process};
pub use stats::{CallStats, Histogram, OwnerStats, SiteKey, SiteStats, Spill, Tally};
pub use thread::{AcquireStats, CpuTotals, Thread};
pub use timeline::{Damage, Events, Ledger, Merged, Timeline};

use crate::Nanos;
use crate::clock_map::ClockCursor;
use crate::layout::FileKind;
use merge::{Lane, Merge};
use std::path::{Path, PathBuf};

/// Why a recording cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A system call failed.
    #[error("{call} {}: {source}", path.display())]
    Io {
        /// What was done.
        call: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not begin like one of ours, or was cut off before its first page's end.
    #[error("{} is not a recording of narrows", path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// The file has another format version.
    #[error("{} has format version {found}; this program reads versions up to {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file is one of ours, but not the one its name says.
    #[error("{} should be a {wanted} file but is of kind {found}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// What its name says.
        wanted: &'static str,
        /// What it says itself.
        found: u32,
    },
    /// There is no process in the folder.
    #[error("{} holds no recorded process", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// Something that is missing or not as it should be. The rest was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it: the end of a sentence that begins with the path.
    pub what: String,
}

impl Problem {
    fn new(folder: &Path, kind: FileKind, what: &str) -> Self {
        Self {
            path: folder.join(kind.name()),
            what: what.to_owned(),
        }
    }
}

/// How a process came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The same process before `exec`; an index into [`Trace::processes`].
    Exec(usize),
    /// `fork` of a recorded process.
    Fork(usize),
    /// Started by a recorded process that is its parent.
    Child(usize),
    /// Its parent is not in the trace.
    Root,
}

/// The log is the first file to be made, and its magic the last thing to be written into its head.
fn was_never_opened(folder: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 8];
    let read = std::fs::File::open(folder.join(FileKind::Log.name()))
        .and_then(|mut log| log.read_exact(&mut magic));
    let absent = [
        std::io::ErrorKind::NotFound,
        std::io::ErrorKind::UnexpectedEof,
    ];
    match read {
        Ok(()) => magic == [0; 8],
        Err(error) => absent.contains(&error.kind()),
    }
}

/// All processes of a trace folder.
#[derive(Debug)]
pub struct Trace {
    /// The folder.
    pub folder: PathBuf,
    /// By start.
    pub processes: Vec<Process>,
    /// Processes that could not be read.
    pub problems: Vec<Problem>,
    /// Processes that ended (were killed, mostly) while their recording was being made: they had
    /// recorded nothing yet.
    pub unopened: u64,
}

impl Trace {
    /// Opens a trace folder, or the folder of a single process.
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        let io = |source| ReadError::Io {
            call: "list",
            path: folder.to_path_buf(),
            source,
        };
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if folder_number(&path).is_some() && path.is_dir() {
                folders.push(path);
            }
        }
        if folders.is_empty() && folder.join(FileKind::Log.name()).exists() {
            let processes = vec![Process::open(folder)?];
            return Ok(Self {
                folder: folder.to_path_buf(),
                processes,
                problems: Vec::new(),
                unopened: 0,
            });
        }
        let (mut processes, mut problems, mut last) = (Vec::new(), Vec::new(), None);
        let mut unopened = 0;
        for path in folders {
            match Process::open(&path) {
                // The time of the start is told once all files are there.
                Ok(process) if process.wall_start.is_none() && process.threads.is_empty() => {
                    unopened += 1;
                }
                Ok(process) => processes.push(process),
                Err(_) if was_never_opened(&path) => unopened += 1,
                Err(error) => {
                    problems.push(Problem {
                        path,
                        what: format!("is left out: {error}"),
                    });
                    last = Some(error);
                }
            }
        }
        if processes.is_empty() {
            return Err(last.unwrap_or(ReadError::Empty {
                path: folder.to_path_buf(),
            }));
        }
        processes.sort_by_key(|process| {
            let start = process
                .start
                .map_or(Nanos(0), |start| process.clock.nanos(start));
            (start, process.pid, process.number)
        });
        Ok(Self {
            folder: folder.to_path_buf(),
            processes,
            problems,
            unopened,
        })
    }

    /// Where a process comes from.
    pub fn origin(&self, index: usize) -> Origin {
        let Some(process) = self.processes.get(index) else {
            return Origin::Root;
        };
        if let Some(forked) = process.forked_from {
            let from = |other: &Process| (other.pid, other.number) == forked;
            return self
                .processes
                .iter()
                .position(from)
                .map_or(Origin::Root, Origin::Fork);
        }
        let earlier = || self.processes.iter().enumerate().take(index);
        let before_exec = earlier().rev().find(|(_, other)| {
            other.pid == process.pid
                && other.kernel_start.is_some()
                && other.kernel_start == process.kernel_start
        });
        if let Some((before, _)) = before_exec {
            return Origin::Exec(before);
        }
        // Of several processes with the parent's id, the one that started last was alive.
        let parent = earlier()
            .rev()
            .find(|(_, other)| other.pid == process.parent);
        parent.map_or(Origin::Root, |(parent, _)| Origin::Child(parent))
    }

    /// All events of all processes by time: process index, time, event. Events on the GPU's clock
    /// have the time of the event before them.
    pub fn merged(&self) -> MergedTrace<'_> {
        let threads = |process: &Process| process.timeline.threads().count();
        let threads = self.processes.iter().map(threads).sum();
        let lanes = self.processes.iter().enumerate().map(|(index, process)| {
            let start = process
                .start
                .map_or(Nanos(0), |start| process.clock.nanos(start));
            let events = process.timeline.merged_beside(threads);
            let clock = process.clock.cursor();
            ProcessLane {
                time: start,
                index,
                next: None,
                events,
                clock,
                over: false,
            }
        });
        MergedTrace(Merge::new(lanes.collect()))
    }
}

/// `p<pid>.<n>`.
fn folder_number(path: &Path) -> Option<(u32, u32)> {
    let name = path.file_name()?.to_str()?.strip_prefix('p')?;
    let (pid, number) = name.split_once('.')?;
    Some((pid.parse().ok()?, number.parse().ok()?))
}

/// One process in the merge, opened when its time comes.
#[derive(Debug)]
struct ProcessLane<'a> {
    /// Of the next event, or the recording's start while nothing is read yet.
    time: Nanos,
    index: usize,
    next: Option<Event>,
    events: Merged<'a>,
    clock: ClockCursor<'a>,
    over: bool,
}

impl Lane for ProcessLane<'_> {
    type Item = (usize, Nanos, Event);

    #[inline]
    fn key(&self) -> Option<u64> {
        (!self.over).then_some(self.time.0)
    }

    #[inline]
    fn take(&mut self) -> Option<Self::Item> {
        let given = self.next.take().map(|event| (self.index, self.time, event));
        self.next = self.events.next();
        match &self.next {
            Some(event) => {
                if let Some(at) = event.what.at() {
                    self.time = self.time.max(self.clock.nanos(at));
                }
            }
            None => self.over = true,
        }
        given
    }
}

/// All events of a trace by time; an iterator.
#[derive(Debug)]
pub struct MergedTrace<'a>(Merge<ProcessLane<'a>>);

impl Iterator for MergedTrace<'_> {
    type Item = (usize, Nanos, Event);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
