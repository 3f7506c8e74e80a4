//! The samples file of a search: one JSON value per line; a header, the pairs in the order they ran,
//! an end. A file without an end was cut off; what stands before it is still good.

use crate::{Goal, Space};
use narrows_scan::samples::{Block, DeviceInfo, Environment, Preparation};
use serde::{Deserialize, Serialize};

/// Value of [`Header::format`].
pub const FORMAT: &str = "narrows-tune-samples";
/// Value of [`Header::version`].
pub const VERSION: u32 = 1;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// First line.
    Header(Box<Header>),
    /// Two blocks measured back to back.
    Pair(Pair),
    /// A setting that cannot be measured, and why.
    LeftOut(LeftOut),
    /// End of the measuring.
    End(End),
}

/// What was searched, on what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Version of narrows.
    pub tool: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// Arguments after the program's name.
    pub command: Vec<String>,
    /// Machine and its state at the start.
    pub environment: Environment,
    /// What was driven.
    pub subject: Subject,
    /// What "best" means.
    pub goal: Goal,
    /// Time that was given.
    pub time_ns: u64,
    /// Seed of the random order.
    pub seed: u64,
    /// True when time is simulated.
    pub simulated: bool,
    /// Dimensions, settings and the naive one; [`Pair::setting`] is an index into its settings.
    pub space: Space,
}

/// What was driven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A device, by narrows' own threads.
    Device {
        /// The device.
        device: DeviceInfo,
        /// Why this device was taken.
        choice: String,
        /// What each op does, as on the command line.
        work: String,
        /// Calibration and result check.
        preparation: Preparation,
    },
    /// A user's program.
    Program {
        /// Program and arguments with their places.
        command: Vec<String>,
        /// How ops were counted, in words.
        counted: String,
    },
}

/// Two blocks run back to back, in random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Why it was measured.
    pub purpose: Purpose,
    /// Index into the space's settings.
    pub setting: usize,
    /// The setting that it is compared with.
    pub reference: usize,
    /// True when the setting ran before its reference.
    pub setting_first: bool,
    /// Of the setting.
    pub measured: Block,
    /// Of the reference.
    pub compared: Block,
}

/// Why a pair was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To choose who stays: against the naive setting.
    Screen,
    /// To part the leaders: against the leader.
    Duel,
    /// After the choice: the chosen setting against the naive one.
    Confirm,
    /// After the choice: the chosen setting against itself with one change taken back.
    Effect,
}

/// A setting that was not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Index into the space's settings.
    pub setting: usize,
    /// One line.
    pub why: String,
}

/// How the search ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// More words: the device's error.
    pub detail: Option<String>,
    /// Wall time of the whole search.
    pub elapsed_ns: u64,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The leaders are separated, or equal within what matters.
    Separated,
    /// The time is up before that.
    TimeUp,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A measurement failed.
    Failed,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// What was searched.
    pub header: Header,
    /// In the order they ran.
    pub pairs: Vec<Pair>,
    /// Settings without samples.
    pub left_out: Vec<LeftOut>,
    /// `None`: the file was cut off.
    pub end: Option<End>,
    /// Lines of an unknown kind, skipped.
    pub skipped_lines: u64,
    /// Whether the last line was cut off.
    pub truncated: bool,
}

impl Samples {
    /// An empty search.
    pub fn new(header: Header) -> Samples {
        Samples {
            header,
            pairs: Vec::new(),
            left_out: Vec::new(),
            end: None,
            skipped_lines: 0,
            truncated: false,
        }
    }

    /// Takes one more line in.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Header(_) => self.skipped_lines += 1,
            Line::Pair(pair) => self.pairs.push(pair),
            Line::LeftOut(left_out) => self.left_out.push(left_out),
            Line::End(end) => self.end = Some(end),
        }
    }
}
