//! What is known of each setting after some pairs.

use crate::samples::{Pair, Purpose};
use crate::{Goal, Space};
use narrows_model::stats::{MIN_COUNT, median};
use narrows_scan::samples::Block;

/// A setting that loses less than this against the naive one counts as not slower.
pub(crate) const NOT_SLOWER: f64 = 0.02;

/// Log ratios of a setting to the naive one, from its screening pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// Of throughputs.
    pub(crate) throughput: Vec<f64>,
    /// Of 99th percentiles of the latency; empty where nobody measured it.
    pub(crate) p99: Vec<f64>,
    /// Threads times processes over those of the naive setting, as a logarithm.
    pub(crate) width: f64,
}

/// Ops per second; `None`: nothing was completed.
pub(crate) fn throughput(block: &Block) -> Option<f64> {
    (block.ops > 0 && block.wall_ns > 0).then(|| block.ops as f64 * 1e9 / block.wall_ns as f64)
}

/// 99th percentile of the latency in a block: the lower bound of its bucket. `None`: not measured.
pub(crate) fn p99(block: &Block) -> Option<f64> {
    let all: u64 = block.latency.iter().map(|(_, n)| n).sum();
    let wanted = (u128::from(all) * 99).div_ceil(100).max(1);
    let mut seen = 0u128;
    let bucket = block.latency.iter().find(|(_, count)| {
        seen += u128::from(*count);
        seen >= wanted
    });
    bucket
        .map(|(lower, _)| *lower as f64)
        .filter(|ns| *ns > 0.0)
}

/// How far the setting of a pair is ahead of its reference in a goal's own measure, as a
/// logarithm; above 0 is better.
pub(crate) fn lead(pair: &Pair, goal: Goal, space: &Space) -> Option<f64> {
    match goal {
        Goal::Throughput => log_throughput(pair),
        Goal::P99 => log_p99(pair).map(|r| -r),
        Goal::Efficiency => {
            let width = |i: usize| space.widths.get(i).map(|w| f64::from(*w).ln());
            Some(log_throughput(pair)? - width(pair.setting)? + width(pair.reference)?)
        }
    }
}

/// Log ratio of throughputs.
pub(crate) fn log_throughput(pair: &Pair) -> Option<f64> {
    Some((throughput(&pair.measured)? / throughput(&pair.compared)?).ln())
}

/// Log ratio of 99th percentiles; above 0 is longer.
pub(crate) fn log_p99(pair: &Pair) -> Option<f64> {
    Some((p99(&pair.measured)? / p99(&pair.compared)?).ln())
}

/// One per setting.
pub(crate) fn standings(space: &Space, pairs: &[Pair]) -> Vec<Standing> {
    let naive = space.widths.get(space.naive).copied().unwrap_or(1);
    let mut found: Vec<Standing> = space
        .widths
        .iter()
        .map(|width| Standing {
            width: (f64::from(*width) / f64::from(naive)).ln(),
            ..Standing::default()
        })
        .collect();
    let screening = pairs
        .iter()
        .filter(|p| p.purpose == Purpose::Screen && p.reference == space.naive);
    for pair in screening {
        if let Some(standing) = found.get_mut(pair.setting) {
            standing.throughput.extend(log_throughput(pair));
            standing.p99.extend(log_p99(pair));
        }
    }
    let timed = found.iter().any(|s| !s.p99.is_empty());
    if let Some(naive) = found.get_mut(space.naive) {
        // It is as good as itself, whatever its self-check measured.
        naive.throughput = vec![0.0; MIN_COUNT];
        naive.p99 = if timed {
            naive.throughput.clone()
        } else {
            Vec::new()
        };
    }
    found
}

impl Standing {
    /// Pairs that can be used.
    pub(crate) fn pairs(&self) -> usize {
        self.throughput.len()
    }

