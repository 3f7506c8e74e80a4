//! Drives a search: takes the pairs that it asks for from a source of blocks until it is done.

use crate::samples::{End, EndReason, LeftOut, Pair, Purpose};
use crate::search::{Search, Step};
use narrows_scan::samples::Block;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Measures single settings.
pub trait Source {
    /// Runs one block of setting number `setting`.
    fn block(&mut self, setting: usize) -> Result<Block, Refusal>;
}

/// Why there is no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This setting is not possible here; the search goes on without it.
    Cannot(String),
    /// The measurement failed; the search ends.
    Failed(String),
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// After this time.
    Time(Duration),
    /// After this many pairs (simulated time).
    Pairs(usize),
}

/// What a run tells while it goes on.
pub enum Event<'a> {
    /// A pair was measured; the share of the budget that is used, from 0 on.
    Pair(&'a Pair, f64),
    /// A setting cannot be measured.
    LeftOut(&'a LeftOut),
}

/// Runs `search` to its end, until the budget is used or `stop` is set.
pub fn run(
    search: &mut Search<'_>,
    source: &mut dyn Source,
    budget: Budget,
    seed: u64,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> End {
    let begin = Instant::now();
    let mut random = fastrand::Rng::with_seed(seed);
    let (reason, detail) = loop {
        let used = match budget {
            Budget::Time(time) => begin.elapsed().as_secs_f64() / time.as_secs_f64(),
            Budget::Pairs(most) => search.pairs().len() as f64 / most.max(1) as f64,
        };
        if stop.load(Ordering::Relaxed) {
            break (EndReason::Interrupted, None);
        }
        let (purpose, setting, reference) = match search.step(used) {
            Step::Done(reason) => break (reason, None),
            Step::Pair {
                purpose,
                setting,
                reference,
            } => (purpose, setting, reference),
        };
        match pair(source, (purpose, setting, reference), random.bool()) {
            Ok(pair) => {
                tell(Event::Pair(&pair, used));
                search.add(pair);
            }
            // A signal reaches workers and programs too: an error after it is its echo.
            Err(_) if stop.load(Ordering::Relaxed) => break (EndReason::Interrupted, None),
            Err((setting, Refusal::Cannot(why))) if setting != search.naive() => {
                let left_out = LeftOut { setting, why };
                tell(Event::LeftOut(&left_out));
                search.leave_out(left_out);
            }
            Err((_, Refusal::Cannot(why) | Refusal::Failed(why))) => {
                break (EndReason::Failed, Some(why));
            }
        }
    };
    End {
        reason,
        detail,
        elapsed_ns: begin.elapsed().as_nanos() as u64,
    }
}

/// Two blocks back to back; an error says whose it is.
fn pair(
    source: &mut dyn Source,
    (purpose, setting, reference): (Purpose, usize, usize),
    setting_first: bool,
) -> Result<Pair, (usize, Refusal)> {
    let mut block = |which: usize| source.block(which).map_err(|refusal| (which, refusal));
    let (measured, compared);
    if setting_first {
        measured = block(setting)?;
        compared = block(reference)?;
    } else {
        compared = block(reference)?;
        measured = block(setting)?;
    }
    Ok(Pair {
        purpose,
        setting,
        reference,
        setting_first,
        measured,
        compared,
    })
}
