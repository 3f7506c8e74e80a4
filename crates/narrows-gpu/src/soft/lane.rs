//! A thread's way into the software GPU.

use super::config::LockPlace;
use super::device::{Queue, Shared};
use crate::{DeviceClock, Error, Lane, LaneSpec, SyncMode, Worked};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One lane; its submissions in flight are the ends of their reservations.
pub(super) struct SoftLane {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    sync: SyncMode,
    service: Duration,
    in_flight: VecDeque<Duration>,
    /// Whether somebody asks for `worked`.
    tells: bool,
    worked: Vec<Worked>,
    depth: usize,
}

impl SoftLane {
    pub(super) fn new(shared: Arc<Shared>, queue: Arc<Queue>, spec: LaneSpec) -> Self {
        Self {
            sync: spec.sync,
            service: shared.config.engine_time(spec.work) * spec.batch,
            in_flight: VecDeque::with_capacity(spec.depth as usize),
            tells: false,
            worked: Vec::new(),
            depth: spec.depth as usize,
            shared,
            queue,
        }
    }

    fn pass_locks(&self, place: LockPlace) {
        for (index, planted) in self.shared.config.locks.iter().enumerate() {
            if planted.place == place {
                self.shared.pass(index, planted, &self.queue);
            }
        }
    }
}

impl Lane for SoftLane {
    fn submit(&mut self) -> Result<(), Error> {
        if self.in_flight.len() == self.depth {
            return Err(crate::too_many_in_flight(super::NAME, self.depth));
        }
        self.shared.host_work();
        self.pass_locks(LockPlace::Submit);
        let end = self.shared.enqueue(&self.queue, self.service)?;
        self.in_flight.push_back(end);
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        let Some(end) = self.in_flight.pop_front() else {
            return Ok(());
        };
        if self.shared.is_lost() {
            return Err(self.shared.lost("wait"));
        }
        self.shared.wait_until(match self.sync {
            SyncMode::Event => end,
            SyncMode::Queue => self.shared.queue_idle_at(&self.queue),
            SyncMode::Device => self.shared.device_idle_at(),
        });
        if self.tells {
            self.worked.push(Worked {
                begin_ns: end.saturating_sub(self.service).as_nanos() as u64,
                end_ns: end.as_nanos() as u64,
            });
        }
        self.pass_locks(LockPlace::Wait);
        Ok(())
    }

    /// A software device is a process's own, and so is its clock.
    fn tell_when_it_worked(&mut self) -> DeviceClock {
        self.tells = true;
        DeviceClock::Process
    }

    fn worked(&mut self, into: &mut Vec<Worked>) {
        into.append(&mut self.worked);
    }
}