    /// How good it is for `goal`: above 0 is better than the naive setting. `None`: not measured,
    /// or not to be had for this goal.
    pub(crate) fn score(&self, goal: Goal) -> Option<f64> {
        let throughput = median(&self.throughput)?;
        let fast_enough = throughput >= -NOT_SLOWER;
        match goal {
            Goal::Throughput => Some(throughput),
            Goal::P99 if fast_enough => Some(-median(&self.p99)?),
            Goal::Efficiency if fast_enough => Some(throughput - self.width),
            Goal::P99 | Goal::Efficiency => None,
        }
    }

    /// Throughput and 99th percentile against the naive setting, both as medians of logarithms.
    pub(crate) fn place(&self) -> Option<(f64, f64)> {
        Some((median(&self.throughput)?, median(&self.p99)?))
    }
}

/// Best first: the indices of `among` that have a score for `goal`. Of equals the simpler first.
pub(crate) fn ranking(
    space: &Space,
    standings: &[Standing],
    among: &[usize],
    goal: Goal,
) -> Vec<usize> {
    let mut scored: Vec<(usize, f64)> = among
        .iter()
        .filter_map(|i| Some((*i, standings.get(*i)?.score(goal)?)))
        .collect();
    scored.sort_by(|a, b| {
        let simpler = || space.distance(a.0).cmp(&space.distance(b.0));
        b.1.total_cmp(&a.1).then_with(simpler).then(a.0.cmp(&b.0))
    });
    scored.into_iter().map(|(i, _)| i).collect()
}

/// The settings of `among` that no other one beats in both throughput and 99th percentile, by
/// falling throughput.
pub(crate) fn front(standings: &[Standing], among: &[usize]) -> Vec<usize> {
    let mut places: Vec<(usize, f64, f64)> = among
        .iter()
        .filter_map(|i| standings.get(*i)?.place().map(|(x, l)| (*i, x, l)))
        .collect();
    places.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.total_cmp(&b.2)));
    let mut shortest = f64::INFINITY;
    places.retain(|(_, _, latency)| {
        let kept = *latency < shortest;
        shortest = shortest.min(*latency);
        kept
    });
    places.into_iter().map(|(i, _, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(throughput: f64, p99: f64, width: f64) -> Standing {
        Standing {
            throughput: vec![throughput],
            p99: vec![p99],
            width,
        }
    }

    #[test]
    fn scores_know_what_a_goal_asks() {
        let slow = standing(-0.5, -2.0, -2.0);
        assert_eq!(slow.score(Goal::Throughput), Some(-0.5));
        assert_eq!(slow.score(Goal::P99), None, "slower than the naive one");
        assert_eq!(slow.score(Goal::Efficiency), None);
        let quick = standing(0.5, -0.25, 1.0);
        assert_eq!(quick.score(Goal::P99), Some(0.25));
        assert_eq!(quick.score(Goal::Efficiency), Some(-0.5));
        assert_eq!(Standing::default().score(Goal::Throughput), None);
    }

    #[test]
    fn the_front_has_no_setting_that_another_beats_in_both() {
        let all = [
            standing(1.0, 1.0, 0.0),
            standing(0.9, 0.2, 0.0),
            standing(0.8, 0.3, 0.0),
            standing(0.1, -1.0, 0.0),
        ];
        assert_eq!(front(&all, &[0, 1, 2, 3]), [0, 1, 3]);
    }

    #[test]
    fn percentiles_of_a_block() {
        let block = |latency: Vec<(u64, u64)>| Block {
            start_ns: 0,
            wall_ns: 1,
            ops: 1,
            cpu_ns: None,
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency,
            max_latency_ns: 0,
        };
        assert_eq!(p99(&block(vec![])), None);
        assert_eq!(p99(&block(vec![(10, 98), (20, 1), (900, 1)])), Some(20.0));
        assert_eq!(p99(&block(vec![(10, 9), (900, 1)])), Some(900.0));
    }
}
