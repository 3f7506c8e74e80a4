//! The table: pairs grouped by strategy, each point with its medians, intervals and flags.

use super::{Flag, PointResult};
use crate::fits::karp_flatt;
use crate::result::Interval;
use crate::stats::{Estimate, MIN_COUNT, median, merge_latency};
use crate::words::{interval, nanos, plural, significant};
use narrows_scan::samples::{Arm, Block, Mps, Pair, Point, Samples, Strategy};

/// A speedup interval wider than this fraction of the speedup is too noisy.
pub const WIDEST_INTERVAL: f64 = 0.10;
/// From this share of cores x wall on, CPU time is the limit.
pub const CPU_LIMIT: f64 = 0.90;

/// One strategy: its baseline and its scaling points.
pub(super) struct Group {
    /// The baseline first, then by threads x processes.
    pub(super) rows: Vec<Row>,
    /// Throughputs of all its baseline blocks.
    pub(super) baseline_ops_per_s: Vec<f64>,
}

/// One point with what its intervals came from.
pub(super) struct Row {
    /// What is shown.
    pub(super) result: PointResult,
    /// One per usable pair.
    pub(super) log_ratios: Vec<f64>,
}

impl Row {
    /// Threads x processes.
    pub(super) fn n(&self) -> u32 {
        width(&self.result)
    }
}

/// Threads x processes of a row.
pub(super) fn width(row: &PointResult) -> u32 {
    row.threads.saturating_mul(row.processes)
}

/// The name of a strategy, the same in every run.
pub fn strategy_name(s: &Strategy) -> String {
    let pool = if s.pool { "pool " } else { "" };
    let mps = match s.mps {
        Mps::AsIs => String::new(),
        other => format!(" mps {other}"),
    };
    format!(
        "{pool}{}+{} depth {} batch {}{}{mps}",
        s.queue, s.sync, s.depth, s.batch, s.options
    )
}

/// A strategy at one thread in one process is its own baseline, whatever its arm says.
pub(crate) fn is_baseline(point: &Point) -> bool {
    point.arm == Arm::SelfCheck || (point.threads == 1 && point.processes == 1)
}

/// Log ratio of throughputs, measured over baseline; `None` when either block completed nothing.
pub(crate) fn log_ratio(pair: &Pair) -> Option<f64> {
    Some((throughput(&pair.measured)? / throughput(&pair.baseline)?).ln())
}

/// Ops per second of a block; `None` when it completed nothing.
pub(crate) fn throughput(block: &Block) -> Option<f64> {
    (block.ops > 0 && block.wall_ns > 0).then(|| block.ops as f64 * 1e9 / block.wall_ns as f64)
}

/// Groups in the header's order.
pub(super) fn groups(samples: &Samples) -> Vec<Group> {
    let points = &samples.header.points;
    let mut strategies: Vec<Strategy> = Vec::new();
    for point in points {
        if !strategies.contains(&point.strategy) {
            strategies.push(point.strategy);
        }
    }
    strategies.iter().map(|s| group(samples, s)).collect()
}

fn group(samples: &Samples, strategy: &Strategy) -> Group {
    let points = &samples.header.points;
    let mine = |i: usize| points.get(i).is_some_and(|p| p.strategy == *strategy);
    let pairs: Vec<&Pair> = samples.pairs.iter().filter(|p| mine(p.point)).collect();
    let baseline = baseline_row(samples, strategy, &pairs);
    let mut rows: Vec<Row> = points
        .iter()
        .enumerate()
        .filter(|(i, p)| mine(*i) && !is_baseline(p))
        .map(|(i, p)| {
            let its: Vec<&Pair> = pairs
                .iter()
                .copied()
                .filter(|pair| pair.point == i)
                .collect();
            scaling_row(samples, p, &its, &baseline.result)
        })
        .collect();
    rows.sort_by_key(Row::n);
    rows.insert(0, baseline);
    let baseline_ops_per_s = pairs
        .iter()
        .filter_map(|p| throughput(&p.baseline))
        .collect();
    Group {
        rows,
        baseline_ops_per_s,
    }
}

