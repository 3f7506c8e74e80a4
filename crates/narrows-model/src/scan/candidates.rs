//! What the isolation ladder says: strategies that differ in one thing only, compared at the same
//! number of threads. A difference is evidence for where the slower one loses; what the fastest
//! strategy still loses lies in what the ladder left, and is named as candidates.
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
    /// Of the proofs, those in which a private queue or process is faster than the strategy in
    /// question (or a shared one, where its own are the fault): they accuse what it shares.
    pub(super) accusing: Vec<Proof>,
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
    /// What the difference is when the upper one is faster, and when it is slower.
    faster: &'static str,
    slower: &'static str,
}

/// What most rungs keep.
fn alike(a: &PointResult, b: &PointResult) -> bool {
    a.work == b.work && a.pool == b.pool && same_options(a, b)
}

fn same_options(a: &PointResult, b: &PointResult) -> bool {
    (&a.context, &a.wait, &a.record, &a.mps) == (&b.context, &b.wait, &b.record, &b.mps)
}

fn queue_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    let rest = alike(a, b) && (&a.sync, a.depth, a.batch) == (&b.sync, b.depth, b.batch);
    let (a, b) = (a.queue != "shared", b.queue != "shared");
    (rest && a != b).then_some(a)
}

/// One choice of [`PointResult`] besides queue, wait, depth and batch; the rest is the same.
fn option_rung(
    a: &PointResult,
    b: &PointResult,
    of: fn(&mut PointResult) -> &mut String,
    above: &str,
) -> Option<bool> {
    let (mut a, mut b) = (a.clone(), b.clone());
    let (in_a, in_b) = (std::mem::take(of(&mut a)), std::mem::take(of(&mut b)));
    let rest = alike(&a, &b)
        && (&a.queue, &a.sync, a.depth, a.batch) == (&b.queue, &b.sync, b.depth, b.batch);
    (rest && (in_a == above) != (in_b == above)).then(|| in_a == above)
}

fn context_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    option_rung(a, b, |p| &mut p.context, "own")
}

fn record_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    option_rung(a, b, |p| &mut p.record, "once")
}

fn block_rung(a: &PointResult, b: &PointResult) -> Option<bool> {
    option_rung(a, b, |p| &mut p.wait, "block")
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
    let rest = (&a.work, a.depth, a.batch) == (&b.work, b.depth, b.batch)
        && (&a.wait, &a.record) == (&b.wait, &b.record);
    (rest && a.pool != b.pool).then_some(a.pool)
}

const QUEUE: Rung = Rung {
    above: queue_rung,
    faster: "the difference lies in what a shared queue makes threads share (its lock, its order)",
    slower: "the difference is what separate queues cost on this driver or device",
};
const POOL: Rung = Rung {
    above: pool_rung,
    faster: "the difference lies inside the process (the program, the runtime or the user-space \
             driver)",
    slower: "the difference is what separate processes cost (switching in the kernel's driver or \
             the device)",
};
const SYNC: Rung = Rung {
    above: sync_rung,
    faster: "the difference is a wait for more than the thread's own op",
    slower: "the difference is what waiting on an event of one's own costs",
};
const FLIGHT: Rung = Rung {
    above: flight_rung,
    faster: "the difference is the round trip of each op, which depth or batch hides",
    slower: "the difference is what more work in flight costs",
};

const CONTEXT: Rung = Rung {
    above: context_rung,
    faster: "the difference lies in what a shared context makes threads share (its locks)",
    slower: "the difference is what separate contexts cost (switching in the driver or the device)",
};
const RECORD: Rung = Rung {
    above: record_rung,
    faster: "the difference is what launching op by op costs, which a recording saves",
    slower: "the difference is what submitting a recording costs on this driver",
};
const BLOCK: Rung = Rung {
    above: block_rung,
    faster: "the difference is what spinning takes from the other threads",
    slower: "the difference is what sleeping and being woken for each op costs",
};

/// The fastest strategy against its fastest partner on a rung.
struct Comparison<'a> {
    upper: &'a PointResult,
    lower: &'a PointResult,
    /// Of the upper one to the lower.
    order: Order,
}

