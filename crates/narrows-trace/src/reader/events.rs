//! Timeline records, decoded.

use crate::layout::tag;
use crate::writer::{CpuSample, GpuSpan, Wait};
use crate::{CallId, CodeAddr, LockAddr, Nanos, ObjectId, ThreadNo, Ticks, Tid, WaitKind};

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A finished call. [`CallId::OP`]: a unit of work.
    Call {
        /// Which.
        call: CallId,
        /// Before it.
        start: Ticks,
        /// After it.
        end: Ticks,
        /// What it acted on.
        object: ObjectId,
        /// It returned an error.
        failed: bool,
    },
    /// A contended wait.
    Wait {
        /// The wait.
        wait: Wait,
        /// The call the thread was in.
        call: CallId,
        /// The call the owner was in when the wait was recorded.
        owner_call: CallId,
    },
    /// Something that lets another thread go on.
    Wake {
        /// What kind of wait it ends.
        kind: WaitKind,
        /// The lock object.
        lock: LockAddr,
        /// Return address of the function.
        site: CodeAddr,
        /// When.
        at: Ticks,
        /// The call the thread was in.
        call: CallId,
    },
    /// A mark.
    Mark {
        /// Which.
        mark: CallId,
        /// Its value.
        value: u64,
        /// When.
        at: Ticks,
    },
    /// Work on the GPU's clock.
    GpuSpan(GpuSpan),
    /// One instant on both clocks.
    GpuClock {
        /// Of which queue.
        queue: ObjectId,
        /// On the GPU's clock.
        gpu: Nanos,
        /// On ours.
        at: Ticks,
    },
    /// CPU time and context switches.
    Cpu(CpuSample),
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Whose.
    pub thread: ThreadNo,
    /// What happened.
    pub what: What,
}

impl What {
    /// When the event was recorded, nearly: its end. GPU spans have no instant on the CPU's clock.
    #[inline]
    pub fn at(&self) -> Option<Ticks> {
        match self {
            Self::Call { end, .. } => Some(*end),
            Self::Wait { wait, .. } => Some(wait.end),
            Self::Wake { at, .. } | Self::Mark { at, .. } | Self::GpuClock { at, .. } => Some(*at),
            Self::Cpu(sample) => Some(sample.at),
            Self::GpuSpan(_) => None,
        }
    }
}

/// A record's word 0.
#[derive(Clone, Copy)]
pub(super) struct Word0(pub(super) u64);

impl Word0 {
    #[inline]
    pub(super) fn tag(self) -> u8 {
        self.0 as u8
    }

    /// Bytes of the record.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        usize::from((self.0 >> 8) as u8) * 8
    }

    #[inline]
    pub(super) fn call(self) -> CallId {
        CallId((self.0 >> 16) as u16 & 0x7fff)
    }

    #[inline]
    pub(super) fn failed(self) -> bool {
        self.0 & (1 << 31) != 0
    }

    #[inline]
    pub(super) fn high(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[inline]
fn words<const N: usize>(record: &[u8]) -> Option<[u64; N]> {
    let (words, _) = record.as_chunks::<8>();
    let words: &[[u8; 8]; N] = words.get(1..)?.first_chunk()?;
    Some(words.map(u64::from_le_bytes))
}

/// Decodes an event. `None`: the tag is unknown, or the record is shorter than its tag says.
#[inline]
pub(super) fn decode(word0: Word0, record: &[u8]) -> Option<What> {
    let (call, failed) = (word0.call(), word0.failed());
    let ended = |start: u64, ticks: u64| (Ticks(start), Ticks(start.saturating_add(ticks)));
    Some(match word0.tag() {
        tag::CALL => {
            let [start, object] = words(record)?;
            let (start, end) = ended(start, u64::from(word0.high()));
            What::Call {
                call,
                start,
                end,
                object: ObjectId(object),
                failed,
            }
        }
        tag::CALL_LONG => {
            let [start, object, ticks] = words(record)?;
            let (start, end) = ended(start, ticks);
            What::Call {
                call,
                start,
                end,
                object: ObjectId(object),
                failed,
            }
        }
        tag::WAIT => {
            let [start, ticks, lock, site, owner] = words(record)?;
            let (start, end) = ended(start, ticks);
            let owner = (owner as u32 != 0).then_some(Tid(owner as u32));
            let kind = WaitKind::from_number(word0.high() as u8);
            let (lock, site) = (LockAddr(lock), CodeAddr(site));
            let wait = Wait {
                kind,
                lock,
                site,
                owner,
                start,
                end,
                failed,
            };
            What::Wait {
                wait,
                call,
                owner_call: CallId((word0.high() >> 16) as u16),
            }
        }
        tag::WAKE => {
            let [at, lock, site] = words(record)?;
            let kind = WaitKind::from_number(word0.high() as u8);
            What::Wake {
                kind,
                lock: LockAddr(lock),
                site: CodeAddr(site),
                at: Ticks(at),
                call,
            }
        }
        tag::MARK => {
            let [at, value] = words(record)?;
            What::Mark {
                mark: call,
                value,
                at: Ticks(at),
            }
        }
        tag::GPU_SPAN => {
            let [begin, end, queue, correlation] = words(record)?;
            let (begin, end, queue) = (Nanos(begin), Nanos(end), ObjectId(queue));
            What::GpuSpan(GpuSpan {
                queue,
                begin,
                end,
                call,
                correlation,
            })
        }
        tag::GPU_CLOCK => {
            let [at, gpu, queue] = words(record)?;
            What::GpuClock {
                queue: ObjectId(queue),
                gpu: Nanos(gpu),
                at: Ticks(at),
            }
        }
        tag::CPU => {
            let [at, cpu, ready, voluntary, involuntary] = words(record)?;
            let ready = super::thread::known(ready);
            What::Cpu(CpuSample {
                at: Ticks(at),
                cpu: Nanos(cpu),
                ready,
                voluntary,
                involuntary,
            })
        }
        _ => return None,
    })
}
