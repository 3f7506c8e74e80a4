//! The timeline as exporters see it: named events, thread by thread, streamed.
//!
//! Whoever implements [`Timeline`] reads files; whoever uses it writes them. Neither holds more
//! than one event at a time.

use crate::layers::Layer;
pub use narrows_trace::Nanos;

/// A process of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineProcess {
    /// Its number.
    pub pid: u32,
    /// Its program's file name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Threads with events.
    pub threads: Vec<TimelineThread>,
}

/// A thread of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineThread {
    /// Number in the recording.
    pub number: u32,
    /// Kernel number; the recording's own number where it is not known.
    pub tid: u32,
    /// Name, or the empty string.
    pub name: String,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelineEvent<'a> {
    /// Start on the monotonic clock.
    pub start: Nanos,
    /// End; equal to the start for an instant.
    pub end: Nanos,
    /// What happened.
    pub what: TimelineWhat<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimelineWhat<'a> {
    /// A call.
    Call {
        /// Function.
        name: &'a str,
        /// Its layer.
        layer: Layer,
        /// Queue, stream or buffer; 0: none.
        object: u64,
        /// It returned an error.
        failed: bool,
    },
    /// A unit of work.
    Op {
        /// Queue or stream; 0: none.
        object: u64,
    },
    /// A contended wait.
    Wait {
        /// Kind of lock.
        kind: &'static str,
        /// Layer of the site.
        layer: Layer,
        /// Who waited: object and function or offset.
        site: &'a str,
        /// The lock's address.
        lock: u64,
        /// Thread that held it.
        owner: Option<u32>,
        /// The call that thread was in.
        owner_call: Option<&'a str>,
        /// The call that the waiting thread was in.
        inside: Option<&'a str>,
        /// It ended without the lock.
        failed: bool,
    },
    /// Something that lets another thread go on.
    Wake {
        /// Kind of lock.
        kind: &'static str,
        /// The lock's address.
        lock: u64,
        /// Who woke.
        site: &'a str,
    },
    /// A mark of the program.
    Mark {
        /// Its name.
        name: &'a str,
        /// Its value.
        value: u64,
    },
    /// Work of the device; times are on our clock.
    Gpu {
        /// The call that submitted it.
        name: &'a str,
        /// Queue or stream that ran it.
        queue: u64,
    },
    /// The thread's CPU time so far.
    Cpu {
        /// CPU time.
        cpu: Nanos,
        /// Context switches of its own will.
        voluntary: u64,
        /// Forced context switches.
        involuntary: u64,
    },
}

/// A timeline that can be streamed any number of times.
pub trait Timeline {
    /// Processes and their threads.
    fn processes(&self) -> &[TimelineProcess];

    /// Calls `each` with the events of one thread, by their ends; indices into
    /// [`Timeline::processes`].
    fn events(&self, process: usize, thread: usize, each: &mut dyn FnMut(&TimelineEvent<'_>));
}
