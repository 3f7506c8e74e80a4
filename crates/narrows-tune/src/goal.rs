//! What "best" means.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the user wants most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Most ops per second.
    Throughput,
    /// Shortest 99th percentile of a submission's latency, among settings that are not slower than
    /// the naive one: without that, one idle thread would always win.
    P99,
    /// Least thread time per op (the thread cost `N / X`), among settings that are not slower than
    /// the naive one.
    Efficiency,
}

impl Goal {
    /// All of them.
    pub const ALL: [Goal; 3] = [Goal::Throughput, Goal::P99, Goal::Efficiency];
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Goal::Throughput => "throughput",
            Goal::P99 => "p99",
            Goal::Efficiency => "efficiency",
        })
    }
}

/// A goal that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown goal '{0}'; possible: throughput, p99, efficiency")]
pub struct UnknownGoal(String);

impl FromStr for Goal {
    type Err = UnknownGoal;

    fn from_str(text: &str) -> Result<Goal, UnknownGoal> {
        let found = Goal::ALL.into_iter().find(|g| g.to_string() == text);
        found.ok_or_else(|| UnknownGoal(text.into()))
    }
}
