//! One strategy for a stretch of time, for a recorder that watches from inside: the same loop as in
//! a block ([`crate::live`]), without a clock around it. No number of a table comes from here.

use crate::Error;
use crate::live::drive::Driver;
use crate::samples::Strategy;
use narrows_gate::{Gate, Round};
use narrows_gpu::Lane;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The threads are given this long to come to the gate.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Name of the backend.
    pub backend: String,
    /// Number of the device.
    pub device: usize,
    /// How ops are submitted.
    pub strategy: Strategy,
    /// How long.
    pub length: Duration,
}

/// Opens the device and keeps `threads` threads at work for the length of the pass. `done` is
/// called by a thread after each of its submissions has completed.
pub fn run(pass: &Pass, threads: u32, done: &(dyn Fn() + Sync)) -> Result<(), Error> {
    let backends = narrows_gpu::backends();
    let backend = backends
        .iter()
        .find(|b| b.name() == pass.backend)
        .ok_or_else(|| Error::Request(format!("no backend {}", pass.backend)))?;
    let device = backend.open(pass.device)?;
    device.prepare(pass.strategy.work)?;
    let lanes = device.lanes(pass.strategy.lane_spec(), threads)?;
    let gate = Gate::local();
    std::thread::scope(|scope| {
        let members: Result<Vec<_>, Error> = (0u32..)
            .zip(lanes)
            .map(|(index, lane)| {
                let gate = &gate;
                std::thread::Builder::new()
                    .name(format!("submit-{index}"))
                    .spawn_scoped(scope, move || member(pass, Marked { lane, done }, gate))
                    .map_err(|source| Error::System {
                        what: format!("starting thread {index}"),
                        source,
                    })
            })
            .collect();
        let members = members?;
        gate.open_for(Round(1), threads, PATIENCE, || ())?;
        members.into_iter().try_for_each(|member| {
            member
                .join()
                .unwrap_or_else(|_| Err(Error::Request("a submitting thread panicked".into())))
        })
    })
}

fn member(pass: &Pass, mut lane: Marked<'_>, gate: &Gate) -> Result<(), Error> {
    let mut driver = Driver::new()?;
    gate.pass(Round(1), PATIENCE)?;
    let Strategy { depth, batch, .. } = pass.strategy;
    driver.drive(&mut lane, depth, batch, pass.length, || false)?;
    Ok(())
}

/// A lane that says when a submission has completed.
struct Marked<'a> {
    lane: Box<dyn Lane>,
    done: &'a (dyn Fn() + Sync),
}

impl Lane for Marked<'_> {
    fn submit(&mut self) -> Result<(), narrows_gpu::Error> {
        self.lane.submit()
    }

    fn wait(&mut self) -> Result<(), narrows_gpu::Error> {
        self.lane.wait()?;
        (self.done)();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narrows_gpu::{QueueLayout, SyncMode, Work};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn pass(backend: &str) -> Pass {
        Pass {
            backend: backend.into(),
            device: 0,
            strategy: Strategy {
                work: Work::Noop,
                queue: QueueLayout::Own,
                sync: SyncMode::Event,
                depth: 2,
                batch: 1,
                options: narrows_gpu::LaneOptions::default(),
                pool: false,
                mps: narrows_gpu::Mps::AsIs,
            },
            length: Duration::from_millis(30),
        }
    }

    #[test]
    fn every_thread_does_and_marks_ops() {
        let (marks, threads) = (AtomicU64::new(0), std::sync::Mutex::new(Vec::new()));
        let done = || {
            marks.fetch_add(1, Ordering::Relaxed);
            threads.lock().unwrap().push(std::thread::current().id());
        };
        run(&pass("soft"), 3, &done).unwrap();
        let mut seen = threads.into_inner().unwrap();
        assert_eq!(seen.len() as u64, marks.into_inner());
        seen.sort_by_key(|id| format!("{id:?}"));
        seen.dedup();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn an_unknown_backend_is_an_error() {
        let error = run(&pass("metal9"), 1, &|| ()).unwrap_err();
        assert!(error.to_string().contains("metal9"), "{error}");
    }
}
