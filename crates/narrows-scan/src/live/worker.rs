//! A worker process of the pool, and the words it exchanges with the command that started it.
//!
//! Protocol: JSON values, one a line. In: a `Assignment`, then `Order`s; end of input ends the
//! worker. Out: lines that start with `PREFIX`, each an `Answer`; other lines are the driver's
//! own talk and are skipped.

use super::busy::Busy;
use super::crew::{PATIENCE, abandoned};
use super::drive::{Driver, Drove};
use crate::Error;
use crate::clock::process_cpu_ns;
use narrows_gate::{Gate, Round};
use narrows_gpu::{DeviceClock, Lane, LaneSpec};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const PREFIX: &str = "narrows-worker ";

/// What a worker opens.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) backend: String,
    pub(super) device: usize,
    pub(super) gate: PathBuf,
    pub(super) specs: Vec<LaneSpec>,
}

/// One block.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) spec: usize,
    pub(super) round: u32,
    pub(super) length: Duration,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Ready,
    Drove { drove: Drove, cpu_ns: u64 },
    Failed(String),
}

/// The worker's life. Errors are told to the parent; the result is whether all went well.
pub fn main(input: &mut dyn BufRead, output: &mut dyn Write) -> bool {
    match work(input, output) {
        Ok(()) => true,
        Err(error) => {
            // If the parent is gone, nobody is left to tell.
            drop(say(output, &Answer::Failed(error.to_string())));
            false
        }
    }
}

fn work(input: &mut dyn BufRead, output: &mut dyn Write) -> Result<(), Error> {
    let Some(assignment) = read::<Assignment>(input)? else {
        return Ok(());
    };
    let mut lanes = open_lanes(&assignment)?;
    let gate = Gate::open(&assignment.gate)?;
    let mut driver = Driver::new()?;
    say(output, &Answer::Ready)?;
    while let Some(order) = read::<Order>(input)? {
        let spec = assignment.specs[order.spec];
        let round = Round(order.round);
        gate.pass(round, PATIENCE)?;
        let before = process_cpu_ns();
        let lane = &mut *lanes[order.spec];
        let most = abandoned(order.length);
        let mut drove =
            driver.drive(lane, spec.depth, spec.batch, most, || gate.is_closed(round))?;
        let cpu_ns = process_cpu_ns().saturating_sub(before);
        // Of clocks that are each process's own there is no union.
        let common = lane.tell_when_it_worked() == DeviceClock::Machine;
        drove.busy = drove.busy.filter(|_| common).and_then(Busy::bounded);
        say(output, &Answer::Drove { drove, cpu_ns })?;
    }
    Ok(())
}

fn open_lanes(assignment: &Assignment) -> Result<Vec<Box<dyn Lane>>, Error> {
    let backends = narrows_gpu::backends();
    let backend = backends
        .iter()
        .find(|b| b.name() == assignment.backend)
        .ok_or_else(|| Error::Request(format!("no backend {}", assignment.backend)))?;
    let device = backend.open(assignment.device)?;
    let mut lanes = Vec::new();
    for spec in &assignment.specs {
        device.prepare(spec.work)?;
        lanes.extend(device.lanes(*spec, 1)?.into_iter().take(1));
    }
    // The lanes keep what they need of the device alive; the device itself lives to the end.
    std::mem::forget(device);
    Ok(lanes)
}

fn read<T: for<'a> Deserialize<'a>>(input: &mut dyn BufRead) -> Result<Option<T>, Error> {
    let mut line = String::new();
    let bytes = input
        .read_line(&mut line)
        .map_err(|source| broken("reading an order", source))?;
    if bytes == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|e| broken("reading an order", e.into()))
}

fn say(output: &mut dyn Write, answer: &Answer) -> Result<(), Error> {
    let text = serde_json::to_string(answer).map_err(|e| broken("answering", e.into()))?;
    writeln!(output, "{PREFIX}{text}")
        .and_then(|()| output.flush())
        .map_err(|source| broken("answering", source))
}

fn broken(what: &str, source: std::io::Error) -> Error {
    Error::System {
        what: what.to_owned(),
        source,
    }
}
