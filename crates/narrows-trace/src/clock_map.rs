//! From ticks to nanoseconds: straight lines between the pairs that a recording carries.
//!
//! Between two pairs the counter is taken to run evenly; from pair to pair its rate may change.
//! Before the first and after the last pair the nearest line goes on. Pairs less than a
//! millisecond apart are not joined by a line: the error of reading them would tilt it.

use crate::{Nanos, Ticks};

/// Least distance of two pairs that are joined.
const LEAST: u64 = 1_000_000;

/// Both clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockPair {
    /// The counter.
    pub ticks: Ticks,
    /// The monotonic clock.
    pub nanos: Nanos,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    from: ClockPair,
    nanos_per_tick: f64,
}

/// Converts ticks of one process. Monotone: a later tick never gives an earlier time.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockMap {
    /// Ascending, never empty.
    lines: Vec<Line>,
    mean: f64,
    measured: bool,
}

/// Rounds without a call into the mathematics library.
#[inline]
fn nearest(nanos: f64) -> u64 {
    (nanos + 0.5) as u64
}

impl ClockMap {
    /// From pairs in any order. `stated_rate`: ticks per second as the processor states them,
    /// used when the pairs are too near to each other. Without either a tick counts as one
    /// nanosecond and [`ClockMap::is_measured`] is false.
    pub fn new(mut pairs: Vec<ClockPair>, stated_rate: Option<u64>) -> Self {
        pairs.sort_unstable();
        let mut points: Vec<ClockPair> = Vec::new();
        for pair in &pairs {
            let apart = points.last().is_none_or(|last| {
                pair.nanos.0 >= last.nanos.0.saturating_add(LEAST) && pair.ticks > last.ticks
            });
            if apart {
                points.push(*pair);
            }
        }
        let first = points.first().copied();
        let last = pairs.last().copied();
        let rate = |from: ClockPair, to: ClockPair| {
            to.nanos.0.saturating_sub(from.nanos.0) as f64 / to.ticks.since(from.ticks) as f64
        };
        let mut lines: Vec<Line> = points
            .iter()
            .zip(points.iter().skip(1))
            .map(|(from, to)| Line {
                from: *from,
                nanos_per_tick: rate(*from, *to),
            })
            .collect();
        let stated = stated_rate
            .filter(|rate| *rate > 0)
            .map(|rate| 1e9 / rate as f64);
        let near = first
            .zip(last)
            .filter(|(first, last)| last.ticks > first.ticks);
        let mean = match (points.first().zip(points.last()), stated, near) {
            (Some((first, last)), _, _) if last.ticks > first.ticks => rate(*first, *last),
            (_, Some(stated), _) => stated,
            (_, _, Some((first, last))) => rate(first, last),
            _ => 1.0,
        };
        let measured = !lines.is_empty() || stated.is_some() || near.is_some();
        if let Some(last) = points.last() {
            let nanos_per_tick = lines.last().map_or(mean, |line| line.nanos_per_tick);
            lines.push(Line {
                from: *last,
                nanos_per_tick,
            });
        } else {
            let from = ClockPair {
                ticks: Ticks(0),
                nanos: Nanos(0),
            };
            lines.push(Line {
                from,
                nanos_per_tick: mean,
            });
        }
        Self {
            lines,
            mean,
            measured,
        }
    }

    /// False when no pair and no stated rate was there: times are then counts of ticks.
    pub fn is_measured(&self) -> bool {
        self.measured
    }

    /// The time of an instant.
    pub fn nanos(&self, ticks: Ticks) -> Nanos {
        let after = self.lines.partition_point(|line| line.from.ticks <= ticks);
        self.on_line(after.saturating_sub(1), ticks)
    }

    #[inline]
    fn on_line(&self, index: usize, ticks: Ticks) -> Nanos {
        let Some(line) = self.lines.get(index) else {
            return Nanos(ticks.0);
        };
        let at = if ticks >= line.from.ticks {
            let past = ticks.since(line.from.ticks) as f64 * line.nanos_per_tick;
            line.from.nanos.0.saturating_add(nearest(past))
        } else {
            let before = line.from.ticks.since(ticks) as f64 * line.nanos_per_tick;
            line.from.nanos.0.saturating_sub(nearest(before))
        };
        let limit = self
            .lines
            .get(index + 1)
            .map_or(u64::MAX, |next| next.from.nanos.0);
        Nanos(at.min(limit))
    }

