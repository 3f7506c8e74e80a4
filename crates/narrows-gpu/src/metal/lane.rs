//! A thread's way to a command queue. The submit and wait paths make Metal's calls and nothing
//! else; a completion handler costs its block and one condition variable.

use super::NAME;
use super::api::{Event, Queue, Submitted, some};
use super::device::Shared;
use super::latch::Latch;
use super::times::Times;
use crate::{DeviceClock, Error, Lane, LaneSpec, SyncMode, WaitMode, Worked};
use block2::RcBlock;
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_metal::{
    MTLCommandBuffer, MTLCommandQueue as _, MTLDevice as _, MTLEvent, MTLSharedEvent,
    MTLSharedEventListener,
};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// How often a wait for an event looks whether its buffer failed: such a buffer signals nothing.
const LOOK: Duration = Duration::from_secs(1);

type CompletedBlock = RcBlock<dyn Fn(NonNull<ProtocolObject<dyn MTLCommandBuffer>>)>;
type EventBlock = RcBlock<dyn Fn(NonNull<ProtocolObject<dyn MTLSharedEvent>>, u64)>;

/// A command buffer that is being encoded.
pub(super) type Buffer = Retained<ProtocolObject<dyn MTLCommandBuffer>>;

/// What a lane's ops are.
pub(super) trait Ops: Send {
    /// Whether a submission is empty command buffers.
    fn is_empty(&self) -> bool;

    /// Encodes `times` ops, one after the other. The buffer that comes back is the one to commit:
    /// MPSGraph may have committed the one that it was given, and gone on in another.
    fn encode(&self, buffer: Buffer, times: u32) -> Result<Buffer, Error>;
}

/// One lane.
pub(super) struct MetalLane<O: Ops> {
    ops: O,
    sync: SyncMode,
    wait: WaitMode,
    depth: usize,
    batch: u32,
    /// Submissions in flight: the last command buffer of each, and its number.
    in_flight: VecDeque<(Submitted, u64)>,
    /// When somebody asks for the device's times.
    times: Option<Times>,
    /// Submissions made, which is the event's value after the last of them.
    submitted: u64,
    event: Option<Event>,
    handler: Option<Handler>,
    /// All queues of the lanes made together.
    queues: Arc<[Queue]>,
    /// Index of this lane's.
    queue: usize,
}

/// What Metal calls when something has completed.
struct Handler {
    latch: Arc<Latch>,
    completed: CompletedBlock,
    signaled: EventBlock,
    listener: Retained<MTLSharedEventListener>,
}

// SAFETY: the blocks own an `Arc` of a latch made of a mutex and a condition variable, and Metal
// retains and calls them from threads of its own; a listener is thread-safe.
unsafe impl Send for Handler {}

impl Handler {
    fn new() -> Self {
        let latch = Arc::new(Latch::default());
        let (a, b) = (Arc::clone(&latch), Arc::clone(&latch));
        Self {
            latch,
            completed: RcBlock::new(move |_| a.add()),
            signaled: RcBlock::new(move |_, _| b.add()),
            listener: MTLSharedEventListener::new(),
        }
    }
}

impl<O: Ops> MetalLane<O> {
    pub(super) fn new(
        shared: &Shared,
        ops: O,
        spec: LaneSpec,
        queues: Arc<[Queue]>,
        queue: usize,
    ) -> Result<Self, Error> {
        let (sync, wait) = (spec.sync, spec.options.wait);
        if sync == SyncMode::Device && matches!(wait, WaitMode::Poll | WaitMode::Handler) {
            return Err(Error::Unsupported {
                backend: NAME,
                what: format!("sync device with wait {wait}"),
                why: "it is several waits; --wait auto has it".into(),
            });
        }
        let event = match sync {
            SyncMode::Event => Some(Event(some(
                "newSharedEvent",
                shared.metal.newSharedEvent(),
            )?)),
            SyncMode::Queue | SyncMode::Device => None,
        };
        Ok(Self {
            ops,
            sync,
            wait,
            depth: spec.depth as usize,
            batch: spec.batch,
            in_flight: VecDeque::with_capacity(spec.depth as usize),
            times: None,
            submitted: 0,
            event,
            handler: (wait == WaitMode::Handler).then(Handler::new),
            queues,
            queue,
        })
    }

    /// One command buffer with `times` ops, or an empty one; the submission's last one signals.
    fn commit(&self, times: u32, last: bool) -> Result<Submitted, Error> {
        let buffer = some("commandBuffer", self.queues[self.queue].commandBuffer())?;
        let buffer = self.ops.encode(buffer, times)?;
        if last {
            self.announce(&buffer);
        }
        let submitted = Submitted::new(&buffer);
        buffer.commit();
        Ok(submitted)
    }

