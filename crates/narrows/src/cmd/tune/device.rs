//! A search on a device, by narrows' own threads and worker processes.

use super::session::{Plan, measure};
use super::{Args, default_workers, naive_workers, numbers};
use crate::failure::WrongInput;
use narrows_scan::live::{Bench, WorkerCommand};
use narrows_tune::device::{OnDevice, Wanted, space};
use narrows_tune::samples::Subject;
use std::process::ExitCode;

/// Largest number of threads or processes that is accepted.
const MOST_WORKERS: u32 = 1024;
/// Largest depth and batch.
const MOST_IN_FLIGHT: u32 = 4096;

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cores = narrows_scan::environment::read().cores.max(1);
    let workers = match &args.threads {
        Some(wanted) => numbers("--threads", wanted, MOST_WORKERS)?,
        None => default_workers(cores),
    };
    let wanted = Wanted {
        work: args.work,
        naive: naive_workers(&workers, cores),
        workers,
        processes: !args.no_processes,
        queues: args.queue.clone(),
        syncs: args.sync.clone(),
        contexts: args.context.clone(),
        waits: args.wait.clone(),
        records: args.record.clone(),
        depths: numbers("--depth", &args.depth, MOST_IN_FLIGHT)?,
        batches: numbers("--batch", &args.batch, MOST_IN_FLIGHT)?,
    };
    let backend = (args.backend != "auto").then_some(args.backend.as_str());
    let chosen =
        narrows_gpu::choose(backend, args.device.as_deref()).map_err(WrongInput::from_error)?;
    let (space, points) = space(&wanted, &chosen.info).map_err(WrongInput::from_error)?;
    let plan = Plan::new(args, space)?;
    let device = chosen.backend.open(chosen.index)?;
    let preparation = device.prepare(args.work).map_err(|error| match error {
        narrows_gpu::Error::Unsupported { .. } => WrongInput::from_error(error),
        other => other.into(),
    })?;
    let subject = Subject::Device {
        device: device.info().clone(),
        choice: chosen.why.clone(),
        work: args.work.to_string(),
        preparation,
    };
    let command = WorkerCommand {
        program: std::env::current_exe()?,
        arguments: vec!["pool-worker".into()],
    };
    let bench = Bench::new(&*device, command, &points);
    measure(args, plan, subject, &mut OnDevice::new(bench, points))
}