    /// A length of time, at the mean rate of the whole recording.
    pub fn length(&self, ticks: u64) -> Nanos {
        Nanos(nearest(ticks as f64 * self.mean))
    }

    /// Converts ascending ticks faster than [`ClockMap::nanos`].
    pub fn cursor(&self) -> ClockCursor<'_> {
        ClockCursor { map: self, line: 0 }
    }
}

/// Remembers the line of the last conversion.
#[derive(Clone, Debug)]
pub struct ClockCursor<'a> {
    map: &'a ClockMap,
    line: usize,
}

impl ClockCursor<'_> {
    /// The same as [`ClockMap::nanos`].
    #[inline]
    pub fn nanos(&mut self, ticks: Ticks) -> Nanos {
        let lines = &self.map.lines;
        let fits = |line: usize| {
            lines.get(line).is_some_and(|line| line.from.ticks <= ticks)
                && lines
                    .get(line + 1)
                    .is_none_or(|next| ticks < next.from.ticks)
        };
        if !fits(self.line) {
            let after = lines.partition_point(|line| line.from.ticks <= ticks);
            self.line = after.saturating_sub(1);
        }
        self.map.on_line(self.line, ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(ticks: u64, nanos: u64) -> ClockPair {
        ClockPair {
            ticks: Ticks(ticks),
            nanos: Nanos(nanos),
        }
    }

    #[test]
    fn pairs_are_met_and_lines_go_on() {
        let map = ClockMap::new(
            vec![pair(3_000_000, 12_000_000), pair(1_000_000, 10_000_000)],
            None,
        );
        assert_eq!(map.nanos(Ticks(1_000_000)), Nanos(10_000_000));
        assert_eq!(map.nanos(Ticks(2_000_000)), Nanos(11_000_000));
        assert_eq!(map.nanos(Ticks(5_000_000)), Nanos(14_000_000));
        assert_eq!(map.nanos(Ticks(0)), Nanos(9_000_000));
        assert!(map.is_measured());
    }

    #[test]
    fn a_counter_that_changes_its_rate_is_followed() {
        let map = ClockMap::new(
            vec![
                pair(0, 0),
                pair(1_000_000, 2_000_000),
                pair(9_000_000, 4_000_000),
            ],
            None,
        );
        assert_eq!(map.nanos(Ticks(500_000)), Nanos(1_000_000));
        assert_eq!(map.nanos(Ticks(5_000_000)), Nanos(3_000_000));
    }

    #[test]
    fn a_short_recording_uses_the_stated_rate() {
        let near = vec![pair(100, 1000), pair(1_000, 1_900)];
        let map = ClockMap::new(near.clone(), Some(2_000_000_000));
        assert_eq!(map.length(2_000), Nanos(1_000));
        assert_eq!(ClockMap::new(near, None).length(2_000), Nanos(2_000));
    }

    #[test]
    fn without_pairs_it_says_so() {
        let map = ClockMap::new(Vec::new(), None);
        assert!(!map.is_measured());
        assert_eq!(map.nanos(Ticks(5)), Nanos(5));
    }

    proptest! {
        #[test]
        fn time_never_goes_back(
            pairs in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20),
            rate in any::<Option<u64>>(),
            mut ticks in prop::collection::vec(any::<u64>(), 2..50),
        ) {
            let pairs = pairs.into_iter().map(|(ticks, nanos)| pair(ticks, nanos)).collect();
            let map = ClockMap::new(pairs, rate);
            ticks.sort_unstable();
            let mut cursor = map.cursor();
            let mut last = Nanos(0);
            for tick in ticks {
                let now = map.nanos(Ticks(tick));
                prop_assert!(now >= last);
                prop_assert_eq!(cursor.nanos(Ticks(tick)), now);
                last = now;
            }
        }
    }
}