    /// What tells the waiting thread, put into a submission's last command buffer.
    fn announce(&self, buffer: &ProtocolObject<dyn MTLCommandBuffer>) {
        match (&self.event, &self.handler) {
            (Some(event), handler) => {
                let value = self.submitted + 1;
                let signals: &ProtocolObject<dyn MTLEvent> = ProtocolObject::from_ref(&*event.0);
                buffer.encodeSignalEvent_value(signals, value);
                if let Some(handler) = handler {
                    let block = RcBlock::as_ptr(&handler.signaled);
                    // SAFETY: a valid block, which Metal copies.
                    unsafe {
                        event
                            .0
                            .notifyListener_atValue_block(&handler.listener, value, block);
                    }
                }
            }
            (None, Some(handler)) => {
                let block = RcBlock::as_ptr(&handler.completed);
                // SAFETY: a valid block, which Metal copies.
                unsafe { buffer.addCompletedHandler(block) };
            }
            (None, None) => {}
        }
    }

    /// Waits for submission `number`.
    fn wait_for(&self, number: u64, oldest: &Submitted) -> Result<(), Error> {
        if let Some(handler) = &self.handler {
            // An event is not signalled by a buffer that fails.
            while !handler.latch.wait_for(number, LOOK) && !oldest.ended() {}
            return Ok(());
        }
        let poll = self.wait == WaitMode::Poll;
        match (self.sync, &self.event) {
            (SyncMode::Event, Some(event)) if poll => {
                // A buffer that fails signals nothing.
                while event.0.signaledValue() < number && !oldest.ended() {
                    spin_loop();
                }
            }
            (SyncMode::Event, Some(event)) => {
                let limit = LOOK.as_millis() as u64;
                while !event.0.waitUntilSignaledValue_timeoutMS(number, limit) && !oldest.ended() {}
            }
            (SyncMode::Device, _) => self.wait_for_device()?,
            _ => {
                let newest = self.in_flight.back().map_or(oldest, |(newest, _)| newest);
                if poll {
                    while !newest.ended() {
                        spin_loop();
                    }
                } else {
                    newest.wait();
                }
            }
        }
        Ok(())
    }

    fn wait_for_device(&self) -> Result<(), Error> {
        for queue in self.queues.iter() {
            let buffer = some("commandBuffer", queue.commandBuffer())?;
            let last = Submitted::new(&buffer);
            buffer.commit();
            last.wait();
            last.outcome()?;
        }
        Ok(())
    }
}

impl<O: Ops> Lane for MetalLane<O> {
    fn submit(&mut self) -> Result<(), Error> {
        if self.in_flight.len() == self.depth {
            return Err(crate::too_many_in_flight(NAME, self.depth));
        }
        let last = autoreleasepool(|_| {
            if !self.ops.is_empty() {
                return self.commit(self.batch, true);
            }
            for _ in 1..self.batch {
                let submitted = self.commit(1, false)?;
                if let Some(times) = &mut self.times {
                    times.add(submitted);
                }
            }
            self.commit(1, true)
        })?;
        self.submitted += 1;
        self.in_flight.push_back((last, self.submitted));
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        let Some((oldest, number)) = self.in_flight.pop_front() else {
            return Ok(());
        };
        autoreleasepool(|_| {
            self.wait_for(number, &oldest)?;
            oldest.outcome()
        })?;
        if let Some(times) = &mut self.times {
            times.add(oldest);
        }
        Ok(())
    }

    fn tell_when_it_worked(&mut self) -> DeviceClock {
        let in_flight = self.depth * self.batch as usize;
        self.times.get_or_insert_with(|| Times::new(in_flight));
        // Seconds of mach_absolute_time, in every process.
        DeviceClock::Machine
    }

    fn worked(&mut self, into: &mut Vec<Worked>) {
        if let Some(times) = &mut self.times {
            times.told(into);
        }
    }

    fn last_worked(&mut self, patience: Duration, into: &mut Vec<Worked>) -> u64 {
        match &mut self.times {
            Some(times) => times.last(patience, into),
            None => 0,
        }
    }
}

impl<O: Ops> Drop for MetalLane<O> {
    fn drop(&mut self) {
        // Metal keeps what committed buffers use; waiting only makes the lane's end the end of
        // its work. After a failed wait the device runs nothing more.
        while !self.in_flight.is_empty() && self.wait().is_ok() {}
    }
}
