//! A thread's way to a CUDA stream. The submit and wait paths make the API calls and nothing else:
//! no lock, no allocation, no clock.

use super::NAME;
use super::api::status;
use super::context::{Context, Event, Stream};
use super::sys::{self, CUresult, NOT_READY};
use super::work::{Dispatch, Graph};
use crate::{Error, Lane, LaneSpec, Recording, SyncMode, WaitMode};
use std::sync::Arc;

/// One lane.
pub(super) struct CudaLane {
    sync: SyncMode,
    poll: bool,
    batch: u32,
    depth: usize,
    /// One per submission in flight; none unless the lane waits for events.
    events: Vec<Event>,
    /// Index of the oldest submission in flight.
    oldest: usize,
    in_flight: usize,
    /// All ops of a submission; without it they are launched one by one.
    graph: Option<Graph>,
    dispatch: Dispatch,
    stream: Arc<Stream>,
    context: Arc<Context>,
}

impl CudaLane {
    pub(super) fn new(
        dispatch: Dispatch,
        spec: LaneSpec,
        stream: Arc<Stream>,
    ) -> Result<Self, Error> {
        let context = Arc::clone(dispatch.context());
        let mut flags = sys::EVENT_DISABLE_TIMING;
        if spec.options.wait == WaitMode::Block {
            flags |= sys::EVENT_BLOCKING_SYNC;
        }
        let events = match spec.sync {
            SyncMode::Event => (0..spec.depth)
                .map(|_| Event::new(&context, flags))
                .collect::<Result<_, _>>()?,
            SyncMode::Queue | SyncMode::Device => Vec::new(),
        };
        let graph = match spec.options.record {
            Recording::Once => Some(dispatch.graph(spec.batch)?),
            Recording::Usual | Recording::Each => None,
        };
        Ok(Self {
            sync: spec.sync,
            poll: spec.options.wait == WaitMode::Poll,
            batch: spec.batch,
            depth: spec.depth as usize,
            events,
            oldest: 0,
            in_flight: 0,
            graph,
            dispatch,
            stream,
            context,
        })
    }

    fn next(&self, index: usize) -> usize {
        if index >= self.depth {
            index - self.depth
        } else {
            index
        }
    }

    fn wait_for_event(&self) -> Result<(), Error> {
        let Some(event) = self.events.get(self.oldest) else {
            return Ok(());
        };
        if !self.poll {
            return event.synchronize();
        }
        let query = self.context.api.event_query;
        // SAFETY: the event is this lane's.
        poll("cuEventQuery", || unsafe { query(event.raw()) })
    }

    fn wait_for_stream(&self) -> Result<(), Error> {
        let stream = self.stream.raw();
        if self.poll {
            let query = self.context.api.stream_query;
            // SAFETY: the stream is alive and its context is current.
            return poll("cuStreamQuery", || unsafe { query(stream) });
        }
        let synchronize = self.context.api.stream_synchronize;
        // SAFETY: as above.
        status("cuStreamSynchronize", unsafe { synchronize(stream) })
    }
}

/// Asks until the answer is no longer "not ready".
fn poll(call: &'static str, ask: impl Fn() -> CUresult) -> Result<(), Error> {
    loop {
        match ask() {
            NOT_READY => std::hint::spin_loop(),
            code => return status(call, code),
        }
    }
}

impl Lane for CudaLane {
    fn submit(&mut self) -> Result<(), Error> {
        if self.in_flight == self.depth {
            return Err(crate::too_many_in_flight(NAME, self.depth));
        }
        self.context.enter()?;
        let stream = self.stream.raw();
        match &self.graph {
            Some(graph) => graph.launch(stream)?,
            None => {
                for _ in 0..self.batch {
                    self.dispatch.launch(stream)?;
                }
            }
        }
        if let Some(event) = self.events.get(self.next(self.oldest + self.in_flight)) {
            event.record(stream)?;
        }
        self.in_flight += 1;
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        if self.in_flight == 0 {
            return Ok(());
        }
        self.context.enter()?;
        match self.sync {
            SyncMode::Event => self.wait_for_event()?,
            SyncMode::Queue => self.wait_for_stream()?,
            SyncMode::Device => self.context.synchronize()?,
        }
        self.oldest = self.next(self.oldest + 1);
        self.in_flight -= 1;
        Ok(())
    }
}

impl Drop for CudaLane {
    fn drop(&mut self) {
        // After a failed wait the context runs nothing more.
        while self.in_flight > 0 && self.wait().is_ok() {}
    }
}
