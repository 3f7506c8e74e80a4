//! What the isolation ladder says about a loss: strategies that differ in one thing only, compared
//! at the same number of threads.
//!
//! Two strategies are told apart by throughput intervals that do not overlap, which is more
//! careful than the 95 % of each.

use super::PointResult;
use super::verdict::{Facts, Scope};
use crate::result::{Candidate, Proof, ProofKind};
use crate::words::{count, interval, plural};

/// What was found.
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) proofs: Vec<Proof>,
}

/// `8 threads`, `8 processes`.
pub(super) fn label(p: &PointResult) -> String {
    match (p.threads, p.processes) {
        (threads, 1) => plural(threads, "thread"),
        (1, processes) => plural(processes, "process"),
        (threads, processes) => {
            format!(
                "{} of {}",
                plural(processes, "process"),
                plural(threads, "thread")
            )
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Faster,
    Slower,
    Same,
}

fn order(a: &PointResult, b: &PointResult) -> Option<Order> {
    let (a, b) = (a.ci?, b.ci?);
    Some(match (a.is_above(&b), b.is_above(&a)) {
        (true, _) => Order::Faster,
        (_, true) => Order::Slower,
        _ => Order::Same,
    })
}

fn throughput(p: &PointResult) -> String {
    let ops = p.ops_per_s.map_or("?".into(), count);
    format!("{} {ops} {} ops/s", p.strategy, interval(p.ci, count))
}

/// One rung of the ladder: two strategies that differ in one thing.
struct Rung {
    /// Whether `a` is above `b` on this rung, that is more private or more relaxed; `None` when
    /// the two differ in something else, or not at all.
    above: fn(a: &PointResult, b: &PointResult) -> Option<bool>,
    /// The candidate when the upper one is faster, slower, or not told apart.
    faster: &'static str,
    slower: &'static str,
    same: Option<&'static str>,
}

/// What all rungs keep.
fn alike(a: &PointResult, b: &PointResult) -> bool {
    a.work == b.work && a.pool == b.pool
}

fn queue_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    let rest = alike(a, b) && (&a.sync, a.depth, a.batch) == (&b.sync, b.depth, b.batch);
    (rest && a.queue != b.queue).then(|| a.queue == "own")
}

fn sync_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    let rest = alike(a, b) && (&a.queue, a.depth, a.batch) == (&b.queue, b.depth, b.batch);
    let (a, b) = (a.sync == "event", b.sync == "event");
    (rest && a != b).then_some(a)
}

fn flight_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    let rest = alike(a, b) && (&a.queue, &a.sync) == (&b.queue, &b.sync);
    let (a, b) = ((a.depth, a.batch), (b.depth, b.batch));
    (rest && a != b).then_some(a > b)
}

/// A pool differs in its queues by nature and in its wait by choice of the plan; what matters here
/// is that nothing inside a process is shared.
fn pool_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    let rest = (&a.work, a.depth, a.batch) == (&b.work, b.depth, b.batch);
    (rest && a.pool != b.pool).then_some(a.pool)
}

const RUNGS: [Rung; 4] = [
    Rung {
        above: queue_rung,
        faster: "what a shared queue adds (its lock, its order), of which own queues win back a \
                 part",
        slower: "what separate queues cost on this driver or device",
        same: Some("something that own and shared queues both go through (below the queue)"),
    },
    Rung {
        above: pool_rung,
        faster: "something inside the process (a lock of the program, the runtime or the \
                 user-space driver)",
        slower: "what separate processes cost (switching in the kernel's driver or the device)",
        same: Some("something that processes share too (the kernel's driver, the device)"),
    },
    Rung {
        above: sync_rung,
        faster: "a wait that is wider than the thread's own op",
        slower: "the cost of waiting on an event of one's own",
        same: None,
    },
    Rung {
        above: flight_rung,
        faster: "the round trip of each op (submit and wake-up), which depth or batch hides",
        slower: "work in flight that gets in its own way",
        same: None,
    },
];

pub(super) fn candidates(facts: &Facts<'_>, scope: &Scope<'_>) -> Found {
    let mut found = Found {
        candidates: Vec::new(),
        proofs: Vec::new(),
    };
    for rung in &RUNGS {
        climb(rung, scope, &mut found);
    }
    let own_queues = facts.points.iter().any(|p| !p.pool && p.queue == "own");
    if !own_queues {
        let why = facts
            .left_out
            .iter()
            .find(|l| l.strategy.starts_with("own"));
        found.candidates.push(Candidate {
            layer: None,
            site: None,
            what: "the one shared queue (own queues were not measured)".into(),
            sentence: why.map_or_else(
                || "Own queues are not in this scan; --queue shared,own compares them.".into(),
                |l| format!("Own queues could not be measured: {}", l.why),
            ),
        });
    }
    if found.candidates.is_empty() {
        found.candidates.push(Candidate {
            layer: None,
            site: None,
            what: "any layer from the program to the device (no two strategies were compared)"
                .into(),
            sentence: "The scan has nothing to compare the fastest strategy with.".into(),
        });
    }
    found
}

/// Compares the fastest strategy with its fastest partner on this rung, if one was measured.
fn climb(rung: &Rung, scope: &Scope<'_>, found: &mut Found) {
    let best = scope.best;
    let partner = scope
        .rows
        .iter()
        .filter_map(|p| Some((*p, (rung.above)(best, p)?)))
        .max_by(|a, b| {
            a.0.ops_per_s
                .unwrap_or(0.0)
                .total_cmp(&b.0.ops_per_s.unwrap_or(0.0))
        });
    let Some((partner, best_is_above)) = partner else {
        return;
    };
    let (upper, lower) = if best_is_above {
        (best, partner)
    } else {
        (partner, best)
    };
    let (what, relation) = match order(upper, lower) {
        Some(Order::Faster) => (Some(rung.faster), "above"),
        Some(Order::Slower) => (Some(rung.slower), "below"),
        Some(Order::Same) => (rung.same, "not separated from"),
        None => (None, ""),
    };
    let Some(what) = what else { return };
    let (a, b, threads) = (throughput(upper), throughput(lower), label(best));
    let sentence = format!("With {threads}: {a}, {relation} {b}.");
    if relation != "not separated from" {
        found.proofs.push(Proof {
            kind: ProofKind::Ladder,
            sentence: sentence.clone(),
            value: upper.ops_per_s.zip(lower.ops_per_s).map(|(a, b)| a / b),
            ci: None,
        });
    }
    found.candidates.push(Candidate {
        layer: None,
        site: None,
        what: what.into(),
        sentence,
    });
}
