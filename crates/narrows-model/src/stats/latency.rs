//! Latency histograms of many blocks as one.

use crate::scan::Latency;
use std::collections::BTreeMap;

/// Merges `(buckets, exact maximum)` of blocks; buckets are `[lower bound ns, count]`. `None` when
/// nothing was counted.
pub fn merge<'a>(blocks: impl IntoIterator<Item = (&'a [(u64, u64)], u64)>) -> Option<Latency> {
    let mut merged = BTreeMap::<u64, u64>::new();
    let mut max_ns = 0;
    for (buckets, max) in blocks {
        for &(lower, count) in buckets {
            let sum = merged.entry(lower).or_default();
            *sum = sum.saturating_add(count);
        }
        max_ns = max_ns.max(max);
    }
    let count = merged.values().fold(0u64, |sum, &c| sum.saturating_add(c));
    Some(Latency {
        p50_ns: quantile(&merged, count, 50)?,
        p99_ns: quantile(&merged, count, 99)?,
        max_ns,
        count,
    })
}

/// Lower bound of the bucket in which `percent` of the counts are reached.
fn quantile(buckets: &BTreeMap<u64, u64>, count: u64, percent: u64) -> Option<u64> {
    let wanted = (u128::from(count) * u128::from(percent))
        .div_ceil(100)
        .max(1);
    let mut seen = 0u128;
    buckets.iter().find_map(|(&lower, &c)| {
        seen += u128::from(c);
        (seen >= wanted).then_some(lower)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up() {
        let a = [(10, 50), (20, 48)];
        let b = [(20, 1), (300, 1)];
        let merged = merge([(&a[..], 29), (&b[..], 305)]).unwrap();
        assert_eq!(
            merged,
            Latency {
                p50_ns: 10,
                p99_ns: 20,
                max_ns: 305,
                count: 100
            }
        );
    }

    #[test]
    fn nothing_counted_is_none() {
        assert_eq!(merge([]), None);
        assert_eq!(merge([(&[][..], 0)]), None);
        assert_eq!(merge([(&[(5, 0)][..], 0)]), None);
    }

    #[test]
    fn one_op_is_every_quantile() {
        let merged = merge([(&[(7, 1)][..], 7)]).unwrap();
        assert_eq!((merged.p50_ns, merged.p99_ns), (7, 7));
    }
}
