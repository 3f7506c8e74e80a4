//! Rounded numbers that still sum to the rounded sum.

/// Each value in whole multiples of `quantum`, so that they sum to the rounded sum of all: rounded
/// down, and what is then missing given to those that lost most. No value is off by a whole quantum.
pub(crate) fn sum_keeping(values: &[f64], quantum: f64) -> Vec<i64> {
    let scaled: Vec<f64> = values.iter().map(|v| v / quantum).collect();
    let mut whole: Vec<i64> = scaled.iter().map(|v| v.floor() as i64).collect();
    let wanted = scaled.iter().sum::<f64>().round() as i64;
    let missing = wanted.saturating_sub(whole.iter().sum());
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| {
        let lost = |i: &usize| scaled[*i] - scaled[*i].floor();
        lost(b).total_cmp(&lost(a))
    });
    for at in order
        .into_iter()
        .take(usize::try_from(missing).unwrap_or(0))
    {
        whole[at] += 1;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::sum_keeping;
    use proptest::prelude::*;

    #[test]
    fn thirds_sum_to_one() {
        assert_eq!(sum_keeping(&[1.0 / 3.0; 3], 0.01).iter().sum::<i64>(), 100);
        assert_eq!(sum_keeping(&[0.6, -0.6], 1.0), [1, -1]);
        assert!(sum_keeping(&[], 1.0).is_empty());
    }

    proptest! {
        #[test]
        fn sums_are_kept(values in proptest::collection::vec(-1e6_f64..1e6, 0..40)) {
            let rounded = sum_keeping(&values, 0.1);
            let sum = values.iter().map(|v| v / 0.1).sum::<f64>().round() as i64;
            prop_assert_eq!(rounded.iter().sum::<i64>(), sum);
            for (value, whole) in values.iter().zip(rounded) {
                prop_assert!((value / 0.1 - whole as f64).abs() <= 1.0);
            }
        }
    }
}
