//! The A/A gate: baselines against themselves, where the true ratio is 1.
//!
//! All A/A pairs of the run are one sample, so that a run with many strategies does not fail more
//! often than one with few: the ratio is 1 for each of them.

use super::SelfCheck;
use super::table::{WIDEST_INTERVAL, is_baseline, log_ratio};
use crate::stats::Estimate;
use narrows_scan::samples::Samples;

pub(crate) fn self_check(samples: &Samples) -> SelfCheck {
    let points = &samples.header.points;
    let pairs = samples
        .pairs
        .iter()
        .filter(|p| points.get(p.point).is_some_and(is_baseline));
    let (mut ratios, mut orders) = (Vec::new(), Vec::new());
    for pair in pairs {
        if let Some(log) = log_ratio(pair) {
            ratios.push(log);
            orders.push(if pair.measured_first { -log } else { log });
        }
    }
    let ratio = Estimate::of(&ratios).map(|e| e.map_increasing(f64::exp));
    let order = Estimate::of(&orders).map(|e| e.map_increasing(f64::exp));
    let interval = ratio.and_then(|e| e.interval);
    SelfCheck {
        ratio: ratio.map(|e| e.value),
        ratio_ci: interval,
        pairs: ratios.len() as u64,
        order_effect: order.map(|e| e.value),
        order_effect_ci: order.and_then(|e| e.interval),
        passed: interval.map(|i| i.contains(1.0) && i.relative_width(1.0) <= WIDEST_INTERVAL),
    }
}
