//! Splits one thread's time into exclusive states: the innermost wait, the call it runs in, or
//! outside all calls.
//!
//! Events come in the order in which they ended, as a thread records them, so a call's inner calls
//! and waits come before the call itself. The times of all states sum to the window exactly, in
//! whole nanoseconds, whatever the input: spans that overlap without nesting (a clock that went
//! back, a mark closed in another order) are trimmed and counted.

use narrows_trace::{CallId, CodeAddr, LockAddr, Nanos, WaitKind};
use std::collections::HashMap;

/// Finished spans kept for a parent that may still come; older ones are merged.
const MOST_OPEN: usize = 1 << 16;

/// A stretch of time, `start` included, `end` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First instant.
    pub start: Nanos,
    /// First instant after it.
    pub end: Nanos,
}

impl Window {
    /// Length in nanoseconds; 0 if it ends before it starts.
    pub fn length(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }
}

/// What a thread does at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Outside all recorded calls and waits.
    Outside,
    /// In a call, outside any wait or inner call.
    In(CallId),
    /// In a wait.
    Waiting {
        /// On what kind of lock.
        kind: WaitKind,
        /// Return address of the lock function.
        site: CodeAddr,
        /// The lock.
        lock: LockAddr,
        /// The call around the wait, or [`CallId::NONE`].
        call: CallId,
    },
}

/// Exclusive times of one thread within a window; they sum to the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTimes {
    /// The window.
    pub window: Window,
    /// Nanoseconds per state.
    pub times: HashMap<State, u64>,
    /// Spans that overlapped others without nesting, and were trimmed.
    pub trimmed: u64,
}

/// A span, or several merged ones, that a later parent may enclose.
struct Done {
    start: u64,
    end: u64,
    covered: u64,
}

/// Takes spans in the order of their ends.
pub struct Partition {
    window: Window,
    done: Vec<Done>,
    /// Time in calls, by call id: most events are calls, and hashing each would cost more than all
    /// the rest.
    calls: Vec<u64>,
    waits: HashMap<State, u64>,
    trimmed: u64,
}

impl Partition {
    /// Nothing but [`State::Outside`] in `window`.
    pub fn new(window: Window) -> Partition {
        Partition {
            window,
            done: Vec::new(),
            calls: vec![0; usize::from(CallId::LIMIT)],
            waits: HashMap::new(),
            trimmed: 0,
        }
    }

    /// Takes one span in. Parts outside the window do not count.
    pub fn add(&mut self, start: Nanos, end: Nanos, state: State) {
        let mut start = start.0.max(self.window.start.0);
        let end = end.0.min(self.window.end.0);
        let last_end = self.done.last().map_or(0, |d| d.end);
        if end <= start {
            return;
        }
        if end < last_end {
            self.trimmed += 1;
            return;
        }
        let mut inside = 0;
        while let Some(child) = self.done.pop_if(|d| d.start >= start) {
            inside += child.covered;
        }
        if let Some(before) = self.done.last().filter(|d| d.end > start) {
            self.trimmed += 1;
            start = before.end;
        }
        // Children lie in [start, end) and are disjoint, so `inside` never exceeds the length.
        let own = end - start - inside;
        match state {
            State::In(call) if call.0 < CallId::LIMIT => self.calls[usize::from(call.0)] += own,
            _ => *self.waits.entry(state).or_default() += own,
        }
        self.done.push(Done {
            start,
            end,
            covered: end - start,
        });
        if self.done.len() > MOST_OPEN {
            self.merge_oldest();
        }
    }

    /// A parent that started inside the merged stretch will be trimmed to its end.
    fn merge_oldest(&mut self) {
        let half = self.done.len() / 2;
        let merged = self.done.drain(..half).reduce(|a, b| Done {
            start: a.start,
            end: b.end,
            covered: a.covered + b.covered,
        });
        self.done.splice(0..0, merged);
    }

