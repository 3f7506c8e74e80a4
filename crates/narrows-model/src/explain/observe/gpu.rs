//! The device's own clock: how much of the time it worked.

/// Spans kept at once; beyond that they are merged before more are taken.
const MOST_SPANS: usize = 1 << 20;

/// The spans of one process, over all its queues.
#[derive(Default)]
pub(crate) struct Spans {
    spans: Vec<(u64, u64)>,
    /// How many were left by the last merge.
    merged: usize,
}

impl Spans {
    pub(crate) fn add(&mut self, begin: u64, end: u64) {
        self.spans.push((begin, end.max(begin)));
        // Disjoint spans stay after a merge: merging again at each further one would never end.
        if self.spans.len() >= MOST_SPANS.max(2 * self.merged) {
            self.spans = union(std::mem::take(&mut self.spans));
            self.merged = self.spans.len();
        }
    }

    /// Share of the time between the first and the last span that any span covers; `None`: there
    /// are none.
    pub(crate) fn busy(self) -> Option<f64> {
        share(&union(self.spans))
    }
}

/// Disjoint spans, ascending.
fn union(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in spans {
        match merged.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((begin, end)),
        }
    }
    merged
}

fn share(spans: &[(u64, u64)]) -> Option<f64> {
    let (first, last) = (spans.first()?, spans.last()?);
    let whole = last.1.saturating_sub(first.0);
    let busy: u64 = spans.iter().map(|(begin, end)| end - begin).sum();
    (whole > 0).then(|| busy as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_disjoint_spans_are_merged_a_few_times_only() {
        let mut spans = Spans::default();
        for i in 0..2 * MOST_SPANS as u64 + 10 {
            spans.add(4 * i, 4 * i + 1);
        }
        assert!(
            spans
                .busy()
                .is_some_and(|share| (share - 0.25).abs() < 1e-6)
        );
    }

    #[test]
    fn overlapping_queues_count_once() {
        let merged = union(vec![(10, 20), (0, 5), (15, 30), (50, 100)]);
        assert_eq!(merged, [(0, 5), (10, 30), (50, 100)]);
        assert_eq!(share(&merged), Some(0.75));
        assert_eq!(share(&[]), None);
    }
}
