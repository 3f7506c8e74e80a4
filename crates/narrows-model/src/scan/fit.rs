//! Models of each strategy's curve, with bootstrap intervals from resampled pairs.
//!
//! The curve is the baseline's throughput times the paired speedups, so that drift of the machine
//! between points does not bend it.

use super::table::Group;
use super::{AmdahlFit, Flag, PeakInterval, StrategyFit, UslFit, UslTest};
use crate::fits::{CurvePoint, Usl, amdahl, amdahl_speedup, curvature, usl};
use crate::result::Interval;
use crate::stats::{LEVEL, RESAMPLES, Rng, median, percentile_interval, resampled_median};
use crate::words::{interval, significant};

/// `stream` keeps the strategies' bootstraps apart.
pub(super) fn fit(group: &Group, seed: u64, stream: u64) -> Option<StrategyFit> {
    let base = &group.rows.first()?.result;
    let usable: Vec<_> = group
        .rows
        .iter()
        .filter(|r| r.result.speedup_ci.is_some())
        .collect();
    let mut n = vec![1];
    n.extend(usable.iter().map(|r| r.n()));
    let mut result = StrategyFit {
        strategy: base.strategy.clone(),
        work: base.work.clone(),
        cpu_limited: usable
            .iter()
            .any(|r| r.result.flags.contains(&Flag::CpuLimited)),
        n,
        amdahl: None,
        usl: None,
        usl_test: None,
        not_fitted: None,
    };
    let logs: Vec<f64> = usable
        .iter()
        .filter_map(|r| median(&r.log_ratios))
        .collect();
    let (Some(baseline), false) = (median(&group.baseline_ops_per_s), usable.is_empty()) else {
        result.not_fitted = Some("no point above one thread has an interval".into());
        return Some(result);
    };
    let curve = Curve::new(&result.n, &logs, baseline);
    let mut rng = Rng::new(seed, stream);
    let resamples: Vec<Curve> = (0..RESAMPLES)
        .filter_map(|_| {
            let draw = |values: &[f64], rng: &mut Rng| resampled_median(values, rng);
            let logs: Vec<f64> = usable
                .iter()
                .filter_map(|r| draw(&r.log_ratios, &mut rng))
                .collect();
            let baseline = draw(&group.baseline_ops_per_s, &mut rng)?;
            Some(Curve::new(&result.n, &logs, baseline))
        })
        .collect();
    result.amdahl = amdahl_fit(&curve, &resamples);
    result.usl = usl_fit(&curve, &resamples);
    let above = usable
        .iter()
        .find(|r| r.result.flags.contains(&Flag::SuperLinear));
    result.usl_test = usl_test(&curve, &resamples, above.map(|r| r.n()));
    let missing = match (&result.usl, &result.usl_test) {
        (None, _) => Some("USL needs three different numbers of threads, 1 included"),
        (Some(_), None) => Some("the USL test needs four different numbers of threads, 1 included"),
        (Some(_), Some(_)) => None,
    };
    result.not_fitted = missing.map(str::to_owned);
    Some(result)
}

/// Speedups, the baseline's 1 included, and the baseline's throughput.
struct Curve {
    speedups: Vec<CurvePoint>,
    baseline: f64,
}

impl Curve {
    fn new(n: &[u32], logs: &[f64], baseline: f64) -> Self {
        let values = std::iter::once(1.0).chain(logs.iter().map(|l| l.exp()));
        let speedups = n
            .iter()
            .zip(values)
            .map(|(&n, x)| CurvePoint { n: f64::from(n), x });
        Self {
            speedups: speedups.collect(),
            baseline,
        }
    }

    /// USL with g in ops/s.
    fn usl(&self) -> Option<Usl> {
        usl(&self.speedups).map(|fit| Usl {
            g: fit.g * self.baseline,
            ..fit
        })
    }
}

fn amdahl_fit(curve: &Curve, resamples: &[Curve]) -> Option<AmdahlFit> {
    let serial = amdahl(&curve.speedups)?;
    let again: Vec<f64> = resamples
        .iter()
        .filter_map(|c| amdahl(&c.speedups))
        .collect();
    let residuals = curve
        .speedups
        .iter()
        .map(|p| p.x - amdahl_speedup(serial, p.n))
        .collect();
    Some(AmdahlFit {
        serial,
        serial_ci: percentile_interval(&again),
        residuals,
    })
}

fn usl_fit(curve: &Curve, resamples: &[Curve]) -> Option<UslFit> {
    let fit = curve.usl()?;
    let again: Vec<Usl> = resamples.iter().filter_map(Curve::usl).collect();
    let ci =
        |f: &dyn Fn(&Usl) -> f64| percentile_interval(&again.iter().map(f).collect::<Vec<_>>());
    let residual = |p: &CurvePoint| p.x * curve.baseline - fit.at(p.n);
    Some(UslFit {
        g_ops_per_s: fit.g,
        g_ci: ci(&|u| u.g),
        a: fit.a,
        a_ci: ci(&|u| u.a),
        b: fit.b,
        b_ci: ci(&|u| u.b),
        peak_n: fit.peak(),
        // No peak is a peak at infinity, which the percentiles can order.
        peak_n_ci: ci(&|u| u.peak().unwrap_or(f64::INFINITY)).map(peak_interval),
        residuals: curve.speedups.iter().map(residual).collect(),
    })
}

fn peak_interval(i: Interval) -> PeakInterval {
    let finite = |v: f64| v.is_finite().then_some(v);
    PeakInterval {
        low: finite(i.low),
        high: finite(i.high),
        level: LEVEL,
    }
}

/// `above`: threads of a point that is faster than USL with a, b >= 0 allows.
fn usl_test(curve: &Curve, resamples: &[Curve], above: Option<u32>) -> Option<UslTest> {
    let bend = curvature(&curve.speedups)?;
    let again: Vec<f64> = resamples
        .iter()
        .filter_map(|c| curvature(&c.speedups))
        .collect();
    let ci = percentile_interval(&again);
    let bent = ci.is_some_and(|i| !i.contains(0.0));
    let shown = format!("{} {}", significant(bend), interval(ci, significant));
    let why = match (bent, above) {
        (_, Some(n)) => {
            format!("more than {n} times the throughput at {n} threads; USL allows no more")
        }
        (true, None) => format!("e(N) is curved, {shown}; under USL it is the line a + b N"),
        (false, None) => format!("the curvature of e(N), {shown}, may be 0, as under USL"),
    };
    Some(UslTest {
        curvature: bend,
        curvature_ci: ci,
        rejected: bent || above.is_some(),
        why,
    })
}