/// All baseline blocks of the strategy, and both blocks of its A/A pairs.
fn baseline_row(samples: &Samples, strategy: &Strategy, pairs: &[&Pair]) -> Row {
    let points = &samples.header.points;
    let again = pairs
        .iter()
        .filter(|p| points.get(p.point).is_some_and(is_baseline));
    let blocks: Vec<&Block> = pairs
        .iter()
        .map(|p| &p.baseline)
        .chain(again.map(|p| &p.measured))
        .collect();
    let point = Point {
        strategy: *strategy,
        threads: 1,
        processes: 1,
        arm: Arm::SelfCheck,
    };
    let mut result = measured(&point, &blocks);
    result.baseline = true;
    result.pairs = pairs.iter().filter(|p| log_ratio(p).is_some()).count() as u64;
    result.pairs_unusable = pairs.len() as u64 - result.pairs;
    if result.ops_per_s.is_some() {
        (result.speedup, result.efficiency) = (Some(1.0), Some(1.0));
    }
    flag_common(&mut result);
    flag_cpu(&mut result, samples.header.environment.cores);
    Row {
        result,
        log_ratios: Vec::new(),
    }
}

fn scaling_row(samples: &Samples, point: &Point, pairs: &[&Pair], baseline: &PointResult) -> Row {
    let blocks: Vec<&Block> = pairs.iter().map(|p| &p.measured).collect();
    let log_ratios: Vec<f64> = pairs.iter().filter_map(|p| log_ratio(p)).collect();
    let mut row = measured(point, &blocks);
    row.pairs = log_ratios.len() as u64;
    row.pairs_unusable = (pairs.len() - log_ratios.len()) as u64;
    let n = f64::from(width(&row));
    if let Some(log) = Estimate::of(&log_ratios) {
        let speedup = log.map_increasing(f64::exp);
        (row.speedup, row.speedup_ci) = (Some(speedup.value), speedup.interval);
        let efficiency = speedup.map_increasing(|s| s / n);
        (row.efficiency, row.efficiency_ci) = (Some(efficiency.value), efficiency.interval);
        row.karp_flatt = karp_flatt(speedup.value, n);
        row.karp_flatt_ci = row
            .karp_flatt
            .and(speedup.interval)
            .map(|i| i.map_decreasing(|s| karp_flatt(s, n).unwrap_or(f64::NAN)));
    }
    flag_common(&mut row);
    flag_noise(&mut row);
    flag_cpu(&mut row, samples.header.environment.cores);
    flag_super_linear(&mut row, baseline);
    Row {
        result: row,
        log_ratios,
    }
}

/// What blocks alone tell: throughput, latency, CPU time. Flags and ratios come later.
fn measured(point: &Point, blocks: &[&Block]) -> PointResult {
    let s = &point.strategy;
    let throughputs: Vec<f64> = blocks.iter().filter_map(|b| throughput(b)).collect();
    let ops_per_s = Estimate::of(&throughputs);
    let busy = |b: &&Block| Some(b.gpu_busy_ns? as f64 / b.wall_ns.max(1) as f64);
    let shares: Vec<f64> = blocks.iter().filter_map(busy).collect();
    let gpu_busy = Estimate::of(&shares);
    let at_once =
        |b: &&Block| Some(b.gpu_work_ns? as f64 / b.gpu_busy_ns.filter(|n| *n > 0)? as f64);
    let at_once: Vec<f64> = blocks.iter().filter_map(at_once).collect();
    let gpu_at_once = Estimate::of(&at_once);
    let cpu = |f: &dyn Fn(&Block, f64) -> f64| {
        let usable = blocks.iter().filter(|b| throughput(b).is_some());
        let values: Vec<f64> = usable
            .filter_map(|b| Some(f(b, b.cpu_ns? as f64)))
            .collect();
        median(&values)
    };
    PointResult {
        strategy: strategy_name(s),
        work: s.work.to_string(),
        queue: s.queue.to_string(),
        sync: s.sync.to_string(),
        depth: s.depth,
        batch: s.batch,
        context: s.options.context.to_string(),
        wait: s.options.wait.to_string(),
        record: s.options.record.to_string(),
        pool: s.pool,
        mps: s.mps.to_string(),
        threads: point.threads,
        processes: point.processes,
        baseline: false,
        pairs: 0,
        pairs_unusable: 0,
        ops_per_s: ops_per_s.map(|e| e.value),
        ci: ops_per_s.and_then(|e| e.interval),
        speedup: None,
        speedup_ci: None,
        efficiency: None,
        efficiency_ci: None,
        karp_flatt: None,
        karp_flatt_ci: None,
        latency: merge_latency(blocks.iter().map(|b| (&b.latency[..], b.max_latency_ns))),
        cores_used: cpu(&|b, cpu| cpu / b.wall_ns as f64),
        gpu_busy: gpu_busy.map(|e| e.value),
        gpu_busy_ci: gpu_busy.and_then(|e| e.interval),
        gpu_at_once: gpu_at_once.map(|e| e.value),
        gpu_at_once_ci: gpu_at_once.and_then(|e| e.interval),
        cpu_ns_per_op: cpu(&|b, cpu| cpu / b.ops as f64),
        flags: Vec::new(),
        notes: Vec::new(),
    }
}

