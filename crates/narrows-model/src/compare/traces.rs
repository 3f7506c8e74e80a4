//! Two traces, or two folders of traces at several numbers of threads.

use super::interval::rank_sum;
use super::judge::{differ, sentence};
use super::samples::ratio;
use super::{
    Comparison, Costs, Kind, LayerChange, PointChange, PointName, SCHEMA, Side, TermChange,
    WaitChange,
};
use crate::explain::profile::Profile;
use crate::explain::result::{Explanation, PartitionRow};
use crate::explain::term::Class;
use crate::layers::Layer;
use crate::result::Site;
use crate::stats::LEVEL;
use crate::trace::TraceWait;
use std::collections::BTreeMap;

/// One side.
pub struct TraceSide<'a> {
    /// The folder as it was named.
    pub name: &'a str,
    /// One per run.
    pub profiles: &'a [Profile],
    /// What they say together.
    pub explanation: &'a Explanation,
    /// Ops of the whole run that the lock table is from; `None`: not known.
    pub table_ops: Option<u64>,
}

/// Compares two traces.
pub fn compare_traces(a: &TraceSide<'_>, b: &TraceSide<'_>) -> Comparison {
    let (in_a, in_b) = (numbers(a), numbers(b));
    // Single traces without a number of threads are compared as they are.
    let both: Vec<Option<u32>> = in_a.iter().copied().filter(|n| in_b.contains(n)).collect();
    let level = 1.0 - (1.0 - LEVEL) / both.len().max(1) as f64;
    let points: Vec<PointChange> = both.iter().map(|n| change(a, b, *n, level)).collect();
    let only = |of: &TraceSide<'_>, ns: &[Option<u32>], other: &[Option<u32>]| {
        let missing = ns.iter().filter(|n| !other.contains(n));
        missing.map(|n| name(of, *n)).collect()
    };
    let most = both.iter().copied().max();
    let costs = most.and_then(|n| costs(a, b, n));
    let tables = (most.is_some() && most == in_a.last().copied() && most == in_b.last().copied())
        .then(|| waits(a, b));
    Comparison {
        schema: SCHEMA.into(),
        tool: env!("CARGO_PKG_VERSION").into(),
        kind: Kind::Traces,
        a: side(a),
        b: side(b),
        warnings: warnings(a, b),
        sentence: sentence(&points),
        limits: "The runs are from different times and the probe was inside: what the machine did \
                 in between is in the throughput ratios. Speedups are taken within each repeat and \
                 are free of it. Intervals are those of the rank-sum test over runs; below three \
                 runs on either side nothing is judged. Costs and lock tables are sums over the \
                 runs, without intervals."
            .into(),
        only_a: only(a, &in_a, &in_b),
        only_b: only(b, &in_b, &in_a),
        points,
        costs,
        waits: tables,
        fail_if: None,
    }
}

