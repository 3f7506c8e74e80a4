//! Two samples files.

use super::interval::{Shift, bootstrap};
use super::judge::{differ, sentence};
use super::{Comparison, Judged, Kind, PointChange, PointName, Ratio, SCHEMA, Side};
use crate::result::Interval;
use crate::scan::{analyse, is_baseline, log_ratio, strategy_name, throughput};
use crate::stats::{LEVEL, Rng, median};
use narrows_scan::samples::{EndReason, Point, Samples};

/// Keeps the bootstraps of throughput and of speedup apart.
const SPEEDUPS: u64 = 1 << 32;

/// Compares two samples files; `names` are those of the files.
pub fn compare_samples(names: [&str; 2], a: &Samples, b: &Samples) -> Comparison {
    let (in_a, in_b) = (series(a), series(b));
    let both: Vec<(&Series, &Series)> = in_a
        .iter()
        .filter_map(|x| Some((x, in_b.iter().find(|y| y.name == x.name)?)))
        .collect();
    // One level for the whole table: the chance that any of its intervals misses is 5 %.
    let level = 1.0 - (1.0 - LEVEL) / both.len().max(1) as f64;
    let seed = a.header.seed ^ b.header.seed.rotate_left(1);
    let points: Vec<PointChange> = (0u64..)
        .zip(&both)
        .map(|(i, (x, y))| change(x, y, level, (seed, i)))
        .collect();
    let only = |of: &[Series], other: &[Series]| {
        let missing = |x: &&Series| other.iter().all(|y| y.name != x.name);
        of.iter().filter(missing).map(|x| x.name.clone()).collect()
    };
    Comparison {
        schema: SCHEMA.into(),
        tool: env!("CARGO_PKG_VERSION").into(),
        kind: Kind::Samples,
        a: side(names[0], a),
        b: side(names[1], b),
        warnings: warnings(a, b),
        sentence: sentence(&points),
        limits: "The runs are from different times: what the machine did in between is in the \
                 throughput ratios. Speedups are taken over each run's own single thread, block \
                 by block, and are free of it. Intervals hold together for the whole table at \
                 95 %, a table of throughputs and a table of speedups."
            .into(),
        points,
        only_a: only(&in_a, &in_b),
        only_b: only(&in_b, &in_a),
        costs: None,
        waits: None,
        fail_if: None,
    }
}

/// What one side measured of one point, logarithms in order of time.
struct Series {
    name: PointName,
    throughputs: Vec<f64>,
    /// Empty for the baseline.
    speedups: Vec<f64>,
}

fn series(samples: &Samples) -> Vec<Series> {
    let points = &samples.header.points;
    let mut found: Vec<Series> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let name = name(point);
        if found.iter().any(|s| s.name == name) {
            continue;
        }
        let baseline = is_baseline(point);
        let mut series = Series {
            name,
            throughputs: Vec::new(),
            speedups: Vec::new(),
        };
        for pair in &samples.pairs {
            let of = points.get(pair.point);
            let same = of.is_some_and(|p| p.strategy == point.strategy);
            if pair.point == index || (baseline && same && of.is_some_and(is_baseline)) {
                series
                    .throughputs
                    .extend(throughput(&pair.measured).map(f64::ln));
            }
            if baseline && same {
                series
                    .throughputs
                    .extend(throughput(&pair.baseline).map(f64::ln));
            }
            if !baseline && pair.point == index {
                series.speedups.extend(log_ratio(pair));
            }
        }
        if !series.throughputs.is_empty() {
            found.push(series);
        }
    }
    found
}

fn name(point: &Point) -> PointName {
    PointName {
        strategy: strategy_name(&point.strategy),
        work: Some(point.strategy.work.to_string()),
        threads: point.threads,
        processes: point.processes,
    }
}

fn change(a: &Series, b: &Series, level: f64, (seed, stream): (u64, u64)) -> PointChange {
    let shift = |a: &[f64], b: &[f64], stream| bootstrap(a, b, level, &mut Rng::new(seed, stream));
    let speedups = shift(&a.speedups, &b.speedups, stream | SPEEDUPS);
    PointChange {
        name: a.name.clone(),
        throughput: ratio(
            &a.throughputs,
            &b.throughputs,
            shift(&a.throughputs, &b.throughputs, stream),
        ),
        speedup: speedups.map(|s| ratio(&a.speedups, &b.speedups, Some(s))),
        a_count: a.throughputs.len() as u64,
        b_count: b.throughputs.len() as u64,
    }
}

/// From logarithms to ratios.
pub(super) fn ratio(a: &[f64], b: &[f64], shift: Option<Shift>) -> Ratio {
    let ci: Option<Interval> = shift
        .and_then(|s| s.ci)
        .map(|ci| ci.map_increasing(f64::exp));
    Ratio {
        a: median(a).map(f64::exp),
        b: median(b).map(f64::exp),
        ratio: shift.map(|s| s.value.exp()),
        ci,
        judged: Judged::of(ci),
    }
}

fn side(name: &str, samples: &Samples) -> Side {
    let header = &samples.header;
    Side {
        name: name.into(),
        started: Some(header.started.clone()),
        tool: Some(header.tool.clone()),
        command: header.command.clone(),
        device: Some(device(samples)),
        machine: machine(samples),
    }
}

fn device(samples: &Samples) -> String {
    let d = &samples.header.device;
    format!("{} {} (driver {})", d.backend, d.name, d.driver)
}

fn machine(samples: &Samples) -> String {
    let e = &samples.header.environment;
    let words = |v: &Option<String>| v.clone().unwrap_or("not known".into());
    format!("{}, {} cores, {}", words(&e.cpu), e.cores, words(&e.os))
}

fn warnings(a: &Samples, b: &Samples) -> Vec<String> {
    let mut found = Vec::new();
    differ(&mut found, "devices", &device(a), &device(b));
    differ(&mut found, "machines", &machine(a), &machine(b));
    differ(&mut found, "work", &work(a), &work(b));
    let blocks = |s: &Samples| crate::words::nanos(s.header.block_ns as f64);
    differ(&mut found, "block lengths", &blocks(a), &blocks(b));
    for (which, samples) in [("A", a), ("B", b)] {
        let device = &samples.header.device;
        if let Some(line) = crate::words::stand_in(&device.backend, device.stand_in) {
            found.push(format!("{which}: {line}"));
        }
        if samples.header.simulated {
            found.push(format!("{which} was simulated, nothing was measured"));
        }
        match samples.end.as_ref().map(|e| e.reason) {
            Some(EndReason::Finished) => {}
            Some(EndReason::Interrupted) => found.push(format!("{which} was interrupted")),
            Some(EndReason::DeviceError) => found.push(format!("the device failed in {which}")),
            None => found.push(format!("{which} was cut off: its file has no end")),
        }
        if analyse(samples).self_check.passed == Some(false) {
            found.push(format!(
                "{which} failed its self-check: the machine was too noisy for its speedups"
            ));
        }
        let said = &samples.header.environment.warnings;
        found.extend(said.iter().map(|w| format!("{which}: {w}")));
    }
    found
}

/// All works of the points.
fn work(samples: &Samples) -> String {
    let points = &samples.header.points;
    let mut works: Vec<String> = points.iter().map(|p| p.strategy.work.to_string()).collect();
    works.sort();
    works.dedup();
    works.join(", ")
}
