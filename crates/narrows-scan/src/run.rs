//! The run: rounds of interleaved pairs in random order, until the time is up.
//!
//! A round measures every point once, each next to its own baseline, so that drift of the machine
//! hits both alike (see docs on pairs in `narrows-model`). Where blocks come from is a
//! [`BlockSource`]: threads and processes on a device, or simulated time.

use crate::Error;
use crate::plan::Plan;
use crate::samples::{Arm, Block, End, EndReason, LeftOut, Pair, Point};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs single blocks.
pub trait BlockSource {
    /// Runs one block of `point` (its threads or processes), or of its baseline (one thread).
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error>;
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// After this time (a started pair is ended).
    Time(Duration),
    /// After this many rounds (simulated time).
    Rounds(u32),
}

/// What a run tells while it goes on.
pub enum Event<'a> {
    /// A pair was measured; the share of the budget that is used, from 0 to 1.
    Pair(&'a Pair, f64),
    /// A point cannot be measured.
    LeftOut(&'a LeftOut),
}

/// Measures all points of `plan` but the `left_out`, until the budget is used or `stop` is set.
pub fn run(
    plan: &Plan,
    left_out: &[LeftOut],
    source: &mut dyn BlockSource,
    budget: Budget,
    seed: u64,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> End {
    let begin = Instant::now();
    left_out.iter().for_each(|l| tell(Event::LeftOut(l)));
    let mut order: Vec<usize> = (0..plan.points.len())
        .filter(|i| left_out.iter().all(|l| l.point != *i))
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rounds = 0;
    let outcome = loop {
        random.shuffle(&mut order);
        if let Some(ended) = round(
            plan,
            &order,
            source,
            budget,
            (&mut random, rounds),
            stop,
            begin,
            tell,
        ) {
            break ended;
        }
        rounds += 1;
        if order.is_empty() || matches!(budget, Budget::Rounds(n) if rounds >= n) {
            break Ok(EndReason::Finished);
        }
    };
    let (reason, detail) = match outcome {
        Ok(reason) => (reason, None),
        Err(error) => (EndReason::DeviceError, Some(error.to_string())),
    };
    End {
        reason,
        detail,
        elapsed_ns: begin.elapsed().as_nanos() as u64,
        load_after: crate::environment::load_average(),
    }
}

/// One pair of every point; `Some` when the run ends inside it.
#[allow(clippy::too_many_arguments)] // one call site; the run's state, not a reusable interface
fn round(
    plan: &Plan,
    order: &[usize],
    source: &mut dyn BlockSource,
    budget: Budget,
    (random, rounds): (&mut fastrand::Rng, u32),
    stop: &AtomicBool,
    begin: Instant,
    tell: &mut dyn FnMut(Event<'_>),
) -> Option<Result<EndReason, Error>> {
    for (done, &index) in order.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Some(Ok(EndReason::Interrupted));
        }
        let used = match budget {
            Budget::Time(time) => begin.elapsed().as_secs_f64() / time.as_secs_f64(),
            Budget::Rounds(n) => {
                (f64::from(rounds) + done as f64 / order.len() as f64) / f64::from(n.max(1))
            }
        };
        if used >= 1.0 {
            return Some(Ok(EndReason::Finished));
        }
        match pair(plan, index, source, random.bool()) {
            Ok(pair) => tell(Event::Pair(&pair, used)),
            // A signal reaches the pool's workers and the driver too: an error after it is its echo.
            Err(_) if stop.load(Ordering::Relaxed) => return Some(Ok(EndReason::Interrupted)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

fn pair(
    plan: &Plan,
    index: usize,
    source: &mut dyn BlockSource,
    measured_first: bool,
) -> Result<Pair, Error> {
    let point = &plan.points[index];
    let as_baseline = point.arm == Arm::SelfCheck;
    let (measured, baseline);
    if measured_first {
        measured = source.block(point, as_baseline)?;
        baseline = source.block(point, true)?;
    } else {
        baseline = source.block(point, true)?;
        measured = source.block(point, as_baseline)?;
    }
    Ok(Pair {
        point: index,
        measured_first,
        baseline,
        measured,
    })
}
