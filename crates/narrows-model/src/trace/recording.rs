//! The tables of a recording, as the model needs them.

use super::Times;
use narrows_trace::{
    Api, CallId, CallKind, CodeAddr, LockAddr, Loss, Nanos, Pid, ThreadNo, Tid, WaitKind,
};
use std::collections::BTreeMap;

/// Everything that was recorded, the timeline's events aside.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// One per process image, in the order in which they began.
    pub processes: Vec<ProcessRecord>,
    /// What could not be read, one line each.
    pub damage: Vec<String>,
}

/// One process.
#[derive(Clone, Debug)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: Pid,
    /// How it came about.
    pub origin: Origin,
    /// Path of the program.
    pub program: String,
    /// Its arguments, its own name first.
    pub arguments: Vec<String>,
    /// From the first record to the last one.
    pub wall: Option<Nanos>,
    /// Did the recording end regularly?
    pub finished: bool,
    /// Names of the recorded calls.
    pub calls: BTreeMap<CallId, CallName>,
    /// Its threads, in the order in which they were seen.
    pub threads: Vec<ThreadRecord>,
    /// Its shared objects.
    pub modules: Vec<Module>,
    /// Keys and values that the probe left for the report.
    pub notes: Vec<(String, String)>,
    /// What could not be recorded outside any thread.
    pub lost: Vec<(Loss, u64)>,
}

/// How a process image came about; the number is that of the process it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The same process before `exec`.
    Exec(Pid),
    /// `fork` of a recorded process.
    Fork(Pid),
    /// Started by a recorded process.
    Child(Pid),
    /// Its parent was not recorded.
    Root,
}

impl Origin {
    /// The recorded process that it came from.
    pub fn parent(self) -> Option<Pid> {
        match self {
            Origin::Exec(pid) | Origin::Fork(pid) | Origin::Child(pid) => Some(pid),
            Origin::Root => None,
        }
    }
}

/// A recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallName {
    /// The function.
    pub name: String,
    /// Its interface.
    pub api: Api,
    /// What it does.
    pub kind: CallKind,
}

/// One thread.
#[derive(Clone, Debug)]
pub struct ThreadRecord {
    /// Its number in the trace, never reused.
    pub no: ThreadNo,
    /// Its kernel number, which may be reused; `None` for several threads in one record.
    pub tid: Option<Tid>,
    /// Threads in this record: 1, or all that ended without room of their own.
    pub threads: u32,
    /// Its name.
    pub name: Option<String>,
    /// From its first record to its end, or to the end of the recording.
    pub alive: Option<Nanos>,
    /// CPU time.
    pub cpu: Option<Nanos>,
    /// Time ready to run without a core.
    pub ready: Option<Nanos>,
    /// Voluntary context switches.
    pub voluntary: Option<u64>,
    /// Involuntary context switches.
    pub involuntary: Option<u64>,
    /// What it called.
    pub calls: Vec<CallRow>,
    /// What it waited for.
    pub sites: Vec<SiteRow>,
    /// Locks that it got without a wait.
    pub acquired: Vec<Acquired>,
    /// Timeline events made.
    pub made: u64,
    /// Timeline events that can still be read.
    pub kept: u64,
    /// What could not be recorded.
    pub lost: Vec<(Loss, u64)>,
}

/// One call of one thread.
#[derive(Clone, Debug)]
pub struct CallRow {
    /// Which.
    pub call: CallId,
    /// How long.
    pub times: Times,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were counted without clocks.
    pub untimed: u64,
}

impl CallRow {
    /// Time in all calls: that of the timed ones, scaled by all calls over timed ones where the
    /// recorder timed only some. 0 where none was timed.
    pub fn total(&self) -> Nanos {
        scaled(&self.times, self.untimed)
    }
}

/// The time in `times`, scaled to the untimed calls beside them.
pub(super) fn scaled(times: &Times, untimed: u64) -> Nanos {
    if times.count == 0 || untimed == 0 {
        return times.total;
    }
    let all = u128::from(times.count) + u128::from(untimed);
    let total = u128::from(times.total.0) * all / u128::from(times.count);
    Nanos(u64::try_from(total).unwrap_or(u64::MAX))
}

/// Waits of one thread, at one place, for one lock, inside one call.
#[derive(Clone, Debug)]
pub struct SiteRow {
    /// What kind of lock.
    pub kind: WaitKind,
    /// Return address of the lock function.
    pub site: CodeAddr,
    /// The lock; `None`: several.
    pub lock: Option<LockAddr>,
    /// The call the thread was in, or [`CallId::NONE`].
    pub call: CallId,
    /// How long.
    pub times: Times,
    /// Waits that ended without the lock.
    pub failed: u64,
    /// Who held it.
    pub owners: Vec<OwnerRow>,
}

/// Waits for one owner.
#[derive(Clone, Copy, Debug)]
pub struct OwnerRow {
    /// The owner; `None`: not known, or several that found no place.
    pub tid: Option<Tid>,
    /// The call the owner was in, or [`CallId::NONE`].
    pub call: CallId,
    /// Waits.
    pub count: u64,
    /// Time waited.
    pub total: Nanos,
}

/// Acquisitions without a wait, at one place.
#[derive(Clone, Copy, Debug)]
pub struct Acquired {
    /// What kind of lock.
    pub kind: WaitKind,
    /// Return address of the lock function; `None`: places that found no room.
    pub site: Option<CodeAddr>,
    /// How many.
    pub count: u64,
}

/// A shared object, for as long as it was mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Path, as the dynamic linker knows it.
    pub path: String,
    /// Lowest address.
    pub base: CodeAddr,
    /// One past the highest address.
    pub end: CodeAddr,
    /// What to subtract from an address to get the file's own.
    pub bias: u64,
    /// Build id; empty: none.
    pub build_id: Vec<u8>,
    /// When it was loaded, on the recording's clock.
    pub loaded: Nanos,
    /// When it was unloaded; `None`: it stayed.
    pub unloaded: Option<Nanos>,
}
