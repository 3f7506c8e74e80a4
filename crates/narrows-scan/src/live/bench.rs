//! Blocks of any point, made ready when first asked for: a search tries hundreds of settings and
//! needs few of them at a time.

use super::{BLOCK, Live, ThreadsVia, WorkerCommand, per_op};
use crate::Error;
use crate::clock::Monotonic;
use crate::plan::Plan;
use crate::run::BlockSource;
use crate::samples::{Block, LeftOut, Point};
use narrows_gpu::Device;
use std::collections::VecDeque;
use std::time::Duration;

/// Points with threads that are kept ready; the least recently used one goes first.
const READY: usize = 12;

/// A block holds at least this many submissions per thread...
const OPS_PER_BLOCK: u32 = 12;
/// ... unless that makes it longer than this: a search meets settings that are slow beyond use.
const LONGEST_BLOCK: Duration = Duration::from_millis(150);

/// A device with the points that were used last.
pub struct Bench<'a> {
    device: &'a dyn Device,
    workers: WorkerCommand,
    /// All points of the pool share its processes: starting them costs seconds.
    pooled: Vec<Point>,
    pool: Option<Ready>,
    ready: VecDeque<Ready>,
    /// Block lengths of the points that have run.
    lengths: Vec<(Point, Duration)>,
    begin: Monotonic,
}

/// Points that can run at once.
struct Ready {
    points: Vec<Point>,
    left_out: Vec<LeftOut>,
    /// Which of them have run.
    warm: Vec<bool>,
    live: Live,
}

impl<'a> Bench<'a> {
    /// Nothing is started yet. `points` are all that will be asked for.
    pub fn new(device: &'a dyn Device, workers: WorkerCommand, points: &[Point]) -> Bench<'a> {
        let pooled = points.iter().filter(|p| p.strategy.pool).cloned().collect();
        Bench {
            device,
            workers,
            pooled,
            pool: None,
            ready: VecDeque::new(),
            lengths: Vec::new(),
            begin: Monotonic::now(),
        }
    }

    fn start(&self, points: Vec<Point>) -> Result<Ready, Error> {
        let plan = Plan {
            points,
            time: Duration::ZERO,
        };
        let (live, left_out) =
            Live::cold(ThreadsVia::default(), &plan, self.device, &self.workers)?;
        Ok(Ready {
            warm: vec![false; plan.points.len()],
            points: plan.points,
            left_out,
            live,
        })
    }

    /// The point, ready to run.
    fn ready(&mut self, point: &Point) -> Result<&mut Ready, Error> {
        if point.strategy.pool {
            if self.pool.is_none() {
                self.pool = Some(self.start(self.pooled.clone())?);
            }
            return self.pool.as_mut().ok_or_else(|| nothing(point));
        }
        let known = self.ready.iter().position(|r| r.points.contains(point));
        let found = match known.and_then(|at| self.ready.remove(at)) {
            Some(found) => found,
            None => {
                self.ready.truncate(READY - 1);
                self.start(vec![point.clone()])?
            }
        };
        self.ready.push_front(found);
        self.ready.front_mut().ok_or_else(|| nothing(point))
    }
}

fn nothing(point: &Point) -> Error {
    Error::Request(format!("{point:?} is not ready"))
}

impl BlockSource for Bench<'_> {
    /// A point that the device or the pool cannot run is [`Error::Impossible`]. The first block of
    /// a point, and of one that was put away, runs twice: a warm-up, then the block.
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let begin = self.begin;
        let known = self.lengths.iter().find(|(p, _)| p == point);
        let known = known.map(|(_, length)| *length);
        let ready = self.ready(point)?;
        let at = ready.points.iter().position(|p| p == point);
        if let Some(left_out) = ready.left_out.iter().find(|l| Some(l.point) == at) {
            return Err(Error::Impossible(left_out.why.clone()));
        }
        let warm = at.and_then(|at| ready.warm.get_mut(at));
        let length = match (warm, known) {
            (Some(true), Some(length)) => length,
            (warm, _) => {
                let first = ready.live.block_of(point, baseline, BLOCK)?;
                if let Some(warm) = warm {
                    *warm = true;
                }
                (per_op(point, &first) * OPS_PER_BLOCK).clamp(BLOCK, LONGEST_BLOCK)
            }
        };
        let length = known.unwrap_or(length);
        let mut block = ready.live.block_of(point, baseline, length)?;
        // Each set of points counts from its own start.
        block.start_ns += ready.live.begin.since(begin);
        if known.is_none() {
            self.lengths.push((point.clone(), length));
        }
        Ok(block)
    }
}
