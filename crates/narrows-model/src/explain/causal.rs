//! The causal test: what a delay at one point does to the throughput of the whole.
//!
//! A point is delayed for a block of time, then not, in interleaved pairs and with several delays.
//! With d the delay that an op really met (time spent in delays over ops) and X the throughput, each pair
//! gives one slope (1/X_delayed - 1/X_free) / d. Law 4: 1 is a saturated serial stage, 1/N is
//! parallel work, 0 is hidden behind another stage. The index s = (N slope - 1) / (N - 1) maps
//! parallel to 0 and serial to 1.

use super::term::Term;
use crate::result::Interval;
use crate::stats::{median, sign_interval};
use serde::{Deserialize, Serialize};

/// Fewest usable pairs for a slope.
const FEWEST_PAIRS: usize = 6;
/// Different delays that a slope needs, so that a bend would show.
pub const DELAYS: usize = 3;

/// A block with the delay and the block without it beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalPair {
    /// Delay per hit that was asked for, in nanoseconds.
    pub delay_ns: u64,
    /// With the delay.
    pub delayed: CausalBlock,
    /// Without.
    pub free: CausalBlock,
}

/// What happened in a block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalBlock {
    /// Wall time.
    pub wall_ns: u64,
    /// Ops completed, all threads.
    pub ops: u64,
    /// Delays that were made.
    pub hits: u64,
    /// Time that they really took, all threads together.
    pub spent_ns: u64,
}

/// The answer for one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The point.
    pub term: Term,
    /// Where the delay was put, in words.
    pub point: String,
    /// Threads that did ops.
    pub threads: u32,
    /// Median of d(1/X)/dd.
    pub slope: f64,
    /// Sign-test interval.
    pub slope_ci: Option<Interval>,
    /// (N slope - 1) / (N - 1); `None` at one thread.
    pub index: Option<f64>,
    /// Its interval.
    pub index_ci: Option<Interval>,
    /// Usable pairs.
    pub pairs: u64,
    /// Pairs that could not be used: no op in a block, or the point was not met.
    pub pairs_unusable: u64,
    /// Median slope of each delay, ascending, so that a bend shows: `[delay ns, slope]`.
    pub by_delay: Vec<(u64, f64)>,
}

/// What a slope says of its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// A saturated serial stage.
    Serial,
    /// Parallel work: threads do it side by side.
    Parallel,
    /// Hidden behind another stage.
    Hidden,
    /// The interval does not separate these.
    Unclear,
}

/// The slope of one point from its pairs; `None` with too few of them.
pub fn slope(term: &Term, point: &str, threads: u32, pairs: &[CausalPair]) -> Option<Slope> {
    let usable: Vec<(u64, f64)> = pairs
        .iter()
        .filter_map(|p| Some((p.delay_ns, pair_slope(p)?)))
        .collect();
    if usable.len() < FEWEST_PAIRS {
        return None;
    }
    let all: Vec<f64> = usable.iter().map(|(_, s)| *s).collect();
    let slope = median(&all)?;
    let slope_ci = sign_interval(&all);
    let n = f64::from(threads);
    let index = move |s: f64| (n * s - 1.0) / (n - 1.0);
    let mut delays: Vec<u64> = usable.iter().map(|(d, _)| *d).collect();
    delays.sort_unstable();
    delays.dedup();
    let of_delay = |delay: u64| {
        let of: Vec<f64> = usable
            .iter()
            .filter(|(d, _)| *d == delay)
            .map(|(_, s)| *s)
            .collect();
        median(&of).map(|m| (delay, m))
    };
    Some(Slope {
        term: term.clone(),
        point: point.to_owned(),
        threads,
        slope,
        slope_ci,
        index: (threads > 1).then(|| index(slope)),
        index_ci: slope_ci
            .filter(|_| threads > 1)
            .map(|ci| ci.map_increasing(index)),
        pairs: usable.len() as u64,
        pairs_unusable: (pairs.len() - usable.len()) as u64,
        by_delay: delays.into_iter().filter_map(of_delay).collect(),
    })
}

