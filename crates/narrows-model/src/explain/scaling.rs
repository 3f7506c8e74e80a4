//! Throughput at each number of threads, from repeated runs of the whole program.
//!
//! Runs of one repeat stand side by side (all N once, in random order), so the ratio to one thread
//! is taken within a repeat. With six repeats or more the interval is the sign test's; with fewer
//! it spans all repeats and its level says how little that is.

use super::profile::Profile;
use crate::result::Interval;
use crate::stats::{MIN_COUNT, median, sign_interval};
use serde::{Deserialize, Serialize};

/// One number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    /// N as asked for; `None`: a single trace without `--scale`.
    pub n: Option<u32>,
    /// Threads that did ops (median over repeats).
    pub threads: u32,
    /// Processes they belong to.
    pub processes: u32,
    /// Runs with ops.
    pub runs: u64,
    /// Median throughput.
    pub ops_per_s: Option<f64>,
    /// Its interval over repeats.
    pub ci: Option<Interval>,
    /// Throughput over that at the smallest N of the same repeat.
    pub speedup: Option<f64>,
    /// Its interval over repeats.
    pub speedup_ci: Option<Interval>,
    /// c(base) / c(N): speedup over the ratio of threads.
    pub efficiency: Option<f64>,
    /// Its interval over repeats.
    pub efficiency_ci: Option<Interval>,
    /// Cores in use by the program, median.
    pub cores_used: Option<f64>,
    /// Share of the time in which the device worked; `None`: not measured.
    pub gpu_busy: Option<f64>,
}

/// All points, by N.
pub fn points(profiles: &[Profile]) -> Vec<ScalePoint> {
    let mut ns: Vec<Option<u32>> = profiles.iter().map(|p| p.n).collect();
    ns.sort_unstable();
    ns.dedup();
    ns.iter()
        .map(|n| point(profiles, *n, ns.first().copied().flatten()))
        .collect()
}

fn point(profiles: &[Profile], n: Option<u32>, base: Option<u32>) -> ScalePoint {
    let runs: Vec<&Profile> = profiles
        .iter()
        .filter(|p| p.n == n && p.throughput().is_some())
        .collect();
    let throughputs: Vec<f64> = runs.iter().filter_map(|p| p.throughput()).collect();
    let (mut speedups, mut efficiencies) = (Vec::new(), Vec::new());
    for run in &runs {
        let same = profiles
            .iter()
            .find(|p| p.n.is_some() && p.n == base && p.repeat == run.repeat);
        if let Some(one) = same
            && let (Some(x1), Some(xn)) = (one.throughput(), run.throughput())
            && let (Some(c1), Some(cn)) = (one.cost_ns(), run.cost_ns())
        {
            speedups.push(xn / x1);
            efficiencies.push(c1 / cn);
        }
    }
    let middle = |of: fn(&Profile) -> Option<f64>| {
        median(&runs.iter().filter_map(|r| of(r)).collect::<Vec<_>>())
    };
    let typical = |of: fn(&Profile) -> f64| {
        median(&runs.iter().map(|r| of(r)).collect::<Vec<_>>())
            .unwrap_or(0.0)
            .round() as u32
    };
    ScalePoint {
        n,
        threads: typical(|r| f64::from(r.op_threads)),
        processes: typical(|r| f64::from(r.op_processes)),
        runs: runs.len() as u64,
        ops_per_s: median(&throughputs),
        ci: over_repeats(&throughputs),
        speedup: median(&speedups),
        speedup_ci: over_repeats(&speedups),
        efficiency: median(&efficiencies),
        efficiency_ci: over_repeats(&efficiencies),
        cores_used: middle(|r| r.cores_used),
        gpu_busy: middle(|r| r.gpu_busy),
    }
}

/// From 2 to 5 values the sign test's widest interval, smallest to largest, covers the median with
/// probability 1 - 2^(1-n).
pub fn over_repeats(values: &[f64]) -> Option<Interval> {
    if values.len() >= MIN_COUNT {
        return sign_interval(values);
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let level = 1.0 - 0.5f64.powi(values.len() as i32 - 1);
    (values.len() >= 2).then_some(Interval { low, high, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u32, repeat: u32, ops: u64) -> Profile {
        Profile {
            n: Some(n),
            repeat,
            op_threads: n,
            op_processes: 1,
            ops,
            window_ns: 1_000_000_000,
            ..Profile::default()
        }
    }

    #[test]
    fn ratios_are_taken_within_a_repeat() {
        // The machine halves its speed in the second repeat: ratios stay.
        let runs = [
            run(1, 0, 1000),
            run(4, 0, 2000),
            run(1, 1, 500),
            run(4, 1, 1000),
        ];
        let four = &points(&runs)[1];
        assert_eq!((four.n, four.threads, four.runs), (Some(4), 4, 2));
        assert_eq!((four.speedup, four.efficiency), (Some(2.0), Some(0.5)));
        let ci = four.efficiency_ci.unwrap();
        assert_eq!((ci.low, ci.high, ci.level), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_single_run_has_no_interval() {
        let only = &points(&[run(4, 0, 10)])[0];
        assert_eq!(only.ci, None);
        let alone = Profile {
            n: None,
            ..run(4, 0, 10)
        };
        let point = &points(&[alone])[0];
        assert_eq!((point.speedup, point.efficiency), (None, None));
    }

    #[test]
    fn six_repeats_give_the_sign_test() {
        let values: Vec<f64> = (1..=9).map(f64::from).collect();
        assert!(over_repeats(&values).unwrap().level >= 0.95);
        assert_eq!(over_repeats(&values[..3]).unwrap().level, 0.75);
    }
}
