//! The self-test: verdicts about programs whose bottleneck is known, and how right they are.
//!
//! A verdict that names another layer than the planted one is *wrong*, and so is one that denies
//! the loss. One that does not commit itself (`too-noisy`, `ambiguous`) where it could have is
//! *cautious*: allowed on a busy machine. How the programs are made and run lives in
//! `narrows-planted` and the command.

use crate::explain::scaling::{ScalePoint, over_repeats};
use crate::result::{Interval, Layer, Verdict, VerdictKind};
use crate::stats::median;
use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const SCHEMA: &str = "narrows-selftest/1";

/// Largest difference between predicted and real gain, as a fraction of the real one, that still
/// counts as predicted.
pub const GAIN_TOLERANCE: f64 = 0.15;

/// The whole self-test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelftestResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows.
    pub narrows: String,
    /// Cores that it could use.
    pub cores: Option<u32>,
    /// Load average over the last minute before it began; `None`: the system does not say.
    pub load: Option<f64>,
    /// How long it took.
    pub wall_ns: u64,
    /// One row per plant and run.
    pub rows: Vec<Row>,
}

/// One planted program and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was planted, where, and what has to be found.
    pub planted: Planted,
    /// Number of the run, from 1.
    pub run: u32,
    /// The verdict; `None`: there is none, and `error` says why.
    pub found: Option<Found>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// What the verdict is worth.
    pub outcome: Outcome,
    /// 2: the first verdict was cautious, since noise passes it was tried once more, and this row
    /// is the second.
    #[serde(default = "once")]
    pub tries: u32,
    /// Gain of removing the plant; `None`: not asked for, or not measured.
    pub gain: Option<Gain>,
}

/// Rows of before the second try was counted.
const fn once() -> u32 {
    1
}

/// What was planted, and what has to be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// Name of the plant.
    pub plant: String,
    /// Layers that it is in.
    pub layers: Vec<Layer>,
    /// Threads that it was run with.
    pub threads: u32,
    /// Kinds of verdict that are right.
    pub expected: Vec<VerdictKind>,
    /// Layers one of which a verdict may name; empty: any name is wrong.
    pub may_name: Vec<Layer>,
    /// An `ambiguous` verdict is right only if its candidates name all of `layers`.
    pub names_all: bool,
}

/// What a verdict says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Its kind.
    pub kind: VerdictKind,
    /// The layer that it names.
    pub layer: Option<Layer>,
    /// Where: object and symbol or offset.
    pub place: Option<String>,
    /// Share of the loss.
    pub share: Option<f64>,
    /// Layers of its candidates, likeliest first.
    pub candidates: Vec<Layer>,
    /// Its sentence.
    pub sentence: String,
}

/// What a verdict is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The planted kind and layer.
    Right,
    /// No answer where there is one: allowed, not wished for.
    Cautious,
    /// Another layer or another kind of answer.
    Wrong,
    /// No verdict: a run failed.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [
        Outcome::Right,
        Outcome::Cautious,
        Outcome::Wrong,
        Outcome::Failed,
    ];

    /// The word in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Right => "right",
            Outcome::Cautious => "cautious",
            Outcome::Wrong => "WRONG",
            Outcome::Failed => "failed",
        }
    }
}

/// Throughput without the plant over throughput with it, at the same number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// As the verdict's share of the loss predicts it; `None`: it states none.
    pub predicted: Option<f64>,
    /// Its interval, from that of the efficiency.
    pub predicted_ci: Option<Interval>,
    /// Measured by running the program with the plant removed; `None`: not measured.
    pub real: Option<f64>,
    /// Its interval over pairs of runs.
    pub real_ci: Option<Interval>,
}

impl Gain {
    /// Predicted against real: 0.1 says that ten per cent more was predicted.
    pub fn error(&self) -> Option<f64> {
        Some(self.predicted? / self.real? - 1.0)
    }

    /// Is the prediction near enough? `None`: one of the two is missing.
    pub fn holds(&self) -> Option<bool> {
        self.error().map(|error| error.abs() <= GAIN_TOLERANCE)
    }
}

impl Found {
    /// The parts of `verdict` that matter here.
    pub fn of(verdict: &Verdict) -> Found {
        let mut candidates: Vec<Layer> = Vec::new();
        for layer in verdict.candidates.iter().filter_map(|c| c.layer) {
            if !candidates.contains(&layer) {
                candidates.push(layer);
            }
        }
        let place = verdict.site.as_ref().and_then(|site| {
            let object = site.object.clone();
            match (object, &site.symbol, site.offset) {
                (Some(object), Some(symbol), _) => Some(format!("{object} {symbol}")),
                (Some(object), None, Some(offset)) => Some(format!("{object}+{offset:#x}")),
                (object, symbol, _) => object.or_else(|| symbol.clone()),
            }
        });
        Found {
            kind: verdict.kind,
            layer: verdict.layer,
            place,
            share: verdict.share,
            candidates,
            sentence: verdict.sentence.clone(),
        }
    }
}

impl Planted {
    /// What a verdict about this plant is worth.
    pub fn judge(&self, found: &Found) -> Outcome {
        if found
            .layer
            .is_some_and(|layer| !self.may_name.contains(&layer))
        {
            return Outcome::Wrong;
        }
        let names_all = || {
            self.layers
                .iter()
                .all(|layer| found.candidates.contains(layer))
        };
        let undecided = matches!(found.kind, VerdictKind::Ambiguous | VerdictKind::TooNoisy);
        match self.expected.contains(&found.kind) {
            true if found.kind == VerdictKind::Ambiguous && self.names_all => {
                if names_all() {
                    Outcome::Right
                } else {
                    Outcome::Cautious
                }
            }
            true => Outcome::Right,
            false if undecided => Outcome::Cautious,
            false => Outcome::Wrong,
        }
    }
}

/// The gain that a verdict predicts: without the named cause an op costs c(N) less the cause's
/// share of c(N) - c(1). With e = c(1)/c(N) that is 1 / (1 - share (1 - e)).
pub fn predicted_gain(share: Option<f64>, point: &ScalePoint) -> (Option<f64>, Option<Interval>) {
    let Some(share) = share else {
        return (None, None);
    };
    let gain = move |efficiency: f64| 1.0 / (1.0 - share * (1.0 - efficiency));
    let interval = point.efficiency_ci.map(|ci| ci.map_decreasing(gain));
    (point.efficiency.map(gain), interval)
}

/// The gain that pairs of runs show, each without the plant over with it.
pub fn real_gain(ratios: &[f64]) -> (Option<f64>, Option<Interval>) {
    (median(ratios), over_repeats(ratios))
}

impl SelftestResult {
    /// Rows with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rows
            .iter()
            .filter(|row| row.outcome == outcome)
            .count()
    }

    /// Rows that needed a second try.
    pub fn tried_again(&self) -> usize {
        self.rows.iter().filter(|row| row.tries > 1).count()
    }

    /// Is nothing wrong and nothing failed?
    pub fn passed(&self) -> bool {
        self.count(Outcome::Wrong) + self.count(Outcome::Failed) == 0
    }
}

#[cfg(test)]
mod tests;
