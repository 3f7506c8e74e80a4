//! Cuts nested spans into the pieces in which each is the innermost one.
//!
//! The same rules as [`super::super::partition::Partition`], which only sums; here the pieces
//! themselves are given, as soon as they are known.

use narrows_trace::Nanos;

/// Finished spans kept for a parent that may still come; older ones are merged, and what lies
/// between those is given to no parent.
const MOST_OPEN: usize = 1 << 16;

/// Takes spans in the order of their ends.
#[derive(Debug, Default)]
pub(in super::super) struct Pieces {
    /// Starts and ends of spans, disjoint and ascending.
    done: Vec<(u64, u64)>,
}

impl Pieces {
    /// Takes one span in and gives the pieces of it that no inner span has had, last one first.
    pub(in super::super) fn add(
        &mut self,
        start: Nanos,
        end: Nanos,
        mut piece: impl FnMut(u64, u64),
    ) {
        let (mut start, end) = (start.0, end.0);
        let last_end = self.done.last().map_or(0, |d| d.1);
        if end <= start || end < last_end {
            return;
        }
        let mut free_until = end;
        while let Some((from, to)) = self.done.pop_if(|d| d.0 >= start) {
            if to < free_until {
                piece(to, free_until);
            }
            free_until = from;
        }
        if let Some(before) = self.done.last().filter(|d| d.1 > start) {
            start = before.1;
        }
        if start < free_until {
            piece(start, free_until);
        }
        self.done.push((start, end));
        if self.done.len() > MOST_OPEN {
            let half = self.done.len() / 2;
            let merged = (self.done[0].0, self.done[half - 1].1);
            self.done.splice(..half, [merged]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::partition::{Partition, State, Window};
    use narrows_trace::CallId;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn pieces(spans: &[(u64, u64, u16)]) -> Vec<(u64, u64, u16)> {
        let (mut pieces, mut found) = (Pieces::default(), Vec::new());
        for &(start, end, what) in spans {
            pieces.add(Nanos(start), Nanos(end), |a, b| found.push((a, b, what)));
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn a_parent_gets_the_gaps() {
        let found = pieces(&[(20, 50, 1), (60, 65, 2), (10, 80, 3), (90, 95, 4)]);
        assert_eq!(
            found,
            [
                (10, 20, 3),
                (20, 50, 1),
                (50, 60, 3),
                (60, 65, 2),
                (65, 80, 3),
                (90, 95, 4)
            ]
        );
    }

    proptest! {
        /// The same times per state as the partition, and no two pieces overlap.
        #[test]
        fn pieces_sum_to_the_partition(
            mut spans in proptest::collection::vec((0u64..500, 1u64..120, 10u16..14), 0..60)
        ) {
            let end = |s: &(u64, u64, u16)| s.0 + s.1;
            spans.sort_by_key(end);
            let spans: Vec<_> = spans.iter().map(|s| (s.0, end(s), s.2)).collect();
            let mut partition = Partition::new(Window { start: Nanos(0), end: Nanos(1000) });
            for &(start, end, what) in &spans {
                partition.add(Nanos(start), Nanos(end), State::In(CallId(what)));
            }
            let mut sums: HashMap<State, u64> = HashMap::new();
            let found = pieces(&spans);
            for pair in found.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0, "{:?}", found);
            }
            for (start, end, what) in found {
                *sums.entry(State::In(CallId(what))).or_default() += end - start;
            }
            let mut expected = partition.finish().times;
            expected.remove(&State::Outside);
            prop_assert_eq!(sums, expected);
        }
    }
}
