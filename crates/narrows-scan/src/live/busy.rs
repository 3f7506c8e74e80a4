//! When the device worked, by its own clock: of one thread, and of all together.

use narrows_gpu::Worked;
use serde::{Deserialize, Serialize};

/// Share of the times that must be known.
const KNOWN: f64 = 0.9;
/// Stretches of work that a process tells its parent in a block, about 100 kB.
const MOST_TOLD: usize = 8192;
/// Idle time, as a share of the busy time, that may be taken for busy to come down to that number.
const CLOSED: f64 = 0.01;

/// When the device worked for one thread or process in a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Busy {
    /// Idle time before each stretch of work (of the first: since the clock's zero) and its length.
    stretches: Vec<(u64, u64)>,
    /// Sum over all submissions, also where two overlap.
    total_ns: u64,
}

/// The same for several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Union {
    /// Time in which the device worked for any of them.
    pub(crate) busy_ns: u64,
    /// Sum over all submissions.
    pub(crate) total_ns: u64,
}

impl Busy {
    /// From the times in any order; `None` where too few are known: `untold` more were not told.
    pub(crate) fn new(mut worked: Vec<Worked>, untold: u64) -> Option<Self> {
        let known = worked.len() as f64;
        if worked.is_empty() || known < KNOWN * (known + untold as f64) {
            return None;
        }
        worked.sort_unstable();
        let total_ns = worked.iter().map(|w| w.end_ns.saturating_sub(w.begin_ns));
        Some(Self {
            total_ns: total_ns.sum(),
            stretches: stretches(&joined(worked)),
        })
    }

    /// With at most [`MOST_TOLD`] stretches: the shortest idle times between them are taken for
    /// busy. `None` where that would change the busy time by more than a hundredth.
    pub(crate) fn bounded(mut self) -> Option<Self> {
        let more = self.stretches.len().saturating_sub(MOST_TOLD);
        if more == 0 {
            return Some(self);
        }
        let mut idle: Vec<u64> = self.stretches[1..].iter().map(|(idle, _)| *idle).collect();
        idle.sort_unstable();
        let closed: u64 = idle[..more].iter().sum();
        let busy: u64 = self.stretches.iter().map(|(_, busy)| busy).sum();
        if closed as f64 > CLOSED * busy as f64 {
            return None;
        }
        let longest = idle[more - 1];
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(MOST_TOLD);
        for (idle, busy) in self.stretches {
            match kept.last_mut() {
                Some((_, before)) if idle <= longest => *before += idle + busy,
                _ => kept.push((idle, busy)),
            }
        }
        self.stretches = kept;
        Some(self)
    }

    /// Sum over all submissions.
    #[cfg(test)]
    pub(crate) fn total_ns(&self) -> u64 {
        self.total_ns
    }

    fn spans(&self) -> impl Iterator<Item = Worked> {
        let mut now = 0u64;
        self.stretches.iter().map(move |(idle, busy)| {
            let begin_ns = now.saturating_add(*idle);
            now = begin_ns.saturating_add(*busy);
            Worked {
                begin_ns,
                end_ns: now,
            }
        })
    }
}

/// Of all together; `None` where one of them does not know.
pub(crate) fn union<'a>(all: impl IntoIterator<Item = Option<&'a Busy>>) -> Option<Union> {
    let all: Vec<&Busy> = all.into_iter().collect::<Option<_>>()?;
    if all.is_empty() {
        return None;
    }
    let mut spans: Vec<Worked> = all.iter().flat_map(|b| b.spans()).collect();
    spans.sort_unstable();
    Some(Union {
        busy_ns: joined(spans)
            .iter()
            .map(|w| w.end_ns.saturating_sub(w.begin_ns))
            .sum(),
        total_ns: all.iter().map(|b| b.total_ns).sum(),
    })
}

/// Those that overlap or touch as one; sorted.
fn joined(mut spans: Vec<Worked>) -> Vec<Worked> {
    spans.dedup_by(|next, before| {
        let touches = next.begin_ns <= before.end_ns;
        if touches {
            before.end_ns = before.end_ns.max(next.end_ns);
        }
        touches
    });
    spans
}

/// Of spans that are sorted and apart.
fn stretches(spans: &[Worked]) -> Vec<(u64, u64)> {
    let mut now = 0;
    spans
        .iter()
        .map(|w| {
            let stretch = (w.begin_ns - now, w.end_ns.saturating_sub(w.begin_ns));
            now = w.begin_ns + stretch.1;
            stretch
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(untold: u64, worked: &[(u64, u64)]) -> Option<Busy> {
        let span = |&(begin_ns, end_ns)| Worked { begin_ns, end_ns };
        Busy::new(worked.iter().map(span).collect(), untold)
    }

    #[test]
    fn the_device_is_busy_while_it_works_for_anyone() {
        // Overlapping, one inside another, one apart, in any order.
        let one = busy(0, &[(150, 160), (100, 200)]);
        let two = busy(0, &[(400, 410), (180, 250)]);
        let both = union([one.as_ref(), two.as_ref()]).unwrap();
        assert_eq!((both.busy_ns, both.total_ns), (160, 190));
        assert_eq!(union([]), None);
        assert_eq!(union([one.as_ref(), None]), None);
    }

    #[test]
    fn what_a_process_tells_arrives_as_it_was() {
        let told = busy(0, &[(5, 9), (100, 200), (200, 210), (400, 410)]).unwrap();
        assert_eq!(told.stretches, [(5, 4), (91, 110), (190, 10)]);
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<Busy>(&text).unwrap(), told);
        let other = busy(0, &[(150, 300)]).unwrap();
        assert_eq!(
            union([Some(&told), Some(&other)]).unwrap().busy_ns,
            4 + 200 + 10
        );
    }

    #[test]
    fn too_few_times_are_not_measured() {
        assert_eq!(busy(0, &[]), None);
        assert!(busy(0, &[(1, 2)]).is_some());
        assert_eq!(busy(1, &[(1, 2)]), None);
    }

    /// So many ops of `op` ns, each `idle` after the one before.
    fn many(count: u64, op: u64, idle: u64) -> Busy {
        let worked: Vec<(u64, u64)> = (0..count)
            .map(|i| (1000 + i * (op + idle), 1000 + i * (op + idle) + op))
            .collect();
        busy(0, &worked).unwrap()
    }

    #[test]
    fn what_a_process_tells_is_bounded() {
        let few = many(MOST_TOLD as u64, 10, 10);
        assert_eq!(few.clone().bounded().unwrap(), few);
        // Idle for a thousandth: joined. Idle for a half: not told, never wrong.
        let many_of_them = 4 * MOST_TOLD as u64;
        let full = many(many_of_them, 1000, 1).bounded().unwrap();
        assert!(full.stretches.len() <= MOST_TOLD);
        let busy_ns = union([Some(&full)]).unwrap().busy_ns as f64;
        let right = many_of_them as f64 * 1000.0;
        assert!(
            (0.0..=CLOSED).contains(&(busy_ns / right - 1.0)),
            "{busy_ns}"
        );
        assert_eq!(full.total_ns as f64, right);
        assert_eq!(many(many_of_them, 10, 10).bounded(), None);
        assert!(serde_json::to_string(&full).unwrap().len() < 200_000);
    }
}
