//! Terms of the waterfall: states with names instead of addresses, comparable between runs.
//!
//! Addresses differ from run to run; an object's file name, the offset in it and a function's name
//! do not. Locks on the heap have no name at all, so all locks taken at one place are one term and
//! the wait table says how many there are.

use crate::layers::Layer;
use crate::result::Site;
use serde::{Deserialize, Serialize};

/// What kind of time a term is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Running in a call, or outside all calls.
    Running,
    /// Waiting for a lock that another thread holds.
    Lock,
    /// Waiting inside a call that waits for the device, or for a worker that does the op.
    Completion,
    /// Waiting inside a call that submits: the queue in front of the device is full.
    Submission,
    /// Any other wait: for input, a timer, a thread's end, other work.
    Other,
    /// Ready to run, without a core.
    Scheduler,
    /// Neither running nor in any wait that was recorded.
    Unseen,
}

impl Class {
    /// A few words for tables.
    pub const fn words(self) -> &'static str {
        match self {
            Class::Running => "running",
            Class::Lock => "waiting for a lock",
            Class::Completion => "waiting for the device",
            Class::Submission => "waiting to submit",
            Class::Other => "other waits",
            Class::Scheduler => "ready, no core free",
            Class::Unseen => "unseen",
        }
    }
}

/// A state of threads, named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term {
    /// Whose code.
    pub layer: Layer,
    /// What kind of time.
    pub class: Class,
    /// Where; of a lock: the place that takes it.
    pub site: Site,
    /// The recorded call around it.
    pub call: Option<String>,
}

impl Term {
    /// A term without a place, as `scheduler` and `unseen` are.
    pub fn bare(layer: Layer, class: Class) -> Term {
        Term {
            layer,
            class,
            site: Site::default(),
            call: None,
        }
    }

    /// The place in words: `take_gil in libpython3.12.so.1.0`, `libcuda.so.1+0x2f31`.
    pub fn place(&self) -> String {
        let site = &self.site;
        match (&site.object, &site.symbol, site.offset) {
            (Some(object), Some(symbol), _) => format!("{symbol} in {object}"),
            (Some(object), None, Some(offset)) => format!("{object}+{offset:#x}"),
            (Some(object), None, None) => object.clone(),
            (None, Some(symbol), _) => symbol.clone(),
            (None, None, _) => match &self.call {
                Some(call) => call.clone(),
                None => self.class.words().to_owned(),
            },
        }
    }
}
