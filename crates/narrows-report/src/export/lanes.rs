//! Keeps slices properly nested, or apart where they overlap.

use std::collections::VecDeque;

/// Ends of the last slices at one level that are remembered.
const REMEMBERED: usize = 64;

/// Slices of one thread come by their ends; a trace viewer pairs begins and ends by nesting. Two
/// slices that overlap without nesting, or an inner one that begins at the very instant of the
/// outer one, would be paired wrongly: their starts are moved by as little as it takes.
#[derive(Debug, Default)]
pub(super) struct Nest {
    /// Starts and ends of the latest slices that no later one has enclosed.
    done: VecDeque<(u64, u64)>,
}

impl Nest {
    /// The start to use for a slice, `start <= end`, behind all those given before.
    pub(super) fn place(&mut self, start: u64, end: u64) -> u64 {
        let mut start = start.min(end);
        let mut first_child = None;
        while let Some(&(inner, _)) = self.done.back().filter(|done| done.0 >= start) {
            first_child = Some(inner);
            self.done.pop_back();
        }
        if first_child == Some(start) {
            start = start.saturating_sub(1);
        }
        if let Some(&(_, before)) = self.done.back() {
            // The one before is neither inside nor over: it must end first.
            start = start.max(before.min(end));
        }
        self.done.push_back((start, end));
        if self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
        start
    }
}

/// Lanes for slices that may overlap freely: each goes to the first lane that is free.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    ends: Vec<u64>,
}

/// More lanes than this are no picture any more; what comes then shares the last one.
pub(super) const MOST_LANES: usize = 64;

impl Lanes {
    /// The lane of a slice, and the start to use there.
    pub(super) fn place(&mut self, start: u64, end: u64) -> (usize, u64) {
        let free = self.ends.iter().position(|&busy| busy <= start);
        let lane = free.unwrap_or(self.ends.len().min(MOST_LANES - 1));
        if lane == self.ends.len() {
            self.ends.push(0);
        }
        let start = start.max(self.ends[lane]).min(end);
        self.ends[lane] = self.ends[lane].max(end);
        (lane, start)
    }
}

#[cfg(test)]
mod tests {
    use super::{Lanes, Nest};
    use proptest::prelude::*;

    #[test]
    fn nested_slices_stay_as_they_are() {
        let mut nest = Nest::default();
        assert_eq!(nest.place(12, 14), 12);
        assert_eq!(nest.place(15, 18), 15);
        assert_eq!(nest.place(10, 20), 10);
        assert_eq!(nest.place(20, 30), 20);
    }

    #[test]
    fn a_child_at_the_same_start_moves_its_parent() {
        let mut nest = Nest::default();
        assert_eq!(nest.place(10, 14), 10);
        assert_eq!(nest.place(10, 20), 9);
    }

    #[test]
    fn an_overlap_is_cut() {
        let mut nest = Nest::default();
        assert_eq!(nest.place(10, 20), 10);
        assert_eq!(nest.place(15, 30), 20);
    }

    proptest! {
        #[test]
        fn lanes_never_overlap(mut slices in proptest::collection::vec((0_u64..200, 0_u64..30), 0..60)) {
            slices.sort_by_key(|&(start, length)| start + length);
            let mut lanes = Lanes::default();
            let mut ends = std::collections::BTreeMap::new();
            for (start, length) in slices {
                let end = start + length;
                let (lane, placed) = lanes.place(start, end);
                let before = ends.insert(lane, end).unwrap_or(0);
                prop_assert!(before <= placed && start <= placed && placed <= end);
            }
        }

        #[test]
        fn placed_slices_nest_or_lie_apart(mut slices in proptest::collection::vec((0_u64..200, 0_u64..60), 0..40)) {
            slices.sort_by_key(|&(start, length)| start + length);
            let mut nest = Nest::default();
            let placed: Vec<_> = slices
                .into_iter()
                .map(|(start, length)| (nest.place(start + 1, start + 1 + length), start + 1 + length))
                .collect();
            for (at, &(start, end)) in placed.iter().enumerate() {
                prop_assert!(start <= end);
                for &(inner_start, inner_end) in &placed[..at] {
                    let inside = start <= inner_start && inner_end <= end;
                    prop_assert!(inside || inner_end <= start, "{:?}", placed);
                }
            }
        }
    }
}
