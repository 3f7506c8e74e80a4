//! `narrows scan`: arguments to plan, plan to samples, samples to the table.

mod pass;
mod session;
mod show;

pub(crate) use pass::{PassArgs, run_pass};
pub(crate) use show::{Style, show};

use crate::failure::WrongInput;
use narrows_gpu::{
    ContextLayout, Mps, QueueLayout, Recording, SyncMode, WaitMode, Work, parse_duration,
};
use narrows_scan::live::{ThreadsVia, worker};
use narrows_scan::plan::{OptionLists, Request};
use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Time for the measuring when the user names none.
const TIME: Duration = Duration::from_secs(20);
/// The same with `--quick`.
const QUICK_TIME: Duration = Duration::from_secs(5);

/// Arguments of `scan`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows scan --backend vulkan --threads 1,2,4 --work busy:50us")]
pub(crate) struct Args {
    /// GPU API: auto, metal, cuda, vulkan, opencl or soft
    #[arg(long, default_value = "auto", value_name = "NAME")]
    backend: String,
    /// Device number, or a part of its name
    #[arg(long, value_name = "N|NAME")]
    device: Option<String>,
    /// Numbers of submitting threads; 1 is always measured
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,8",
        value_name = "N,.."
    )]
    threads: Vec<u32>,
    /// Queue layouts: shared, own, per-thread (CUDA's default stream) [default: a useful subset]
    #[arg(long, value_delimiter = ',', value_name = "LAYOUT,..")]
    queue: Option<Vec<QueueLayout>>,
    /// What a thread waits for: queue, device, event [default: a useful subset]
    #[arg(long, value_delimiter = ',', value_name = "SYNC,..")]
    sync: Option<Vec<SyncMode>>,
    /// Contexts: shared, own (CUDA, Vulkan), green (CUDA) [default: a useful subset]
    #[arg(long, value_delimiter = ',', value_name = "LAYOUT,..")]
    context: Option<Vec<ContextLayout>>,
    /// How a thread waits: auto, poll (CUDA, Vulkan, Metal), spin, yield, block (CUDA), handler (Metal)
    /// [default: a useful subset]
    #[arg(long, value_delimiter = ',', value_name = "WAIT,..")]
    wait: Option<Vec<WaitMode>>,
    /// When commands are recorded: usual, once (a CUDA graph of --batch ops, a Vulkan command
    /// buffer that is submitted again), each [default: a useful subset]
    #[arg(long, value_delimiter = ',', value_name = "WHEN,..")]
    record: Option<Vec<Recording>>,
    /// Process pool and CUDA's MPS: as-is, on (a daemon that is running), off [default: on and off
    /// where a daemon is running]
    #[arg(long, value_delimiter = ',', value_name = "MPS,..")]
    mps: Option<Vec<Mps>>,
    /// Sizes of the process pool [default: as --threads in a default run, else none]
    #[arg(long, value_delimiter = ',', value_name = "N,..")]
    processes: Option<Vec<u32>>,
    /// Submissions in flight per thread
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,..")]
    depth: Vec<u32>,
    /// Ops per submission
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,..")]
    batch: Vec<u32>,
    /// Whose threads submit: pthreads, gcd (macOS: Grand Central Dispatch)
    #[arg(long, default_value = "pthreads", value_name = "KIND")]
    threads_via: ThreadsVia,
    /// What each op does: noop, busy:TIME, matmul:N or matmul:N:f16
    #[arg(long, default_value = "noop", value_name = "WORK")]
    work: Work,
    /// Time for the measuring [default: 20s, with --quick 5s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    time: Option<Duration>,
    /// Fewer strategies, less time
    #[arg(long)]
    quick: bool,
    /// Leave out the second, short pass with the probe inside that explains the table
    #[arg(long, conflicts_with = "causal")]
    no_explain: bool,
    /// In that pass, delay the likely causes and read what it does to the throughput
    #[arg(long)]
    causal: bool,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Show a quoted table beside the measured one: m4-max-2025-12
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
    /// Samples file [default: narrows-scan-DATE-TIME.jsonl]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seed of the randomised order [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Args {
    fn request(&self) -> Request {
        Request {
            threads: self.threads.clone(),
            queues: self.queue.clone(),
            syncs: self.sync.clone(),
            options: OptionLists {
                contexts: self.context.clone(),
                waits: self.wait.clone(),
                records: self.record.clone(),
                mps: self.mps.clone(),
            },
            processes: self.processes.clone(),
            depths: self.depth.clone(),
            batches: self.batch.clone(),
            work: self.work,
            time: self.time(),
            quick: self.quick,
        }
    }

    /// Time for the measuring.
    fn time(&self) -> Duration {
        let default_time = if self.quick { QUICK_TIME } else { TIME };
        self.time.unwrap_or(default_time)
    }

    fn backend(&self) -> Option<&str> {
        (self.backend != "auto").then_some(self.backend.as_str())
    }
}

/// Arguments of a pool worker: none, its assignment comes on standard input.
#[derive(clap::Args)]
pub(crate) struct WorkerArgs {}

/// Runs `scan`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let style = Style::new(args.json, args.reference.as_deref())?;
    let chosen = narrows_gpu::choose(args.backend(), args.device.as_deref())
        .map_err(WrongInput::from_error)?;
    let plan =
        narrows_scan::plan::plan(&args.request(), &chosen.info).map_err(WrongInput::from_error)?;
    if args.threads_via == ThreadsVia::Gcd {
        let most = args.threads.iter().copied().max().unwrap_or(1);
        narrows_gpu::gcd::check(most).map_err(WrongInput::from_error)?;
    }
    session::run(&args, &chosen, &plan, &style)
}

/// Runs one worker of the process pool. Ctrl-C is the parent's to handle: it ends the workers.
pub(crate) fn run_worker(_args: WorkerArgs) -> anyhow::Result<ExitCode> {
    ctrlc::set_handler(|| ())?;
    let well = worker::main(&mut stdin().lock(), &mut stdout().lock());
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