/// 1/X per op is wall/ops; the delay that an op met is the time spent in delays over ops, all
/// threads together: a delay that lost its core took longer than was asked for.
fn pair_slope(pair: &CausalPair) -> Option<f64> {
    let CausalPair { delayed, free, .. } = pair;
    if delayed.ops == 0 || free.ops == 0 || delayed.hits == 0 {
        return None;
    }
    let per_op = |b: &CausalBlock| b.wall_ns as f64 / b.ops as f64;
    let met = delayed.spent_ns as f64 / delayed.ops as f64;
    (met > 0.0).then(|| (per_op(delayed) - per_op(free)) / met)
}

impl Slope {
    /// Serial needs an index wholly above one half, parallel and hidden one wholly below; hidden
    /// lies below parallel's 1/N.
    pub fn reading(&self) -> Reading {
        let (Some(index), Some(slope)) = (self.index_ci, self.slope_ci) else {
            return Reading::Unclear;
        };
        let parallel = 1.0 / f64::from(self.threads);
        if index.low > 0.5 {
            Reading::Serial
        } else if index.high >= 0.5 {
            Reading::Unclear
        } else if slope.high < parallel / 2.0 {
            Reading::Hidden
        } else {
            Reading::Parallel
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::term::Class;
    use crate::layers::Layer;

    fn term() -> Term {
        Term::bare(Layer::Driver, Class::Lock)
    }

    /// Pairs of a system in which a delay of d per op adds `slope * d` to 1/X, with noise.
    fn pairs(slope: f64, hits_per_op: u64, count: u64) -> Vec<CausalPair> {
        let free = CausalBlock {
            wall_ns: 50_000_000,
            ops: 1000,
            hits: 0,
            spent_ns: 0,
        };
        (0..count)
            .map(|i| {
                let delay_ns = [5_000, 10_000, 20_000][(i % 3) as usize];
                let met = (hits_per_op * delay_ns) as f64;
                let noise = 1.0 + 0.01 * ((i * 7919) % 11) as f64 / 11.0 - 0.005;
                let per_op = (50_000.0 + slope * met) * noise;
                let ops = 1000;
                let wall_ns = (per_op * ops as f64) as u64;
                CausalPair {
                    delay_ns,
                    delayed: CausalBlock {
                        wall_ns,
                        ops,
                        hits: ops * hits_per_op,
                        spent_ns: ops * hits_per_op * delay_ns,
                    },
                    free,
                }
            })
            .collect()
    }

    #[test]
    fn planted_slopes_come_out() {
        for (planted, threads, reading) in [
            (1.0, 4, Reading::Serial),
            (0.25, 4, Reading::Parallel),
            (0.0, 4, Reading::Hidden),
            (0.0, 8, Reading::Hidden),
        ] {
            for hits in [1, 3] {
                let found = slope(&term(), "p", threads, &pairs(planted, hits, 60)).unwrap();
                assert!((found.slope - planted).abs() < 0.06, "{planted}: {found:?}");
                assert_eq!(found.reading(), reading, "{found:?}");
                assert_eq!(found.by_delay.len(), DELAYS);
            }
        }
    }

    #[test]
    fn between_serial_and_parallel_it_is_unclear() {
        // The closed network of facts: .34 at 4 threads must not count as serial.
        let found = slope(&term(), "p", 4, &pairs(0.34, 1, 60)).unwrap();
        assert_ne!(found.reading(), Reading::Serial);
    }

    #[test]
    fn points_that_were_not_met_give_nothing() {
        let mut never = pairs(1.0, 1, 20);
        never.iter_mut().for_each(|p| p.delayed.hits = 0);
        assert!(slope(&term(), "p", 4, &never).is_none());
        assert!(slope(&term(), "p", 4, &pairs(1.0, 1, 5)).is_none());
    }
}