fn flag(row: &mut PointResult, flag: Flag, note: String) {
    row.flags.push(flag);
    row.notes.push(note);
}

fn flag_common(row: &mut PointResult) {
    let pairs = row.pairs;
    if pairs > 0 && pairs < MIN_COUNT as u64 {
        let note = format!(
            "{}, too few for an interval ({MIN_COUNT})",
            plural(pairs, "pair")
        );
        flag(row, Flag::FewPairs, note);
    }
    if row.pairs_unusable > 0 {
        let unusable = plural(row.pairs_unusable, "pair");
        flag(
            row,
            Flag::UnusablePairs,
            format!("{unusable} left out: a block completed no op"),
        );
    }
}

fn flag_noise(row: &mut PointResult) {
    let width = row
        .speedup_ci
        .zip(row.speedup)
        .map(|(i, s)| i.relative_width(s));
    if let Some(width) = width.filter(|w| *w > WIDEST_INTERVAL) {
        let percent = |f: f64| significant(f * 100.0);
        let (is, limit) = (percent(width), percent(WIDEST_INTERVAL));
        let note = format!("noisy: the speedup's interval is {is} % wide, more than {limit} %");
        flag(row, Flag::TooNoisy, note);
    }
}

/// `cores` of 0 means that their number could not be read.
fn flag_cpu(row: &mut PointResult, cores: u32) {
    if cores == 0 {
        return;
    }
    if width(row) > cores {
        let submitters = plural(
            width(row),
            if row.processes > 1 {
                "process"
            } else {
                "thread"
            },
        );
        flag(
            row,
            Flag::CpuLimited,
            format!("{submitters} on {}", plural(cores, "core")),
        );
    } else if let Some(used) = row
        .cores_used
        .filter(|u| *u >= CPU_LIMIT * f64::from(cores))
    {
        let note = format!("{} of {} in use", significant(used), plural(cores, "core"));
        flag(row, Flag::CpuLimited, note);
    }
}

/// More than N-fold throughput from N threads is possible: the lone thread pays for something that
/// several share. The usual something is sleep: a lone thread is put to sleep and woken for every
/// op, by itself or by the driver's own thread.
fn flag_super_linear(row: &mut PointResult, baseline: &PointResult) {
    let above: Option<Interval> = row.efficiency_ci.filter(|i| i.low > 1.0);
    let (Some(ci), Some(efficiency)) = (above, row.efficiency) else {
        return;
    };
    let idle = baseline.cores_used.filter(|u| *u < CPU_LIMIT);
    let cheaper = baseline
        .cpu_ns_per_op
        .zip(row.cpu_ns_per_op)
        .filter(|(one, many)| many < one);
    let mut evidence = Vec::new();
    if let Some(used) = idle {
        let asleep = significant(100.0 * (1.0 - used));
        evidence.push(format!(
            "the single thread was off the CPU {asleep} % of the time"
        ));
    }
    if let Some((one, many)) = cheaper {
        evidence.push(format!(
            "CPU time per op falls from {} to {}",
            nanos(one),
            nanos(many)
        ));
    }
    let because = match (evidence.is_empty(), baseline.cores_used) {
        (false, _) => format!(
            "one thread pays alone for what several share, as a sleep and a wake-up for each op \
             ({})",
            evidence.join("; ")
        ),
        (true, Some(_)) => "one thread pays alone for something that several share; CPU time does \
                            not show what"
            .into(),
        (true, None) => "one thread pays alone for something that several share; CPU time was not \
                         measured, so the cause is open"
            .into(),
    };
    let ci = interval(Some(ci), significant);
    let note = format!(
        "super-linear: efficiency {} {ci}; {because}",
        significant(efficiency)
    );
    flag(row, Flag::SuperLinear, note);
}
