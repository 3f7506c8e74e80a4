//! The device's own clock: how much of the time it worked.

use super::Source;
use narrows_trace::reader::What;

/// Spans kept at once; beyond that they are merged before more are read.
const MOST_SPANS: usize = 1 << 20;

/// Share of the time between the first and the last GPU span that any span covers, over all queues
/// of a process; the busiest process counts. `None`: no GPU times were recorded.
pub(super) fn busy(source: &Source<'_>) -> Option<f64> {
    let shares = source.trace.processes.iter().filter_map(|process| {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for number in process.timeline.threads() {
            for event in process.timeline.thread(number) {
                if let What::GpuSpan(span) = event.what {
                    spans.push((span.begin.0, span.end.0.max(span.begin.0)));
                    if spans.len() >= MOST_SPANS {
                        spans = union(spans);
                    }
                }
            }
        }
        share(&union(spans))
    });
    shares.max_by(f64::total_cmp)
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
    fn overlapping_queues_count_once() {
        let merged = union(vec![(10, 20), (0, 5), (15, 30), (50, 100)]);
        assert_eq!(merged, [(0, 5), (10, 30), (50, 100)]);
        assert_eq!(share(&merged), Some(0.75));
        assert_eq!(share(&[]), None);
    }
}
