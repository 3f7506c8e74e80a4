//! Blocks in simulated time: the soft device's law without wall time, through the same plan, the
//! same rounds and the same file as a real run. Statistics are tested on this.

use crate::Error;
use crate::live::drive::{Driver, buckets};
use crate::run::BlockSource;
use crate::samples::{Block, Point};
use narrows_gpu::soft::SoftConfig;
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

impl Simulated {
    /// The same machine with another device: for tests that plant a law of their own.
    pub fn reconfigure(&mut self, config: SoftConfig) {
        self.sim.reconfigure(config);
    }
}

impl BlockSource for Simulated {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let width = if baseline {
            1
        } else {
            point.threads.max(point.processes)
        };
        let (mut latency, mut longest) = (Driver::histogram()?, 0);
        let spec = point.strategy.lane_spec();
        let block = self.sim.block_with(spec, width, self.length, &mut |took| {
            let took = took.as_nanos() as u64;
            latency.saturating_record(took);
            longest = longest.max(took);
        });
        Ok(Block {
            start_ns: block.start.as_nanos() as u64,
            wall_ns: block.wall.as_nanos() as u64,
            ops: block.ops,
            cpu_ns: None,
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency: buckets(&latency),
            max_latency_ns: longest,
        })
    }
}
