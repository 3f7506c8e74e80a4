//! Blocks in simulated time: the soft device's law without wall time, through the same plan, the
//! same rounds and the same file as a real run. Statistics are tested on this.

use crate::Error;
use crate::run::BlockSource;
use crate::samples::{Block, Point};
use narrows_gpu::soft::sim::Sim;
use std::time::Duration;

/// A [`BlockSource`] whose blocks cost no time.
pub struct Simulated {
    sim: Sim,
    length: Duration,
}

impl Simulated {
    /// Blocks of `length` on `sim`.
    pub fn new(sim: Sim, length: Duration) -> Simulated {
        Simulated { sim, length }
    }
}

impl BlockSource for Simulated {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let width = if baseline {
            1
        } else {
            point.threads.max(point.processes)
        };
        let block = self
            .sim
            .block(point.strategy.lane_spec(), width, self.length);
        Ok(Block {
            start_ns: block.start.as_nanos() as u64,
            wall_ns: block.wall.as_nanos() as u64,
            ops: block.ops,
            cpu_ns: None,
            latency: Vec::new(),
            max_latency_ns: 0,
        })
    }
}
