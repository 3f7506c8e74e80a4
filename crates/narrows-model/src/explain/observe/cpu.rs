//! CPU time of a thread within a window, and what it says of the time outside waits.

use super::super::partition::Window;
use super::super::term::{Class, Term};
use crate::layers::Layer;
use narrows_trace::writer::CpuSample;
use std::collections::BTreeMap;

/// One sample; times since the thread's start.
#[derive(Clone, Copy)]
struct Sample {
    at: u64,
    cpu: u64,
    ready: Option<u64>,
    switches: u64,
}

/// CPU and ready time of one thread, as sampled.
#[derive(Default)]
pub(super) struct Cpu {
    samples: Vec<Sample>,
}

/// CPU time, time ready without a core, and how often the thread was switched away from.
#[derive(Clone, Copy)]
pub(super) struct Used {
    pub(super) cpu: u64,
    pub(super) ready: Option<u64>,
    pub(super) switches: u64,
}

impl Cpu {
    pub(super) fn add(&mut self, at: u64, sample: &CpuSample) {
        let ready = sample.ready.map(|r| r.0);
        self.samples.push(Sample {
            at,
            cpu: sample.cpu.0,
            ready,
            switches: sample.voluntary.saturating_add(sample.involuntary),
        });
    }

    /// Interpolated to the window's ends; `None` if the samples span less than half of it.
    pub(super) fn within(&self, window: Window) -> Option<Used> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let covered = last
            .at
            .min(window.end.0)
            .saturating_sub(first.at.max(window.start.0));
        if covered * 2 < window.length() {
            return None;
        }
        let scale = window.length() as f64 / covered.max(1) as f64;
        let used = |of: fn(&Sample) -> u64| {
            let grown = self.value(window.end.0, of) - self.value(window.start.0, of);
            (grown.max(0.0) * scale) as u64
        };
        let ready = first
            .ready
            .is_some()
            .then(|| used(|s| s.ready.unwrap_or(0)));
        Some(Used {
            cpu: used(|s| s.cpu),
            ready,
            switches: used(|s| s.switches),
        })
    }

    /// Linear between two samples, constant outside them.
    fn value(&self, time: u64, of: fn(&Sample) -> u64) -> f64 {
        let after = self.samples.partition_point(|s| s.at < time);
        let before = after.checked_sub(1).and_then(|i| self.samples.get(i));
        match (before, self.samples.get(after)) {
            (Some(a), Some(b)) => {
                let part = (time - a.at) as f64 / (b.at - a.at).max(1) as f64;
                of(a) as f64 + part * (of(b) as f64 - of(a) as f64)
            }
            (Some(only), None) | (None, Some(only)) => of(only) as f64,
            (None, None) => 0.0,
        }
    }
}

/// Of the time outside all waits, what the CPU clock does not account for is moved to
/// `scheduler` (as far as the thread was ready then) and `unseen`. Taken from the running terms in
/// proportion, since the CPU clock does not say where a thread was when it lost its core; assumes
/// that waits burn no CPU.
pub(super) fn off_cpu(terms: &mut BTreeMap<Term, u64>, used: Option<Used>) {
    let Some(used) = used else { return };
    let running: u64 = terms
        .iter()
        .filter(|(t, _)| t.class == Class::Running)
        .map(|(_, ns)| ns)
        .sum();
    let off = running.saturating_sub(used.cpu);
    if off == 0 {
        return;
    }
    let mut moved = 0;
    for (_, ns) in terms.iter_mut().filter(|(t, _)| t.class == Class::Running) {
        let part = (u128::from(*ns) * u128::from(off) / u128::from(running)) as u64;
        *ns -= part;
        moved += part;
    }
    let scheduler = used.ready.unwrap_or(0).min(moved);
    for (layer, class, ns) in [
        (Layer::Scheduler, Class::Scheduler, scheduler),
        (Layer::Unseen, Class::Unseen, moved - scheduler),
    ] {
        if ns > 0 {
            *terms.entry(Term::bare(layer, class)).or_default() += ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_trace::Nanos;
    use proptest::prelude::*;

    fn sample(at: u64, cpu: u64, ready: Option<u64>) -> Sample {
        Sample {
            at,
            cpu,
            ready,
            switches: cpu / 10,
        }
    }

    fn window() -> Window {
        Window {
            start: Nanos(1000),
            end: Nanos(2000),
        }
    }

    #[test]
    fn cpu_time_is_interpolated_to_the_window() {
        let cpu = Cpu {
            samples: vec![sample(0, 0, Some(0)), sample(4000, 2000, Some(400))],
        };
        let used = cpu.within(window()).unwrap();
        assert_eq!((used.cpu, used.ready, used.switches), (500, Some(100), 50));
        let late = Cpu {
            samples: vec![sample(1900, 5, None), sample(9000, 900, None)],
        };
        assert!(late.within(window()).is_none());
    }

    proptest! {
        /// Moving time to `scheduler` and `unseen` keeps the sum.
        #[test]
        fn off_cpu_time_is_moved_not_made(
            running in proptest::collection::vec(0u64..1_000_000_000, 1..6),
            waiting in 0u64..1_000_000_000,
            cpu in 0u64..3_000_000_000,
            ready in proptest::option::of(0u64..3_000_000_000),
        ) {
            let mut terms = BTreeMap::new();
            for (i, ns) in running.iter().enumerate() {
                terms.insert(Term::bare(Layer::ALL[i], Class::Running), *ns);
            }
            terms.insert(Term::bare(Layer::Driver, Class::Lock), waiting);
            let before: u64 = terms.values().sum();
            let used = Used {
                cpu,
                ready,
                switches: 0,
            };
            off_cpu(&mut terms, Some(used));
            prop_assert_eq!(terms.values().sum::<u64>(), before);
            prop_assert_eq!(terms[&Term::bare(Layer::Driver, Class::Lock)], waiting);
        }
    }
}
