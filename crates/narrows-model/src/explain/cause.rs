//! Groups the terms of a waterfall into causes: everything that one lock, one call or one worker
//! explains, whatever the number of places in its code.

use super::term::{Class, Term};
use super::waterfall::{Step, Waterfall};
use crate::layers::Layer;
use crate::result::Site;

/// A cause and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Whose code.
    pub layer: Layer,
    /// What kind of time.
    pub class: Class,
    /// Added thread time per op, ns.
    pub delta_ns: f64,
    /// Fraction of the loss.
    pub share: f64,
    /// Its terms, largest first.
    pub steps: Vec<Step>,
}

impl Cause {
    /// The largest of its terms.
    pub fn top(&self) -> Option<&Term> {
        self.steps.first().map(|s| &s.term)
    }

    /// Where its largest term is.
    pub fn site(&self) -> Option<Site> {
        self.top().map(|t| t.site.clone())
    }

    /// `driver (libcuda.so.1+0x2f31)`, in the words of the verdict's sentence.
    pub fn name(&self) -> String {
        let place = self.top().map(Term::place).unwrap_or_default();
        let more = match self.steps.len() {
            0 | 1 => String::new(),
            n => format!(" and {}", crate::words::plural(n as u64 - 1, "more place")),
        };
        match self.class {
            Class::Scheduler => "threads that are ready while no core is free".into(),
            Class::Unseen => "time that nothing recorded explains".into(),
            Class::Lock => match self.gil() {
                true => format!("Python's GIL (interpreter, {place}{more})"),
                false if self.layer == Layer::Unseen => format!("a lock ({place}{more})"),
                false => format!("a lock of the {} ({place}{more})", self.layer),
            },
            Class::Completion => format!("waiting for completion in {place}{more}"),
            Class::Submission => format!("waiting to submit in {place}{more}"),
            Class::Running => match &self.top().and_then(|t| t.call.clone()) {
                Some(call) => format!("running in {call} ({})", self.layer),
                None => format!("running outside recorded calls ({})", self.layer),
            },
            Class::Other => format!("other waits ({place}{more})"),
        }
    }

    fn gil(&self) -> bool {
        self.top()
            .is_some_and(|t| t.site.lock.as_deref() == Some(super::GIL))
    }
}

/// Causes by what they add, largest first; what got cheaper is left out.
pub fn causes(waterfall: &Waterfall) -> Vec<Cause> {
    let mut found: Vec<Cause> = Vec::new();
    for step in &waterfall.steps {
        match found
            .iter_mut()
            .find(|c| c.steps.first().is_some_and(|s| same(&s.term, &step.term)))
        {
            Some(cause) => {
                cause.delta_ns += step.delta_ns;
                cause.steps.push(step.clone());
            }
            None => found.push(Cause {
                layer: step.term.layer,
                class: step.term.class,
                delta_ns: step.delta_ns,
                share: 0.0,
                steps: vec![step.clone()],
            }),
        }
    }
    found.retain(|c| c.delta_ns > 0.0);
    for cause in &mut found {
        cause.share = waterfall.share(cause.delta_ns).unwrap_or(0.0);
        cause
            .steps
            .sort_by(|a, b| b.delta_ns.total_cmp(&a.delta_ns));
    }
    found.sort_by(|a, b| b.delta_ns.total_cmp(&a.delta_ns));
    found
}

/// Locks of one object are one cause (an object seldom has two bottlenecks, and a lock on the heap
/// cannot be told from its neighbour between runs); running time is one cause per call.
fn same(a: &Term, b: &Term) -> bool {
    if a.layer != b.layer || a.class != b.class {
        return false;
    }
    match a.class {
        Class::Lock | Class::Completion | Class::Submission | Class::Other => {
            a.site.object == b.site.object
        }
        Class::Running => a.call == b.call,
        Class::Scheduler | Class::Unseen => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(layer: Layer, class: Class, object: &str, offset: u64, delta_ns: f64) -> Step {
        let site = Site {
            object: Some(object.into()),
            offset: Some(offset),
            ..Site::default()
        };
        Step {
            term: Term {
                layer,
                class,
                site,
                call: None,
            },
            base_ns: 0.0,
            delta_ns,
        }
    }

    #[test]
    fn places_of_one_lock_owner_are_one_cause() {
        let waterfall = Waterfall {
            base_ns: 100.0,
            cost_ns: 200.0,
            steps: vec![
                step(Layer::Driver, Class::Lock, "libcuda.so.1", 1, 30.0),
                step(Layer::Interpreter, Class::Lock, "libpython3.12.so", 7, 40.0),
                step(Layer::Driver, Class::Lock, "libcuda.so.1", 2, 35.0),
                step(Layer::App, Class::Running, "app", 3, -5.0),
            ],
        };
        let found = causes(&waterfall);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].layer, found[0].share), (Layer::Driver, 0.65));
        assert_eq!(found[0].site().unwrap().offset, Some(2));
        assert!(
            found[0].name().contains("1 more place"),
            "{}",
            found[0].name()
        );
        assert_eq!(found[1].layer, Layer::Interpreter);
    }
}
