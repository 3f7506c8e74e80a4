//! First pass: what is an op in this program, which threads do them, when were all at work.

use super::super::partition::Window;
use super::super::profile::OpSource;
use super::Source;
use super::gpu::Spans;
use super::starved::{Waited, starved};
use narrows_trace::reader::{Process, What};
use narrows_trace::{CallId, CallKind, LockAddr, Nanos, ObjectId, ThreadNo};
use std::collections::HashMap;

/// A thread does ops if it does at least this share of what the busiest does.
const SHARE: f64 = 0.05;
/// And at least this many.
const FEWEST: u64 = 2;

/// Ends of the ops of one thread under one way of telling.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpTimes {
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl OpTimes {
    fn add(&mut self, at: Nanos) {
        if self.count == 0 {
            self.first = at.0;
        }
        self.last = at.0;
        self.count += 1;
    }
}

/// Tells ops from a thread's calls, one way per [`OpSource`].
pub(super) struct OpTeller {
    source: OpSource,
    submitted: bool,
}

impl OpTeller {
    pub(super) fn new(source: OpSource) -> Self {
        OpTeller {
            source,
            submitted: false,
        }
    }

    /// Whether this call ends an op.
    pub(super) fn ends_op(&mut self, call: CallId, kind: Option<CallKind>) -> bool {
        match self.source {
            OpSource::Marks => call == CallId::OP || kind == Some(CallKind::Op),
            OpSource::Submissions => kind == Some(CallKind::Submit),
            OpSource::SubmitAndWait => match kind {
                Some(CallKind::Submit) => {
                    self.submitted = true;
                    false
                }
                Some(CallKind::Sync) => std::mem::take(&mut self.submitted),
                _ => false,
            },
            OpSource::None => false,
        }
    }
}

/// What each call does, by its id: looked up for every event.
pub(super) fn kinds(process: &Process) -> Vec<Option<CallKind>> {
    let mut kinds = vec![None; usize::from(CallId::LIMIT)];
    for (call, info) in &process.calls {
        if let Some(kind) = kinds.get_mut(usize::from(call.0)) {
            *kind = Some(info.kind);
        }
    }
    kinds
}

/// One thread after the first pass.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) process: usize,
    pub(super) thread: ThreadNo,
    pub(super) marks: OpTimes,
    pub(super) waits: OpTimes,
    pub(super) submissions: OpTimes,
    pub(super) locks: Waited,
    pub(super) lost: u64,
}

/// All threads, and who woke whom.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) threads: Vec<Seen>,
    /// Wakes per (process, lock) and waking thread.
    pub(super) wakes: HashMap<(usize, LockAddr), HashMap<ThreadNo, u64>>,
    pub(super) lost_events: u64,
    /// Share of the time in which the device worked, in the process where that is most.
    pub(super) gpu_busy: Option<f64>,
    /// Instants on a queue's clock and on ours, ascending; the first ones of each queue.
    pub(super) clocks: HashMap<(usize, ObjectId), Vec<(Nanos, Nanos)>>,
}

/// Pairs of instants kept per queue.
const MOST_CLOCKS: usize = 1 << 14;

pub(super) fn scan(source: &Source<'_>) -> Scan {
    let mut scan = Scan::default();
    for (index, process) in source.trace.processes.iter().enumerate() {
        let record = &source.recording.processes[index];
        let kinds = kinds(process);
        let mut spans = Spans::default();
        for number in process.timeline.threads() {
            let made = record.threads.iter().find(|t| t.no == number);
            let lost = made.map_or(0, |t| t.made.saturating_sub(t.kept));
            scan.lost_events += lost;
            let mut seen = Seen {
                process: index,
                thread: number,
                marks: OpTimes::default(),
                waits: OpTimes::default(),
                submissions: OpTimes::default(),
                locks: Waited::default(),
                lost,
            };
            let mut tellers = [
                OpTeller::new(OpSource::Marks),
                OpTeller::new(OpSource::SubmitAndWait),
                OpTeller::new(OpSource::Submissions),
            ];
            let mut clock = process.clock.cursor();
            for event in process.timeline.thread(number) {
                match event.what {
                    What::Call { call, end, .. } => {
                        let kind = kinds.get(usize::from(call.0)).copied().flatten();
                        let times = [&mut seen.marks, &mut seen.waits, &mut seen.submissions];
                        for (teller, times) in tellers.iter_mut().zip(times) {
                            if teller.ends_op(call, kind) {
                                times.add(clock.nanos(end));
                            }
                        }
                    }
                    What::Wait { wait, .. } => {
                        let (start, end) = (clock.nanos(wait.start), clock.nanos(wait.end));
                        seen.locks.add(wait.kind, wait.lock, start, end);
                    }
                    What::GpuSpan(span) => spans.add(span.begin.0, span.end.0),
                    What::Wake { lock, .. } => {
                        let by = scan.wakes.entry((index, lock)).or_default();
                        *by.entry(number).or_default() += 1;
                    }
                    What::GpuClock { queue, gpu, at } => {
                        let pairs = scan.clocks.entry((index, queue)).or_default();
                        if pairs.len() < MOST_CLOCKS {
                            pairs.push((gpu, clock.nanos(at)));
                        }
                    }
                    _ => {}
                }
            }
            scan.threads.push(seen);
        }
        scan.gpu_busy = match (scan.gpu_busy, spans.busy()) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }
    // Several threads may read the clock of one queue.
    scan.clocks
        .values_mut()
        .for_each(|pairs| pairs.sort_unstable());
    scan
}

