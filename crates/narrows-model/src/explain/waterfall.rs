//! From the cost of an op at one thread to its cost at N: one term per state, and they sum exactly.

use super::profile::Profile;
use super::term::{Class, Term};
use crate::layers::Layer;
use std::collections::BTreeSet;

/// The loss between two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Waterfall {
    /// c(1), ns of thread time per op.
    pub base_ns: f64,
    /// c(N).
    pub cost_ns: f64,
    /// Differences per term, largest first.
    pub steps: Vec<Step>,
}

/// One term's part of the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which state.
    pub term: Term,
    /// t_s(1), ns per op.
    pub base_ns: f64,
    /// t_s(N) - t_s(1), ns per op; may be negative.
    pub delta_ns: f64,
}

impl Waterfall {
    /// c(N) - c(1), ns of thread time per op.
    pub fn loss_ns(&self) -> f64 {
        self.cost_ns - self.base_ns
    }

    /// `step` as a fraction of the whole loss; `None` when there is no loss to share.
    pub fn share(&self, delta_ns: f64) -> Option<f64> {
        (self.loss_ns() > 0.0).then(|| delta_ns / self.loss_ns())
    }

    /// Sum of the steps for which `choose` holds.
    pub fn sum(&self, choose: impl Fn(&Term) -> bool) -> f64 {
        self.steps
            .iter()
            .filter(|s| choose(&s.term))
            .map(|s| s.delta_ns)
            .sum()
    }

    /// Sum over a class.
    pub fn of_class(&self, class: Class) -> f64 {
        self.sum(|t| t.class == class)
    }

    /// Sum over a layer.
    pub fn of_layer(&self, layer: Layer) -> f64 {
        self.sum(|t| t.layer == layer)
    }
}

/// Compares the medians of several runs at 1 thread with those at N. `None` without ops in both.
///
/// With several repeats each side is the sum of its runs (times and ops), which keeps the terms
/// summing exactly, where medians of terms would not.
pub fn waterfall(base: &[&Profile], at_n: &[&Profile]) -> Option<Waterfall> {
    let (base, at_n) = (Side::of(base)?, Side::of(at_n)?);
    let terms: BTreeSet<&Term> = base.terms().chain(at_n.terms()).collect();
    let mut steps: Vec<Step> = terms
        .into_iter()
        .map(|term| {
            let base_ns = base.per_op(term);
            Step {
                term: term.clone(),
                base_ns,
                delta_ns: at_n.per_op(term) - base_ns,
            }
        })
        .collect();
    steps.sort_by(|a, b| b.delta_ns.abs().total_cmp(&a.delta_ns.abs()));
    Some(Waterfall {
        base_ns: base.cost(),
        cost_ns: at_n.cost(),
        steps,
    })
}

struct Side<'a> {
    runs: &'a [&'a Profile],
    ops: f64,
}

impl<'a> Side<'a> {
    fn of(runs: &'a [&'a Profile]) -> Option<Side<'a>> {
        let ops: u64 = runs.iter().map(|r| r.ops).sum();
        (ops > 0).then_some(Side {
            runs,
            ops: ops as f64,
        })
    }

    fn terms(&self) -> impl Iterator<Item = &'a Term> {
        self.runs.iter().flat_map(|r| r.terms.keys())
    }

    fn per_op(&self, term: &Term) -> f64 {
        let ns: u64 = self.runs.iter().filter_map(|r| r.terms.get(term)).sum();
        ns as f64 / self.ops
    }

    fn cost(&self) -> f64 {
        let thread_ns: u64 = self
            .runs
            .iter()
            .map(|r| r.window_ns * u64::from(r.op_threads))
            .sum();
        thread_ns as f64 / self.ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A profile whose terms sum to its thread time, as `partition` guarantees.
    fn profile(op_threads: u32, window_ns: u64, ops: u64, parts: &[(u8, u64)]) -> Profile {
        let mut left = window_ns * u64::from(op_threads);
        let mut profile = Profile {
            op_threads,
            window_ns,
            ops,
            ..Profile::default()
        };
        for (which, ns) in parts {
            let ns = (*ns).min(left);
            left -= ns;
            let layer = Layer::ALL[usize::from(*which) % Layer::ALL.len()];
            *profile
                .terms
                .entry(Term::bare(layer, Class::Lock))
                .or_default() += ns;
        }
        *profile
            .terms
            .entry(Term::bare(Layer::App, Class::Running))
            .or_default() += left;
        profile
    }

    proptest! {
        /// Law 1: the terms sum to c(N) - c(1).
        #[test]
        fn terms_sum_to_the_loss(
            n in 1u32..64,
            window in 1u64..1_000_000_000,
            ops in 1u64..1_000_000,
            base in proptest::collection::vec((0u8..12, 0u64..1_000_000_000), 0..20),
            many in proptest::collection::vec((0u8..12, 0u64..1_000_000_000), 0..20),
        ) {
            let one = profile(1, window, ops, &base);
            let several = profile(n, window, ops, &many);
            let found = waterfall(&[&one, &one], &[&several]).unwrap();
            let sum: f64 = found.steps.iter().map(|s| s.delta_ns).sum();
            let scale = found.base_ns.max(found.cost_ns);
            prop_assert!((sum - found.loss_ns()).abs() <= 1e-9 * scale);
            let speedup = several.throughput().unwrap() / one.throughput().unwrap();
            let efficiency = found.base_ns / found.cost_ns;
            prop_assert!((speedup / f64::from(n) - efficiency).abs() < 1e-9 * efficiency);
        }
    }

    #[test]
    fn no_ops_give_no_waterfall() {
        let idle = profile(2, 1000, 0, &[]);
        let busy = profile(2, 1000, 5, &[]);
        assert!(waterfall(&[&busy], &[&idle]).is_none());
        assert!(waterfall(&[&idle], &[&busy]).is_none());
    }
}
