//! Which queues the op threads submit to: a queue or stream each, the same, or some of both.

use super::super::profile::QueueUse;
use narrows_trace::reader::{CallInfo, Process};
use narrows_trace::{Api, CallId, CallKind, ObjectId, ThreadNo};
use std::collections::{BTreeMap, BTreeSet};

/// Queues of one thread that are told apart; with more, nothing is said.
const MOST: usize = 64;

/// What a call's object says of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    Nothing,
    /// It is the queue.
    Queue,
    /// It is a CUDA stream; if so built, 0 is a stream of the calling thread.
    Stream {
        own_default: bool,
    },
}

/// CUDA's handles of the legacy default stream and of the calling thread's.
const LEGACY: u64 = 1;
const PER_THREAD: u64 = 2;

/// For each call id of a process.
pub(super) fn tells(process: &Process) -> Vec<Tells> {
    let mut tells = vec![Tells::Nothing; usize::from(CallId::LIMIT)];
    for (call, info) in &process.calls {
        if let Some(place) = tells.get_mut(usize::from(call.0)) {
            *place = told_by(info);
        }
    }
    tells
}

fn told_by(call: &CallInfo) -> Tells {
    let name = call.name.as_str();
    match call.api {
        Api::Metal if name.starts_with("-[MTLCommandQueue commandBuffer") => Tells::Queue,
        Api::Metal if name.starts_with("-[MTL4CommandQueue commit") => Tells::Queue,
        // A command buffer.
        Api::Metal | Api::Mps => Tells::Nothing,
        _ if call.kind != CallKind::Submit => Tells::Nothing,
        // Their object is a function.
        Api::Cuda if name == "cuLaunch" || name.starts_with("cuLaunchGrid") => Tells::Nothing,
        Api::Cuda => Tells::Stream {
            own_default: name.ends_with("_ptsz"),
        },
        Api::Vulkan | Api::OpenCl => Tells::Queue,
        _ => Tells::Nothing,
    }
}

/// A queue of one process, or the default stream of one of its threads.
type Queue = (usize, u64, Option<ThreadNo>);

/// The queues of all op threads.
#[derive(Default)]
pub(super) struct Queues {
    threads: BTreeMap<(usize, ThreadNo), BTreeSet<Queue>>,
    /// More than can be told apart.
    many: bool,
}

impl Queues {
    /// A call of a thread.
    pub(super) fn add(
        &mut self,
        (process, thread): (usize, ThreadNo),
        tells: Tells,
        object: ObjectId,
    ) {
        let queue = match (tells, object.0) {
            (Tells::Nothing, _) | (Tells::Queue, 0) => return,
            (Tells::Stream { own_default: true }, 0) | (Tells::Stream { .. }, PER_THREAD) => {
                (process, PER_THREAD, Some(thread))
            }
            (Tells::Stream { .. }, 0) => (process, LEGACY, None),
            (_, object) => (process, object, None),
        };
        let queues = self.threads.entry((process, thread)).or_default();
        queues.insert(queue);
        self.many |= queues.len() > MOST;
    }

    /// What so many op threads have in common; `None`: not known of each, or there is but one.
    pub(super) fn used(&self, op_threads: usize) -> Option<QueueUse> {
        if self.many || op_threads < 2 || self.threads.len() != op_threads {
            return None;
        }
        let mut users: BTreeMap<Queue, usize> = BTreeMap::new();
        for queue in self.threads.values().flatten() {
            *users.entry(*queue).or_default() += 1;
        }
        Some(if users.values().all(|n| *n == 1) {
            QueueUse::Own
        } else if users.values().all(|n| *n == op_threads) {
            QueueUse::Shared
        } else {
            QueueUse::Mixed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, api: Api, kind: CallKind) -> CallInfo {
        CallInfo {
            name: name.into(),
            api,
            kind,
        }
    }

    #[test]
    fn which_calls_tell() {
        let stream = |own_default| Tells::Stream { own_default };
        let submit = |name, api| told_by(&call(name, api, CallKind::Submit));
        assert_eq!(submit("cuLaunchKernel", Api::Cuda), stream(false));
        assert_eq!(submit("cuLaunchKernel_ptsz", Api::Cuda), stream(true));
        assert_eq!(submit("cuLaunchGrid", Api::Cuda), Tells::Nothing);
        assert_eq!(submit("vkQueueSubmit", Api::Vulkan), Tells::Queue);
        assert_eq!(
            submit("-[MTLCommandBuffer commit]", Api::Metal),
            Tells::Nothing
        );
        let encode = |name| told_by(&call(name, Api::Metal, CallKind::Encode));
        assert_eq!(encode("-[MTLCommandQueue commandBuffer]"), Tells::Queue);
        assert_eq!(
            encode("-[MTLCommandBuffer computeCommandEncoder]"),
            Tells::Nothing
        );
        let sync = call("vkQueueWaitIdle", Api::Vulkan, CallKind::Sync);
        assert_eq!(told_by(&sync), Tells::Nothing);
    }

    /// `[thread, object]` of process 0.
    fn used(tells: Tells, calls: &[(u32, u64)], threads: usize) -> Option<QueueUse> {
        let mut queues = Queues::default();
        for &(thread, object) in calls {
            queues.add((0, ThreadNo(thread)), tells, ObjectId(object));
        }
        queues.used(threads)
    }

    #[test]
    fn own_shared_and_mixed() {
        let queue = |calls: &[_]| used(Tells::Queue, calls, 2);
        assert_eq!(queue(&[(1, 70), (2, 80), (1, 71)]), Some(QueueUse::Own));
        assert_eq!(queue(&[(1, 70), (2, 70)]), Some(QueueUse::Shared));
        assert_eq!(queue(&[(1, 70), (2, 70), (2, 80)]), Some(QueueUse::Mixed));
        assert_eq!(queue(&[(1, 70), (2, 0)]), None, "a thread without a queue");
        assert_eq!(used(Tells::Queue, &[(1, 70)], 1), None, "one thread");
        let many: Vec<_> = (1..200).map(|object| (1, object)).collect();
        assert_eq!(queue(&[&many[..], &[(2, 900)]].concat()), None);
    }

    #[test]
    fn the_default_streams_of_cuda() {
        let of = |own_default, calls: &[_]| used(Tells::Stream { own_default }, calls, 2);
        assert_eq!(of(false, &[(1, 0), (2, LEGACY)]), Some(QueueUse::Shared));
        assert_eq!(of(true, &[(1, 0), (2, 0)]), Some(QueueUse::Own));
        assert_eq!(of(false, &[(1, 2), (2, 2)]), Some(QueueUse::Own));
    }

    #[test]
    fn processes_share_no_queue() {
        let mut queues = Queues::default();
        for process in 0..2 {
            queues.add((process, ThreadNo(1)), Tells::Queue, ObjectId(70));
        }
        assert_eq!(queues.used(2), Some(QueueUse::Own));
    }
}
