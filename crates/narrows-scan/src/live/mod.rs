//! Blocks on a real device: threads of this process (`crew`) and worker processes (`pool`).

mod bench;
mod busy;
mod crew;
pub(crate) mod drive;
mod pool;
pub mod worker;

pub use bench::Bench;
pub use crew::ThreadsVia;

use crate::Error;
use crate::clock::Monotonic;
use crate::plan::Plan;
use crate::run::BlockSource;
use crate::samples::{Block, LeftOut, Point, Strategy};
use crew::Crew;
use narrows_gpu::{Device, LaneSpec, Mps};
use pool::Pool;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Shortest block. Short, so that a pair sees one state of a shared machine.
pub const BLOCK: Duration = Duration::from_millis(20);
/// A block holds at least this many ops per thread, so that its ragged end weighs little.
const OPS_PER_BLOCK: u32 = 40;
/// No block is longer than this.
const LONGEST_BLOCK: Duration = Duration::from_secs(2);

/// How worker processes of the pool are started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; it must call [`worker::main`].
    pub arguments: Vec<OsString>,
}

/// Threads and processes, ready to run blocks.
pub struct Live {
    crew: Crew,
    /// One per setting of MPS.
    pools: Vec<Pool>,
    lengths: Vec<(Strategy, Duration)>,
    begin: Monotonic,
}

impl Live {
    /// Creates lanes, threads and workers for all strategies of `plan`, warms each up, and sets
    /// its block length. Points that the device cannot do come back as left out.
    pub fn new(
        plan: &Plan,
        device: &dyn Device,
        workers: &WorkerCommand,
    ) -> Result<(Live, Vec<LeftOut>), Error> {
        Live::with_threads(ThreadsVia::default(), plan, device, workers)
    }

    /// [`Live::new`] with threads of a kind.
    pub fn with_threads(
        via: ThreadsVia,
        plan: &Plan,
        device: &dyn Device,
        workers: &WorkerCommand,
    ) -> Result<(Live, Vec<LeftOut>), Error> {
        let (mut live, left_out) = Live::cold(via, plan, device, workers)?;
        live.warm_up(plan, &left_out)?;
        Ok((live, left_out))
    }

    /// [`Live::new`] without the warm-up: every block is [`BLOCK`] long.
    fn cold(
        via: ThreadsVia,
        plan: &Plan,
        device: &dyn Device,
        workers: &WorkerCommand,
    ) -> Result<(Live, Vec<LeftOut>), Error> {
        let mut left_out = Vec::new();
        let strategies = plan.strategies();
        let threaded: Vec<_> = strategies
            .iter()
            .filter(|(s, _)| !s.pool)
            .copied()
            .collect();
        let pooled: Vec<_> = strategies.iter().filter(|(s, _)| s.pool).copied().collect();
        let crew = Crew::new(device, &threaded, via, |strategy, possible, why| {
            leave_out(plan, strategy, possible, why, &mut left_out);
        })?;
        let mut pools = Vec::new();
        for mps in [Mps::AsIs, Mps::On, Mps::Off] {
            let its = pooled.iter().filter(|(s, _)| s.mps == mps);
            let specs: Vec<_> = its.clone().map(|(s, _)| *s).collect();
            let Some(size) = its.map(|(_, size)| *size).max() else {
                continue;
            };
            let why = match Pool::start(workers, device.info(), &specs, size) {
                Ok(pool) => {
                    pools.push(pool);
                    continue;
                }
                Err(Error::Worker { index, detail }) => {
                    format!("worker {index} did not start: {detail}")
                }
                Err(Error::Gpu(error @ narrows_gpu::Error::Unsupported { .. })) => {
                    error.to_string()
                }
                Err(error) => return Err(error),
            };
            for strategy in &specs {
                leave_out(plan, *strategy, 0, &why, &mut left_out);
            }
        }
        let live = Live {
            crew,
            pools,
            lengths: Vec::new(),
            begin: Monotonic::now(),
        };
        Ok((live, left_out))
    }

    /// Runs each strategy once, alone and at full width, and takes its block length from that.
    fn warm_up(&mut self, plan: &Plan, left_out: &[LeftOut]) -> Result<(), Error> {
        for (index, point) in plan.points.iter().enumerate() {
            if left_out.iter().any(|l| l.point == index) {
                continue;
            }
            let block = self.block(point, false)?;
            let length = (per_op(point, &block) * OPS_PER_BLOCK).clamp(BLOCK, LONGEST_BLOCK);
            match self.lengths.iter_mut().find(|(s, _)| *s == point.strategy) {
                Some((_, longest)) => *longest = length.max(*longest),
                None => self.lengths.push((point.strategy, length)),
            }
        }
        self.begin = Monotonic::now();
        Ok(())
    }

    fn length(&self, strategy: Strategy) -> Duration {
        self.lengths
            .iter()
            .find(|(s, _)| *s == strategy)
            .map_or(BLOCK, |(_, length)| *length)
    }
}

/// Thread time of a submission.
fn per_op(point: &Point, block: &Block) -> Duration {
    let width = u64::from(point.threads.max(point.processes));
    let submissions = block.ops / u64::from(point.strategy.batch).max(1);
    Duration::from_nanos(block.wall_ns * width / submissions.max(1))
}

impl BlockSource for Live {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let length = self.length(point.strategy);
        self.block_of(point, baseline, length)
    }
}

impl Live {
    /// A block of this length.
    fn block_of(
        &mut self,
        point: &Point,
        baseline: bool,
        length: Duration,
    ) -> Result<Block, Error> {
        if point.strategy.pool {
            let width = if baseline { 1 } else { point.processes };
            let pool = self.pools.iter_mut().find(|p| p.has(point.strategy));
            match pool {
                Some(pool) => pool.block(point.strategy, width, length, self.begin),
                None => Err(Error::Worker {
                    index: 0,
                    detail: "the pool is not running".into(),
                }),
            }
        } else {
            let width = if baseline { 1 } else { point.threads };
            self.crew.block(point.strategy, width, length, self.begin)
        }
    }
}

impl Strategy {
    /// What a lane of this strategy is made from.
    pub fn lane_spec(&self) -> LaneSpec {
        LaneSpec {
            work: self.work,
            queue: self.queue,
            sync: self.sync,
            depth: self.depth,
            batch: self.batch,
            options: self.options,
        }
    }
}

/// Leaves out all points of `strategy` that need more than `possible` threads or processes.
fn leave_out(plan: &Plan, strategy: Strategy, possible: u32, why: &str, into: &mut Vec<LeftOut>) {
    for (index, point) in plan.points.iter().enumerate() {
        if point.strategy == strategy && point.threads.max(point.processes) > possible {
            into.push(LeftOut {
                point: index,
                why: why.to_owned(),
            });
        }
    }
}