    /// The rest of the window is [`State::Outside`].
    pub fn finish(self) -> ThreadTimes {
        let covered: u64 = self.done.iter().map(|d| d.covered).sum();
        let mut times = self.waits;
        *times.entry(State::Outside).or_default() += self.window.length() - covered;
        let calls = self.calls.iter().enumerate();
        times.extend(calls.map(|(call, ns)| (State::In(CallId(call as u16)), *ns)));
        times.retain(|_, ns| *ns > 0);
        ThreadTimes {
            window: self.window,
            times,
            trimmed: self.trimmed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: State = State::In(CallId(10));
    const B: State = State::In(CallId(11));

    fn wait() -> State {
        let (site, lock) = (CodeAddr(0x1000), LockAddr(0x2000));
        State::Waiting {
            kind: WaitKind::Mutex,
            site,
            lock,
            call: CallId(10),
        }
    }

    fn times(window: (u64, u64), spans: &[(u64, u64, State)]) -> ThreadTimes {
        let window = Window {
            start: Nanos(window.0),
            end: Nanos(window.1),
        };
        let mut partition = Partition::new(window);
        spans
            .iter()
            .for_each(|(s, e, state)| partition.add(Nanos(*s), Nanos(*e), *state));
        partition.finish()
    }

    #[test]
    fn the_innermost_wins() {
        let split = times(
            (0, 100),
            &[(20, 50, wait()), (60, 65, B), (10, 80, A), (90, 95, B)],
        );
        assert_eq!(split.times[&wait()], 30);
        assert_eq!(split.times[&A], 70 - 30 - 5);
        assert_eq!(split.times[&B], 10);
        assert_eq!(split.times[&State::Outside], 25);
        assert_eq!(split.trimmed, 0);
    }

    #[test]
    fn the_window_cuts() {
        let split = times(
            (30, 70),
            &[(0, 10, B), (20, 50, wait()), (10, 80, A), (90, 95, B)],
        );
        assert_eq!(split.times[&wait()], 20);
        assert_eq!(split.times[&A], 20);
        assert_eq!(split.times.len(), 2);
    }

    #[test]
    fn overlap_is_trimmed_and_counted() {
        let split = times((0, 100), &[(10, 50, A), (40, 60, B)]);
        assert_eq!(
            (split.times[&A], split.times[&B], split.trimmed),
            (40, 10, 1)
        );
    }

    #[test]
    fn a_million_spans_are_held_in_bounds() {
        let window = Window {
            start: Nanos(0),
            end: Nanos(10_000_000),
        };
        let mut partition = Partition::new(window);
        for i in 0..1_000_000u64 {
            partition.add(Nanos(i * 10), Nanos(i * 10 + 4), A);
            assert!(partition.done.len() <= MOST_OPEN + 1);
        }
        let split = partition.finish();
        assert_eq!(split.times[&A], 4_000_000);
        assert_eq!(split.times[&State::Outside], 6_000_000);
    }

    proptest! {
        /// Law 1 at its root: whatever comes in, the states sum to the window.
        #[test]
        fn states_sum_to_the_window(
            start in 0u64..1000,
            length in 0u64..5000,
            spans in proptest::collection::vec((0u64..6000, 0u64..900, 0u8..3), 0..200),
            sort in any::<bool>(),
        ) {
            let state = |which| match which { 0 => A, 1 => B, _ => wait() };
            let mut spans: Vec<_> =
                spans.iter().map(|(s, l, w)| (*s, s + l, state(*w))).collect();
            if sort {
                spans.sort_by_key(|(_, end, _)| *end);
            }
            let split = times((start, start + length), &spans);
            prop_assert_eq!(split.times.values().sum::<u64>(), length);
        }

        /// Against a brute force over every instant, for properly nested input.
        #[test]
        fn nested_spans_split_as_instant_by_instant(depths in proptest::collection::vec(0u8..4, 1..120)) {
            // One instant per entry: its depth says how many of the nested calls cover it.
            let mut spans = Vec::new();
            for level in 1..4u8 {
                let mut open = None;
                for (at, depth) in depths.iter().chain([&0]).enumerate() {
                    match (open, *depth >= level) {
                        (None, true) => open = Some(at as u64),
                        (Some(from), false) => {
                            spans.push((from, at as u64, level));
                            open = None;
                        }
                        _ => {}
                    }
                }
            }
            spans.sort_by_key(|(_, end, level)| (*end, std::cmp::Reverse(*level)));
            let spans: Vec<_> =
                spans.iter().map(|(s, e, l)| (*s, *e, State::In(CallId(u16::from(*l))))).collect();
            let split = times((0, depths.len() as u64), &spans);
            for level in 1..4u16 {
                let wanted = depths.iter().filter(|d| u16::from(**d) == level).count() as u64;
                let got = split.times.get(&State::In(CallId(level))).copied().unwrap_or(0);
                prop_assert_eq!(got, wanted);
            }
            prop_assert_eq!(split.trimmed, 0);
        }
    }
}