/// The N with ops, ascending.
fn numbers(side: &TraceSide<'_>) -> Vec<Option<u32>> {
    let with_ops = side.profiles.iter().filter(|p| p.throughput().is_some());
    let mut found: Vec<Option<u32>> = with_ops.map(|p| p.n).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn name(side: &TraceSide<'_>, n: Option<u32>) -> PointName {
    let threads = side.profiles.iter().find(|p| p.n == n);
    PointName {
        strategy: "program".into(),
        work: None,
        threads: n.or(threads.map(|p| p.op_threads)).unwrap_or(0),
        processes: 1,
    }
}

fn change(a: &TraceSide<'_>, b: &TraceSide<'_>, n: Option<u32>, level: f64) -> PointChange {
    let (x, y) = (throughputs(a, n), throughputs(b, n));
    let (s, t) = (speedups(a, n), speedups(b, n));
    let both = !s.is_empty() && !t.is_empty();
    PointChange {
        name: name(a, n),
        throughput: ratio(&x, &y, rank_sum(&x, &y, level)),
        speedup: both.then(|| ratio(&s, &t, rank_sum(&s, &t, level))),
        a_count: x.len() as u64,
        b_count: y.len() as u64,
    }
}

fn throughputs(side: &TraceSide<'_>, n: Option<u32>) -> Vec<f64> {
    let of_n = side.profiles.iter().filter(|p| p.n == n);
    of_n.filter_map(|p| p.throughput().map(f64::ln)).collect()
}

/// Over one thread, within a repeat; none for one thread itself.
fn speedups(side: &TraceSide<'_>, n: Option<u32>) -> Vec<f64> {
    let one = |run: &Profile| {
        let same = |p: &&Profile| p.n == Some(1) && p.repeat == run.repeat;
        side.profiles
            .iter()
            .find(same)
            .and_then(Profile::throughput)
    };
    side.profiles
        .iter()
        .filter(|p| p.n == n && n.is_some_and(|n| n > 1))
        .filter_map(|p| Some((p.throughput()? / one(p)?).ln()))
        .collect()
}

/// What is the same place on both sides: offsets move between builds, so a symbol goes first.
type Key = (Layer, Class, Site, Option<String>);

fn same_place(site: &Site) -> Site {
    Site {
        offset: site.offset.filter(|_| site.symbol.is_none()),
        ..site.clone()
    }
}

fn costs(a: &TraceSide<'_>, b: &TraceSide<'_>, n: Option<u32>) -> Option<Costs> {
    let mut terms: BTreeMap<Key, [f64; 2]> = BTreeMap::new();
    for (side, of) in [(0, a), (1, b)] {
        for row in of.explanation.partitions.iter().filter(|r| r.n == n) {
            let PartitionRow { layer, class, .. } = *row;
            let key = (layer, class, same_place(&row.site), row.call.clone());
            terms.entry(key).or_default()[side] += row.ns_per_op;
        }
    }
    let mut layers: BTreeMap<Layer, [f64; 2]> = BTreeMap::new();
    for ((layer, ..), both) in &terms {
        let sums = layers.entry(*layer).or_default();
        (sums[0], sums[1]) = (sums[0] + both[0], sums[1] + both[1]);
    }
    let sum = |side: usize| terms.values().map(|v| v[side]).sum::<f64>();
    let totals = [sum(0), sum(1)];
    let mut terms: Vec<TermChange> = terms
        .into_iter()
        .map(|((layer, class, site, call), [a, b])| TermChange {
            layer,
            class,
            site: (site != Site::default()).then_some(site),
            call,
            a_ns_per_op: a,
            b_ns_per_op: b,
            delta_ns_per_op: b - a,
        })
        .collect();
    terms.sort_by(|x, y| y.delta_ns_per_op.abs().total_cmp(&x.delta_ns_per_op.abs()));
    let mut layers: Vec<LayerChange> = layers
        .into_iter()
        .map(|(layer, [a, b])| LayerChange {
            layer,
            a_ns_per_op: a,
            b_ns_per_op: b,
            delta_ns_per_op: b - a,
        })
        .collect();
    layers.sort_by(|x, y| y.delta_ns_per_op.abs().total_cmp(&x.delta_ns_per_op.abs()));
    (!terms.is_empty()).then_some(Costs {
        n,
        a_ns_per_op: totals[0],
        b_ns_per_op: totals[1],
        layers,
        terms,
    })
}

/// Kind, layer and place of a row of the lock table.
type LockKey = (String, Layer, Site);
/// Number of waits and time in them; `None`: not in the table.
type Waited = Option<(u64, u64)>;

/// Both lock tables; rows of one place are one row.
fn waits(a: &TraceSide<'_>, b: &TraceSide<'_>) -> Vec<WaitChange> {
    let mut rows: BTreeMap<LockKey, [Waited; 2]> = BTreeMap::new();
    for (side, of) in [(0, a), (1, b)] {
        for TraceWait { wait, .. } in &of.explanation.waits {
            let mut site = same_place(&wait.site);
            // A lock on the heap has another address in the next run.
            site.lock = site.lock.filter(|lock| !lock.contains("0x"));
            let row = rows
                .entry((wait.kind.clone(), wait.layer, site))
                .or_default();
            let (count, ns) = row[side].unwrap_or_default();
            row[side] = Some((count + wait.count, ns + wait.total_ns));
        }
    }
    let per_op = |value: u64, of: &TraceSide<'_>| {
        let ops = of.table_ops.filter(|ops| *ops > 0)?;
        Some(value as f64 / ops as f64)
    };
    let mut found: Vec<WaitChange> = rows
        .into_iter()
        .map(|((kind, layer, site), [x, y])| WaitChange {
            kind,
            layer,
            site,
            a_per_op: x.and_then(|(count, _)| per_op(count, a)),
            b_per_op: y.and_then(|(count, _)| per_op(count, b)),
            a_ns_per_op: x.and_then(|(_, ns)| per_op(ns, a)),
            b_ns_per_op: y.and_then(|(_, ns)| per_op(ns, b)),
        })
        .collect();
    let change =
        |w: &WaitChange| (w.b_ns_per_op.unwrap_or(0.0) - w.a_ns_per_op.unwrap_or(0.0)).abs();
    found.sort_by(|x, y| change(y).total_cmp(&change(x)));
    found
}

fn side(of: &TraceSide<'_>) -> Side {
    let explanation = of.explanation;
    Side {
        name: of.name.into(),
        started: explanation.started.clone(),
        tool: None,
        command: explanation.command.clone().unwrap_or_default(),
        device: None,
        machine: machine(explanation),
    }
}

fn machine(explanation: &Explanation) -> String {
    // CPU and system are those of this machine, which reads the trace; the cores are recorded.
    match explanation.environment.cores {
        Some(cores) => format!("{cores} cores"),
        None => "cores not known".into(),
    }
}

fn warnings(a: &TraceSide<'_>, b: &TraceSide<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let command = |s: &TraceSide<'_>| s.explanation.command.clone().unwrap_or_default().join(" ");
    differ(&mut found, "commands", &command(a), &command(b));
    differ(
        &mut found,
        "machines",
        &machine(a.explanation),
        &machine(b.explanation),
    );
    let source = |s: &TraceSide<'_>| {
        let source = s
            .profiles
            .iter()
            .map(|p| p.op_source)
            .find(|s| *s != Default::default());
        format!("{:?}", source.unwrap_or_default())
    };
    differ(&mut found, "kinds of op", &source(a), &source(b));
    for (which, side) in [("A", a), ("B", b)] {
        let coverage = side.explanation.coverage.as_ref();
        if let Some(line) = coverage.and_then(crate::words::stand_ins) {
            found.push(format!("{which}: {line}"));
        }
        if numbers(side).is_empty() {
            found.push(format!("{which} holds no op"));
        }
        if side.profiles.iter().any(|p| p.cut_by_loss) {
            found.push(format!(
                "{which} lost its older events; its newest part was analysed"
            ));
        }
        found.extend(
            side.explanation
                .damage
                .iter()
                .map(|d| format!("{which}: {d}")),
        );
    }
    found
}
