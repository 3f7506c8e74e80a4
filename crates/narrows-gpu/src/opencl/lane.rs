//! A thread's way to an OpenCL queue. The submit and wait paths make the API calls and nothing
//! else: no lock, no allocation, no clock.

use super::NAME;
use super::api::{Event, Queue, status};
use super::work::Dispatch;
use crate::{Error, Lane, LaneSpec, SyncMode};
use cl3::types::{cl_command_queue, cl_event};
use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;

/// One lane.
pub(super) struct OpenclLane {
    dispatch: Dispatch,
    sync: SyncMode,
    depth: usize,
    batch: u32,
    in_flight: usize,
    /// Of the last op of each submission in flight; only for waits for events.
    events: VecDeque<Event>,
    /// All queues of the lanes made together.
    queues: Arc<[Queue]>,
    /// Index of this lane's.
    queue: usize,
}

impl OpenclLane {
    pub(super) fn new(
        dispatch: Dispatch,
        spec: LaneSpec,
        queues: Arc<[Queue]>,
        queue: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            dispatch,
            sync: spec.sync,
            depth: spec.depth as usize,
            batch: spec.batch,
            in_flight: 0,
            events: VecDeque::with_capacity(spec.depth as usize),
            queues,
            queue,
        })
    }

    fn raw_queue(&self) -> cl_command_queue {
        self.queues[self.queue].raw()
    }
}

impl Lane for OpenclLane {
    fn submit(&mut self) -> Result<(), Error> {
        if self.in_flight == self.depth {
            return Err(crate::too_many_in_flight(NAME, self.depth));
        }
        let queue = self.raw_queue();
        for _ in 1..self.batch {
            self.dispatch.enqueue(queue, None)?;
        }
        if self.sync == SyncMode::Event {
            let mut event: cl_event = ptr::null_mut();
            self.dispatch.enqueue(queue, Some(&mut event))?;
            self.events.push_back(Event::new(event));
        } else {
            self.dispatch.enqueue(queue, None)?;
        }
        self.in_flight += 1;
        if self.depth > 1 {
            status("clFlush", cl3::command_queue::flush(queue))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        if self.in_flight == 0 {
            return Ok(());
        }
        match self.sync {
            SyncMode::Event => {
                if let Some(event) = self.events.pop_front() {
                    status(
                        "clWaitForEvents",
                        cl3::event::wait_for_events(&[event.raw()]),
                    )?;
                }
            }
            SyncMode::Queue => {
                status("clFinish", cl3::command_queue::finish(self.raw_queue()))?;
            }
            SyncMode::Device => {
                for queue in self.queues.iter() {
                    status("clFinish", cl3::command_queue::finish(queue.raw()))?;
                }
            }
        }
        self.in_flight -= 1;
        Ok(())
    }
}

impl Drop for OpenclLane {
    fn drop(&mut self) {
        // OpenCL keeps what queued commands use; waiting only makes the lane's end the end of its
        // work. After a failed wait the device runs nothing more.
        while self.in_flight > 0 && self.wait().is_ok() {}
    }
}
