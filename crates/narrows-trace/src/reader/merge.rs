//! Merging of many ordered streams.
//!
//! A stream goes on without touching the heap for as long as no other stream has an earlier item:
//! the heap is asked only when the turn changes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An ordered stream with its next item at hand.
pub(super) trait Lane {
    /// What it gives.
    type Item;

    /// Order of the next item; `None`: the stream is over. Never descends.
    fn key(&self) -> Option<u64>;

    /// Gives the item at hand and fetches the next. `None`: nothing was at hand yet (the stream is
    /// opened when its time comes).
    fn take(&mut self) -> Option<Self::Item>;
}

/// Gives the items of all lanes in order.
#[derive(Debug)]
pub(super) struct Merge<L> {
    lanes: Vec<L>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// The lane whose turn it is; it is not in the heap.
    current: Option<usize>,
    /// The turn ends behind this.
    limit: (u64, usize),
}

impl<L: Lane> Merge<L> {
    pub(super) fn new(lanes: Vec<L>) -> Self {
        let keys = lanes.iter().enumerate();
        let heap = keys
            .filter_map(|(index, lane)| Some(Reverse((lane.key()?, index))))
            .collect();
        Self {
            lanes,
            heap,
            current: None,
            limit: (0, 0),
        }
    }
}

impl<L: Lane> Iterator for Merge<L> {
    type Item = L::Item;

    #[inline]
    fn next(&mut self) -> Option<L::Item> {
        loop {
            let index = match self.current {
                Some(index) => index,
                None => {
                    let Reverse((_, index)) = self.heap.pop()?;
                    self.limit = self
                        .heap
                        .peek()
                        .map_or((u64::MAX, usize::MAX), |next| next.0);
                    self.current = Some(index);
                    index
                }
            };
            let lane = self.lanes.get_mut(index)?;
            match lane.key() {
                Some(key) if (key, index) > self.limit => {
                    self.heap.push(Reverse((key, index)));
                    self.current = None;
                }
                Some(_) => {
                    if let Some(item) = lane.take() {
                        return Some(item);
                    }
                }
                None => self.current = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Numbers(Vec<u64>, usize);

    impl Lane for Numbers {
        type Item = u64;

        fn key(&self) -> Option<u64> {
            self.0.get(self.1).copied()
        }

        fn take(&mut self) -> Option<u64> {
            let item = self.key();
            self.1 += 1;
            item
        }
    }

    proptest! {
        #[test]
        fn all_items_come_in_order(lanes in prop::collection::vec(prop::collection::vec(0..50_u64, 0..20), 0..8)) {
            let mut wanted: Vec<u64> = lanes.iter().flatten().copied().collect();
            wanted.sort_unstable();
            let lanes = lanes.into_iter().map(|mut lane| {
                lane.sort_unstable();
                Numbers(lane, 0)
            });
            prop_assert_eq!(Merge::new(lanes.collect()).collect::<Vec<_>>(), wanted);
        }
    }
}