impl Rung {
    /// `None` when no partner was measured.
    fn compare<'a>(&self, scope: &Scope<'a>) -> Option<Comparison<'a>> {
        let best = scope.best;
        let (partner, best_is_above) = scope
            .rows
            .iter()
            .filter_map(|p| Some((*p, (self.above)(best, p)?)))
            .max_by(|a, b| {
                a.0.ops_per_s
                    .unwrap_or(0.0)
                    .total_cmp(&b.0.ops_per_s.unwrap_or(0.0))
            })?;
        let (upper, lower) = if best_is_above {
            (best, partner)
        } else {
            (partner, best)
        };
        Some(Comparison {
            upper,
            lower,
            order: order(upper, lower)?,
        })
    }

    /// The proof, if the strategy in question is the slower of the two.
    fn accusing(&self, c: &Comparison<'_>, scope: &Scope<'_>) -> Option<Proof> {
        let upper = std::ptr::eq(c.upper, scope.best);
        let slower = match c.order {
            Order::Faster => !upper,
            Order::Slower => upper,
            Order::Same => false,
        };
        self.proof(c).filter(|_| slower)
    }

    /// Evidence, if the two are told apart.
    fn proof(&self, c: &Comparison<'_>) -> Option<Proof> {
        let meaning = match c.order {
            Order::Faster => self.faster,
            Order::Slower => self.slower,
            Order::Same => return None,
        };
        let (upper, lower, with) = (throughput(c.upper), throughput(c.lower), label(c.upper));
        Some(Proof {
            kind: ProofKind::Ladder,
            sentence: format!("With {with}: {upper}, {lower}; {meaning}."),
            value: c.upper.ops_per_s.zip(c.lower.ops_per_s).map(|(a, b)| a / b),
            ci: None,
        })
    }
}

/// Evidence from every rung; candidates for what the fastest strategy still loses.
pub(super) fn candidates(facts: &Facts<'_>, scope: &Scope<'_>) -> Found {
    let (queue, pool) = (QUEUE.compare(scope), POOL.compare(scope));
    let context = CONTEXT.compare(scope);
    let rungs = [
        queue.as_ref().and_then(|c| QUEUE.proof(c)),
        pool.as_ref().and_then(|c| POOL.proof(c)),
        SYNC.compare(scope).and_then(|c| SYNC.proof(&c)),
        FLIGHT.compare(scope).and_then(|c| FLIGHT.proof(&c)),
        context.as_ref().and_then(|c| CONTEXT.proof(c)),
        RECORD.compare(scope).and_then(|c| RECORD.proof(&c)),
        BLOCK.compare(scope).and_then(|c| BLOCK.proof(&c)),
    ];
    let candidates = queue_candidate(facts, scope, queue.as_ref())
        .into_iter()
        .chain([deeper_candidate(scope, pool.as_ref())])
        .collect();
    let accusing = [
        queue.as_ref().and_then(|c| QUEUE.accusing(c, scope)),
        pool.as_ref().and_then(|c| POOL.accusing(c, scope)),
        context.as_ref().and_then(|c| CONTEXT.accusing(c, scope)),
    ];
    Found {
        candidates,
        accusing: accusing.into_iter().flatten().collect(),
        proofs: rungs.into_iter().flatten().collect(),
    }
}

fn candidate(what: &str, sentence: String) -> Candidate {
    Candidate {
        layer: None,
        site: None,
        what: what.into(),
        sentence,
    }
}

/// The shared queue, unless own queues lose just as much.
fn queue_candidate(
    facts: &Facts<'_>,
    scope: &Scope<'_>,
    queue: Option<&Comparison<'_>>,
) -> Option<Candidate> {
    if scope.best.pool || scope.best.queue != "shared" {
        return None;
    }
    let sentence = match queue.map(|c| c.order) {
        Some(Order::Same) => return None,
        Some(_) => "Own queues are slower still here, so they cannot clear the shared one.".into(),
        None => match facts
            .left_out
            .iter()
            .find(|l| l.strategy.starts_with("own"))
        {
            Some(l) => format!("Own queues could not be measured: {}.", l.why),
            None => "Own queues were not measured; --queue shared,own compares them where the \
                     device has several."
                .into(),
        },
    };
    Some(candidate(
        "the shared queue (its lock, its order)",
        sentence,
    ))
}

/// Everything that threads share besides a queue, as far as the process pool narrows it down.
fn deeper_candidate(scope: &Scope<'_>, pool: Option<&Comparison<'_>>) -> Candidate {
    if scope.best.pool {
        let sentence = "Processes share nothing else, and no threads were measured.".into();
        return candidate(
            "what processes share (the kernel's driver, the device)",
            sentence,
        );
    }
    match pool.map(|c| (c.order, c)) {
        Some((Order::Faster, c)) => candidate(
            "something inside the process (the program, the runtime, the user-space driver)",
            format!("Processes do better: {}.", throughput(c.upper)),
        ),
        Some((Order::Same, c)) => candidate(
            "what processes share too (the kernel's driver, the device)",
            format!("Processes do no better: {}.", throughput(c.upper)),
        ),
        Some((Order::Slower, c)) => candidate(
            "something that threads share besides a queue (in the program, the runtime, the \
             driver or the device)",
            format!(
                "Processes cost more here ({}), so they cannot tell.",
                throughput(c.upper)
            ),
        ),
        None => candidate(
            "something that threads share besides a queue (in the program, the runtime, the \
             driver or the device)",
            "A process pool was not measured, which would narrow it down.".into(),
        ),
    }
}