/// One thread that does ops.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpThread {
    pub(super) process: usize,
    pub(super) thread: ThreadNo,
}

/// What the second pass looks at.
pub(super) struct Plan {
    pub(super) source: OpSource,
    pub(super) threads: Vec<OpThread>,
    pub(super) window: Window,
    pub(super) cut_by_loss: bool,
}

/// `None`: no thread does ops, or no two of them ever worked at the same time.
pub(super) fn plan(scan: &Scan) -> Option<Plan> {
    let any = |of: fn(&Seen) -> OpTimes| scan.threads.iter().any(|t| of(t).count >= FEWEST);
    let (source, of): (_, fn(&Seen) -> OpTimes) = if any(|t| t.marks) {
        (OpSource::Marks, |t| t.marks)
    } else if any(|t| t.waits) {
        (OpSource::SubmitAndWait, |t| t.waits)
    } else if any(|t| t.submissions) {
        (OpSource::Submissions, |t| t.submissions)
    } else {
        return None;
    };
    let most = scan.threads.iter().map(|t| of(t).count).max()?;
    let fewest = ((most as f64 * SHARE) as u64).max(FEWEST);
    let chosen: Vec<&Seen> = scan
        .threads
        .iter()
        .filter(|t| of(t).count >= fewest)
        .collect();
    // From the end of everybody's first op: start-up is not scaling.
    let start = chosen.iter().map(|t| of(t).first).max()?;
    let end = chosen.iter().map(|t| of(t).last).min()?;
    let window = Window {
        start: Nanos(start),
        end: Nanos(end),
    };
    if window.length() == 0 {
        return None;
    }
    let mut threads: Vec<OpThread> = chosen
        .iter()
        .map(|t| OpThread {
            process: t.process,
            thread: t.thread,
        })
        .collect();
    threads.extend(starved(&scan.threads, &chosen, of, window.length()));
    Some(Plan {
        source,
        threads,
        window,
        cut_by_loss: chosen.iter().any(|t| t.lost > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(thread: u32, first: u64, last: u64, count: u64) -> Seen {
        Seen {
            process: 0,
            thread: ThreadNo(thread),
            marks: OpTimes::default(),
            waits: OpTimes { count, first, last },
            submissions: OpTimes {
                count: count * 3,
                first,
                last,
            },
            locks: Waited::default(),
            lost: 0,
        }
    }

    #[test]
    fn a_thread_that_an_unfair_lock_keeps_out_is_one_of_them() {
        let (lock, other) = (LockAddr(64), LockAddr(128));
        let waiting = |mut thread: Seen, lock, ns| {
            thread.locks = Waited::of(lock, ns);
            thread
        };
        let threads = vec![
            waiting(seen(1, 10, 1000, 50), lock, 300),
            // Starved; its one op does not cut the window short.
            waiting(seen(2, 990, 990, 1), lock, 900),
            // Waits for something else, does no op, or waits little.
            waiting(seen(3, 990, 990, 1), other, 900),
            waiting(seen(4, 0, 0, 0), lock, 900),
            waiting(seen(5, 990, 990, 1), lock, 100),
        ];
        let scan = Scan {
            threads,
            ..Scan::default()
        };
        let plan = plan(&scan).unwrap();
        let numbers: Vec<u32> = plan.threads.iter().map(|t| t.thread.0).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!((plan.window.start.0, plan.window.end.0), (10, 1000));
    }

    #[test]
    fn a_wait_after_a_submission_ends_an_op() {
        let mut teller = OpTeller::new(OpSource::SubmitAndWait);
        let (submit, sync) = (Some(CallKind::Submit), Some(CallKind::Sync));
        let ends: Vec<bool> = [sync, submit, submit, None, sync, sync, submit, sync]
            .into_iter()
            .map(|kind| teller.ends_op(CallId(9), kind))
            .collect();
        assert_eq!(ends, [false, false, false, false, true, false, false, true]);
    }

    #[test]
    fn the_window_is_when_all_were_at_work() {
        let threads = vec![
            seen(1, 10, 100, 50),
            seen(2, 30, 120, 60),
            seen(3, 0, 500, 2),
        ];
        let plan = plan(&Scan {
            threads,
            ..Scan::default()
        })
        .unwrap();
        assert_eq!(plan.source, OpSource::SubmitAndWait);
        assert_eq!(
            plan.threads.len(),
            2,
            "two waits beside sixty are no op thread"
        );
        assert_eq!((plan.window.start.0, plan.window.end.0), (30, 100));
    }

    #[test]
    fn threads_one_after_the_other_have_no_window() {
        let threads = vec![seen(1, 10, 100, 50), seen(2, 200, 300, 60)];
        assert!(
            plan(&Scan {
                threads,
                ..Scan::default()
            })
            .is_none()
        );
        assert!(plan(&Scan::default()).is_none());
    }
}
