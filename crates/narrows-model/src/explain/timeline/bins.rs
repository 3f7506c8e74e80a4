//! Time by state in bins of one width, which doubles whenever the time gets too long for them.

use super::{Bin, Share};

/// First width: 2^10 ns, about a microsecond.
const FIRST_SHIFT: u32 = 10;

/// Bins of one lane. Times count from the timeline's start.
#[derive(Clone, Debug)]
pub(in super::super) struct Bins {
    shift: u32,
    most: usize,
    bins: Vec<Sums>,
    /// First and last instant of the lane.
    alive: Option<(u64, u64)>,
}

/// What happened in one bin.
#[derive(Clone, Debug, Default)]
struct Sums {
    by_term: Vec<(u32, u64)>,
    pieces: u64,
}

impl Sums {
    fn add(&mut self, term: u32, ns: u64) {
        match self.by_term.iter_mut().find(|(t, _)| *t == term) {
            Some((_, sum)) => *sum += ns,
            None => self.by_term.push((term, ns)),
        }
    }
}

impl Bins {
    /// No time yet; never more than `most` bins.
    pub(in super::super) fn new(most: usize) -> Bins {
        Bins {
            shift: FIRST_SHIFT,
            most: most.max(2),
            bins: Vec::new(),
            alive: None,
        }
    }

    /// The lane existed from `start` to `end`.
    pub(in super::super) fn alive(&mut self, start: u64, end: u64) {
        self.alive = Some(match self.alive {
            Some((first, last)) => (first.min(start), last.max(end)),
            None => (start, end),
        });
    }

    /// First and last instant of the lane.
    pub(in super::super) fn range(&self) -> Option<(u64, u64)> {
        self.alive
    }

    /// Doublings so far: bins are `1 << shift` nanoseconds wide.
    pub(in super::super) fn shift(&self) -> u32 {
        self.shift
    }

    /// Adds time in `term`.
    pub(in super::super) fn add(&mut self, start: u64, end: u64, term: u32) {
        if end <= start {
            return;
        }
        self.alive(start, end);
        while (end - 1) >> self.shift >= self.most as u64 {
            self.coarsen();
        }
        let (first, last) = (start >> self.shift, (end - 1) >> self.shift);
        let needed = last as usize + 1;
        if self.bins.len() < needed {
            self.bins.resize(needed, Sums::default());
        }
        for at in first..=last {
            let (from, to) = (at << self.shift, (at + 1) << self.shift);
            let sums = &mut self.bins[at as usize];
            sums.add(term, end.min(to) - start.max(from));
            sums.pieces += u64::from(at == first);
        }
    }

    /// Doubles the width until it is `1 << shift`.
    pub(in super::super) fn coarsen_to(&mut self, shift: u32) {
        while self.shift < shift {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        let half = self.bins.len().div_ceil(2);
        for at in 0..self.bins.len() {
            let sums = std::mem::take(&mut self.bins[at]);
            let into = &mut self.bins[at / 2];
            if at % 2 == 0 {
                *into = sums;
            } else {
                sums.by_term.iter().for_each(|(t, ns)| into.add(*t, *ns));
                into.pieces += sums.pieces;
            }
        }
        self.bins.truncate(half);
        self.shift += 1;
    }

    /// Pieces that start in each bin.
    pub(in super::super) fn pieces(&self) -> impl Iterator<Item = u64> + '_ {
        self.bins.iter().map(|sums| sums.pieces)
    }

    /// Time per term over all bins.
    pub(in super::super) fn totals(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.bins
            .iter()
            .flat_map(|sums| sums.by_term.iter().copied())
    }

    /// The two largest states of each group of `width` bins. What no state has taken of the lane's
    /// life is `outside`; `None`: it is nothing.
    pub(in super::super) fn level(
        &self,
        width: u64,
        outside: Option<u32>,
        name: impl Fn(u32) -> u16,
    ) -> Vec<Bin> {
        let span = (1_u64 << self.shift) * width;
        let groups = self.bins.chunks(width as usize).zip(0_u64..);
        groups
            .map(|(group, at)| {
                let mut all = Sums::default();
                for sums in group {
                    sums.by_term.iter().for_each(|(t, ns)| all.add(*t, *ns));
                }
                let taken: u64 = all.by_term.iter().map(|(_, ns)| ns).sum();
                if let (Some(term), Some((first, last))) = (outside, self.alive) {
                    let (from, to) = (first.max(at * span), last.min((at + 1) * span));
                    let rest = to.saturating_sub(from).saturating_sub(taken);
                    if rest > 0 {
                        all.add(term, rest);
                    }
                }
                largest(&all, span, &name)
            })
            .collect()
    }
}

fn largest(all: &Sums, span: u64, name: &impl Fn(u32) -> u16) -> Bin {
    // Terms that share a name are one state.
    let mut by_name: Vec<(u16, u64)> = Vec::with_capacity(all.by_term.len());
    for &(term, ns) in &all.by_term {
        let term = name(term);
        match by_name.iter_mut().find(|(t, _)| *t == term) {
            Some((_, sum)) => *sum += ns,
            None => by_name.push((term, ns)),
        }
    }
    by_name.sort_by_key(|(term, ns)| (std::cmp::Reverse(*ns), *term));
    let share = |&(term, ns): &(u16, u64)| Share {
        term,
        part: (ns as f64 / span as f64).min(1.0) as f32,
    };
    Bin {
        first: by_name.first().map(share),
        second: by_name.get(1).map(share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bin_names_its_two_largest_states() {
        let mut bins = Bins::new(8);
        bins.add(0, 600, 1);
        bins.add(600, 700, 2);
        bins.add(700, 900, 3);
        bins.alive(0, 1024);
        let level = bins.level(1, Some(9), |t| t as u16);
        let part = |s: Option<Share>| s.map(|s| (s.term, (s.part * 1024.0).round()));
        assert_eq!(part(level[0].first), Some((1, 600.0)));
        assert_eq!(part(level[0].second), Some((3, 200.0)));
    }

    #[test]
    fn what_no_state_took_is_outside_while_the_lane_lives() {
        let mut bins = Bins::new(8);
        bins.alive(512, 512);
        bins.add(2048, 2060, 1);
        let level = bins.level(1, Some(7), |t| t as u16);
        let first = |at: usize| level[at].first.map(|s| (s.term, s.part));
        assert_eq!(first(0), Some((7, 0.5)));
        assert_eq!(first(1), Some((7, 1.0)));
        assert_eq!(level[2].first.map(|s| s.term), Some(1));
        assert_eq!(level[2].second, None, "it ends with its last event");
        assert_eq!(bins.level(1, None, |t| t as u16)[1], Bin::default());
    }

    proptest! {
        /// Widths double without loss, and the number of bins stays bounded.
        #[test]
        fn time_is_kept(pieces in proptest::collection::vec((0u64..100_000_000, 1u64..1_000_000, 0u32..6), 1..80)) {
            let mut bins = Bins::new(64);
            let mut expected = [0_u64; 6];
            for (start, length, term) in pieces {
                bins.add(start, start + length, term);
                expected[term as usize] += length;
            }
            let mut found = [0_u64; 6];
            bins.totals().for_each(|(t, ns)| found[t as usize] += ns);
            prop_assert_eq!(found, expected);
            prop_assert!(bins.pieces().count() <= 64);
            bins.coarsen_to(bins.shift() + 3);
            let mut coarse = [0_u64; 6];
            bins.totals().for_each(|(t, ns)| coarse[t as usize] += ns);
            prop_assert_eq!(coarse, expected);
        }
    }
}
