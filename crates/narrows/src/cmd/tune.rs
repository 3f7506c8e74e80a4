//! `narrows tune`: finds the setting that helps on this machine, and measures by how much.

mod device;
mod program;
mod session;

pub(crate) use session::{print, show};

use crate::failure::WrongInput;
use narrows_gpu::{
    ContextLayout, QueueLayout, Recording, SyncMode, WaitMode, Work, parse_duration,
};
use narrows_tune::Goal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `tune`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: narrows tune --backend vulkan --work busy:50us --time 60s\n\n\
    The naive setting that everything is compared with: as many threads as there are cores (or the\n\
    nearest number below that is tried), one shared queue, a wait for the whole device, depth 1,\n\
    batch 1."
)]
pub(crate) struct Args {
    /// GPU API: auto, or a name that `narrows scan --backend` takes
    #[arg(long, default_value = "auto", value_name = "NAME")]
    backend: String,
    /// Device number, or a part of its name
    #[arg(long, value_name = "N|NAME")]
    device: Option<String>,
    /// What each op does: noop, busy:TIME, matmul:N or matmul:N:f16
    #[arg(long, default_value = "noop", value_name = "WORK")]
    work: Work,
    /// What is wanted most: throughput, p99 or efficiency (least thread time per op)
    #[arg(long, default_value = "throughput", value_name = "GOAL")]
    goal: Goal,
    /// Time for the whole search
    #[arg(long, value_parser = parse_duration, default_value = "60s", value_name = "TIME")]
    time: Duration,
    /// Numbers of workers that are tried: threads, or processes [default: 1,2,4,8 and on to the cores]
    #[arg(long, value_delimiter = ',', value_name = "N,..")]
    threads: Option<Vec<u32>>,
    /// With COMMAND: numbers of copies that run at once [default: 1]
    #[arg(long, value_delimiter = ',', value_name = "N,..", requires = "command")]
    processes: Option<Vec<u32>>,
    /// With COMMAND: values of an environment variable, which also replace {NAME} in COMMAND; an
    /// empty one leaves it as it is; may be given several times
    #[arg(long, value_name = "NAME=A,B,..", value_parser = program::variable, requires = "command")]
    set: Vec<program::Variable>,
    /// With COMMAND: count ops by what it prints, not by the probe: a group named `rate` is ops per
    /// second, another group a number of ops, without a group each match is an op
    #[arg(long, value_name = "REGEX", requires = "command")]
    ops_regex: Option<String>,
    /// Do not try worker processes
    #[arg(long)]
    no_processes: bool,
    /// Queue layouts: shared, own [default: all that the device has]
    #[arg(long, value_delimiter = ',', value_name = "LAYOUT,..")]
    queue: Option<Vec<QueueLayout>>,
    /// What a thread waits for: device, queue, event [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SYNC,..")]
    sync: Option<Vec<SyncMode>>,
    /// Contexts: shared, own, green [default: shared]
    #[arg(long, value_delimiter = ',', value_name = "CONTEXT,..")]
    context: Option<Vec<ContextLayout>>,
    /// Kinds of wait: auto, spin, yield, block, poll [default: auto]
    #[arg(long, value_delimiter = ',', value_name = "WAIT,..")]
    wait: Option<Vec<WaitMode>>,
    /// When commands are recorded: usual, once, each [default: usual; on CUDA usual and once]
    #[arg(long, value_delimiter = ',', value_name = "RECORD,..")]
    record: Option<Vec<Recording>>,
    /// Submissions in flight per worker
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,8",
        value_name = "N,.."
    )]
    depth: Vec<u32>,
    /// Ops per submission
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,4,16",
        value_name = "N,.."
    )]
    batch: Vec<u32>,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Samples file [default: narrows-tune-DATE-TIME.jsonl]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not keep the result for the advice of explain (narrows results)
    #[arg(long)]
    no_keep: bool,
    /// Seed of the random order [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A program to tune instead of a device; {threads} or {} becomes the number of threads, which
    /// is in NARROWS_N too
    #[arg(
        last = true,
        value_name = "COMMAND",
        conflicts_with_all = ["backend", "device", "work", "queue", "sync", "context", "wait",
            "record", "depth", "batch", "no_processes"]
    )]
    command: Vec<OsString>,
}

/// Runs `tune`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.command.is_empty() {
        device::run(&args)
    } else {
        program::run(&args)
    }
}

/// Sorted without repeats; refuses 0, nothing and the absurd.
fn numbers(option: &str, wanted: &[u32], most: u32) -> anyhow::Result<Vec<u32>> {
    if let Some(bad) = wanted.iter().find(|n| **n == 0 || **n > most) {
        let why = format!("{option} {bad}: use numbers from 1 to {most}");
        return Err(WrongInput(why).into());
    }
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted)
}

/// 1, 2, 4, 8 and on to the number of cores, which is the last one.
fn default_workers(cores: u32) -> Vec<u32> {
    let mut found: Vec<u32> = std::iter::successors(Some(1u32), |n| n.checked_mul(2))
        .take_while(|n| *n <= cores.clamp(8, 64))
        .collect();
    if cores <= 64 && !found.contains(&cores) {
        found.push(cores);
        found.sort_unstable();
    }
    found
}

/// The naive number of workers: the largest that is not above the cores.
fn naive_workers(workers: &[u32], cores: u32) -> u32 {
    let fits = workers.iter().filter(|n| **n <= cores).max();
    fits.or_else(|| workers.iter().min()).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_go_to_the_cores_and_the_naive_ones_fill_them() {
        assert_eq!(default_workers(2), [1, 2, 4, 8]);
        assert_eq!(default_workers(12), [1, 2, 4, 8, 12]);
        assert_eq!(default_workers(16), [1, 2, 4, 8, 16]);
        assert_eq!(default_workers(192), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(naive_workers(&[1, 2, 4, 8], 2), 2);
        assert_eq!(naive_workers(&[1, 2, 4, 8, 12], 12), 12);
        assert_eq!(naive_workers(&[4, 8], 2), 4);
    }

    #[test]
    fn numbers_are_sorted_and_checked() {
        assert_eq!(numbers("--depth", &[4, 1, 4], 9).unwrap(), [1, 4]);
        assert!(numbers("--depth", &[0], 9).is_err());
        assert!(numbers("--depth", &[10], 9).is_err());
    }
}
