//! How long something took, many times: count, sum, extremes, histogram.

use narrows_trace::Nanos;

/// Durations of one kind. Percentiles are those of the histogram's buckets (a sixteenth wide).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Sum.
    pub total: Nanos,
    /// Shortest; `None` while there is none.
    pub shortest: Option<Nanos>,
    /// Longest; `None` while there is none.
    pub longest: Option<Nanos>,
    /// Lower end of a bucket in nanoseconds, its upper end, its count; sorted, no end twice.
    buckets: Vec<(u64, u64, u64)>,
}

impl Times {
    /// From a table's numbers. `buckets` are lower end, upper end (not in it) and count.
    pub fn new(
        count: u64,
        total: Nanos,
        extremes: Option<(Nanos, Nanos)>,
        buckets: impl IntoIterator<Item = (Nanos, Nanos, u64)>,
    ) -> Times {
        let mut buckets: Vec<_> = buckets
            .into_iter()
            .filter(|&(_, _, count)| count > 0)
            .map(|(low, high, count)| (low.0, high.0.max(low.0), count))
            .collect();
        buckets.sort_unstable();
        let (shortest, longest) = extremes.unzip();
        Times {
            count,
            total,
            shortest,
            longest,
            buckets,
        }
    }

    /// From single durations, exact: for tests and small tables.
    pub fn of(durations: &[Nanos]) -> Times {
        let mut times = Times::default();
        for &duration in durations {
            let one = Some((duration, duration));
            times.add(&Times::new(
                1,
                duration,
                one,
                [(duration, Nanos(duration.0 + 1), 1)],
            ));
        }
        times
    }

    /// Adds `other`'s durations.
    pub fn add(&mut self, other: &Times) {
        self.count = self.count.saturating_add(other.count);
        self.total = Nanos(self.total.0.saturating_add(other.total.0));
        self.shortest = [self.shortest, other.shortest].into_iter().flatten().min();
        self.longest = [self.longest, other.longest].into_iter().flatten().max();
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let (mut ours, mut theirs) = (
            self.buckets.iter().peekable(),
            other.buckets.iter().peekable(),
        );
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if (a.0, a.1) == (b.0, b.1) => {
                    let sum = (a.0, a.1, a.2.saturating_add(b.2));
                    ours.next();
                    theirs.next();
                    sum
                }
                (Some(a), Some(b)) if a > b => pop(&mut theirs),
                (Some(_), _) => pop(&mut ours),
                (None, Some(_)) => pop(&mut theirs),
                (None, None) => break,
            };
            merged.push(next);
        }
        self.buckets = merged;
    }

    /// Mean in nanoseconds.
    pub fn mean_ns(&self) -> Option<f64> {
        // Sums stay far below 2^53 ns (104 days).
        (self.count > 0).then(|| self.total.0 as f64 / self.count as f64)
    }

    /// The duration that the fraction `q` of all lies at or below: the middle of its bucket, kept
    /// within the extremes.
    pub fn quantile(&self, q: f64) -> Option<Nanos> {
        let all: u64 = self.buckets.iter().map(|&(_, _, count)| count).sum();
        if all == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * all as f64).ceil() as u64).max(1);
        let mut below = 0;
        let bucket = self.buckets.iter().find(|&&(_, _, count)| {
            below += count;
            below >= rank
        });
        let &(low, high, _) = bucket.or(self.buckets.last())?;
        let middle = low + (high - low) / 2;
        let least = self.shortest.map_or(0, |shortest| shortest.0);
        let most = self.longest.map_or(u64::MAX, |longest| longest.0);
        Some(Nanos(middle.min(most).max(least.min(most))))
    }

    /// Counts by powers of two: lower end in nanoseconds (0 below 1 ns) and how many, ascending,
    /// without empty ones.
    pub fn octaves(&self) -> Vec<(u64, u64)> {
        let mut octaves: Vec<(u64, u64)> = Vec::new();
        for &(low, _, count) in &self.buckets {
            let from = low.checked_ilog2().map_or(0, |bits| 1 << bits);
            match octaves.last_mut() {
                Some((last, sum)) if *last == from => *sum = sum.saturating_add(count),
                _ => octaves.push((from, count)),
            }
        }
        octaves
    }
}

fn pop<'a>(
    buckets: &mut std::iter::Peekable<impl Iterator<Item = &'a (u64, u64, u64)>>,
) -> (u64, u64, u64) {
    buckets.next().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Times;
    use narrows_trace::Nanos;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_none() {
        let none = Times::default();
        assert_eq!(
            (none.mean_ns(), none.quantile(0.5), none.longest),
            (None, None, None)
        );
    }

    #[test]
    fn octaves_hold_every_duration() {
        let times = Times::of(&[0, 1, 2, 3, 5, 7, 4096, 5000].map(Nanos));
        assert_eq!(times.octaves(), [(0, 1), (1, 1), (2, 2), (4, 2), (4096, 2)]);
        assert!(Times::default().octaves().is_empty());
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_list(
            mut values in proptest::collection::vec(0_u64..5_000, 1..60),
            q in 0.0_f64..=1.0,
        ) {
            let times = Times::of(&values.iter().map(|&v| Nanos(v)).collect::<Vec<_>>());
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            prop_assert_eq!(times.quantile(q), Some(Nanos(values[rank - 1])));
            prop_assert_eq!(times.count, values.len() as u64);
            prop_assert_eq!(times.total, Nanos(values.iter().sum()));
            prop_assert_eq!(times.longest, values.last().map(|&v| Nanos(v)));
        }

        #[test]
        fn adding_is_the_same_in_any_order(
            a in proptest::collection::vec(0_u64..50, 0..20),
            b in proptest::collection::vec(0_u64..50, 0..20),
        ) {
            let of = |values: &[u64]| Times::of(&values.iter().map(|&v| Nanos(v)).collect::<Vec<_>>());
            let (mut ab, mut ba) = (of(&a), of(&b));
            ab.add(&of(&b));
            ba.add(&of(&a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab, of(&[a, b].concat()));
        }
    }
}
