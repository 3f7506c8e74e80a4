//! The law of the software GPU in simulated time: blocks of work that cost no wall time, with
//! seeded noise, so that statistics can be tried over hundreds of repetitions.
//!
//! The simulation is discrete-event: a thread goes round the stages of a [`Law`], each stage
//! serves first come first served. Without noise its throughput tends to [`Law::throughput`]; a
//! block of finite length is short of it by less than one round of each thread (threads start
//! together and the block ends with the last of them).
//!
//! With [`Noise::jitter`] a limit is kept exactly as long as the limiting stage never idles;
//! [`Sim::law_is_exact`] says whether that is so.

use super::{Law, SoftConfig};
use crate::LaneSpec;
use std::time::Duration;

/// What disturbs the simulated machine. The factors act on every time of the cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Each service is multiplied by a number drawn evenly from `1 - jitter` to `1 + jitter`.
    pub jitter: f64,
    /// Standard deviation of the machine's log speed, which drifts from block to block.
    pub drift: f64,
    /// Share of the log speed that is kept from one block to the next, 0 to 1.
    pub memory: f64,
    /// A neighbour that comes and goes.
    pub neighbour: Option<Neighbour>,
}

/// Bursts of somebody else's work; lengths and gaps are exponential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Mean time between bursts.
    pub gap: Duration,
    /// Mean length of a burst.
    pub burst: Duration,
    /// How many times longer everything takes in a burst.
    pub slowdown: f64,
}

impl Noise {
    /// None at all: every block of a strategy is the same.
    pub const NONE: Self = Self {
        jitter: 0.0,
        drift: 0.0,
        memory: 0.0,
        neighbour: None,
    };
    /// A machine with nobody else on it.
    pub const QUIET: Self = Self {
        jitter: 0.1,
        drift: 0.005,
        memory: 0.9,
        neighbour: None,
    };
    /// A shared machine whose speed wanders.
    pub const NOISY: Self = Self {
        jitter: 0.1,
        drift: 0.1,
        memory: 0.8,
        neighbour: None,
    };
    /// A shared machine with a neighbour that takes it over for hundreds of milliseconds.
    pub const BURSTY: Self = Self {
        jitter: 0.1,
        drift: 0.02,
        memory: 0.9,
        neighbour: Some(Neighbour {
            gap: Duration::from_millis(900),
            burst: Duration::from_millis(300),
            slowdown: 1.6,
        }),
    };
}

/// What a simulated block gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimBlock {
    /// Simulated time of the start, since the simulation began.
    pub start: Duration,
    /// From the start to the end of the last thread.
    pub wall: Duration,
    /// Ops completed, all threads.
    pub ops: u64,
}

impl SimBlock {
    /// Ops per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.ops as f64 / self.wall.as_secs_f64()
    }
}

/// A simulated machine. The same seed and the same calls give the same blocks.
#[derive(Clone, Debug)]
pub struct Sim {
    config: SoftConfig,
    noise: Noise,
    random: Random,
    /// Simulated time in nanoseconds. Fractions matter: a jitter of a short stage is less than 1.
    now: f64,
    log_speed: f64,
    bursting: bool,
    burst_changes_at: f64,
}

impl Sim {
    /// A machine that obeys `config` under `noise`.
    #[must_use]
    pub fn new(config: SoftConfig, noise: Noise, seed: u64) -> Self {
        let mut random = Random(seed);
        let log_speed = noise.drift * random.normal();
        let mut sim = Self {
            config,
            noise,
            random,
            now: 0.0,
            log_speed,
            bursting: false,
            burst_changes_at: f64::INFINITY,
        };
        if let Some(n) = noise.neighbour {
            let share = n.burst.as_secs_f64() / (n.burst + n.gap).as_secs_f64();
            sim.bursting = sim.random.uniform() < share;
            sim.plan_burst_change(0.0);
        }
        sim
    }

    /// The ratio `X(threads) / X(1)` that the law gives for `spec`.
    #[must_use]
    pub fn true_ratio(&self, spec: LaneSpec, threads: u32) -> f64 {
        let x = |n| self.config.law(spec, n).throughput(n);
        x(threads) / x(1)
    }

    /// Whether jitter leaves [`Sim::true_ratio`] exact at this point: one thread, or no jitter,
    /// or a one-server bottleneck that `threads` threads keep busy whatever the jitter does.
    #[must_use]
    pub fn law_is_exact(&self, spec: LaneSpec, threads: u32) -> bool {
        let j = self.noise.jitter;
        if threads == 1 || j == 0.0 {
            return true;
        }
        let law = self.config.law(spec, threads);
        let Some(limit) = law.bottleneck().filter(|s| s.servers == 1) else {
            return false;
        };
        let hold = limit.service.as_secs_f64();
        let elsewhere = law.round().as_secs_f64() - hold;
        let others_queue_too = law.stages.iter().filter(|s| s.servers < threads).count() > 1;
        !others_queue_too && elsewhere * (1.0 + j) <= f64::from(threads - 1) * hold * (1.0 - j)
    }

    /// Lets simulated time pass between blocks.
    pub fn idle(&mut self, time: Duration) {
        self.now += time.as_nanos() as f64;
    }

    /// Gives the machine another device; its noise and its clock go on.
    pub fn reconfigure(&mut self, config: SoftConfig) {
        self.config = config;
    }

    /// Runs a block of `length` at `threads` threads: each thread keeps `spec.depth` submissions
    /// in flight, and each of them goes round until the first time that ends after `length`. All
    /// waits are simulated as waits for the op's event.
    pub fn block(&mut self, spec: LaneSpec, threads: u32, length: Duration) -> SimBlock {
        self.block_with(spec, threads, length, &mut |_| ())
    }

    /// [`Sim::block`]; `latency` is told how long each submission took, from the submit on.
    pub fn block_with(
        &mut self,
        spec: LaneSpec,
        threads: u32,
        length: Duration,
        latency: &mut dyn FnMut(Duration),
    ) -> SimBlock {
        let law = self.config.law(spec, threads);
        self.drift();
        let start = self.now;
        let stop = start + length.as_nanos() as f64;
        let width = (threads as usize, spec.depth.max(1) as usize);
        let (rounds, end) = self.rounds(&law, width, start, stop, latency);
        self.now = end;
        SimBlock {
            start: Duration::from_nanos(start as u64),
            wall: Duration::from_nanos((end - start).round() as u64),
            ops: rounds * u64::from(law.ops_per_submission),
        }
    }

    /// Events in order of time; each is a submission that arrives at a stage. Stage 0 is host work,
    /// which a thread does for one of its submissions at a time.
    fn rounds(
        &mut self,
        law: &Law,
        (threads, depth): (usize, usize),
        start: f64,
        stop: f64,
        latency: &mut dyn FnMut(Duration),
    ) -> (u64, f64) {
        let mut arrivals: Vec<(f64, usize)> = vec![(start, 0); threads * depth];
        let mut submitted: Vec<f64> = vec![start; threads * depth];
        let mut host_free: Vec<f64> = vec![start; threads];
        let mut free: Vec<Vec<f64>> = law
            .stages
            .iter()
            .map(|s| vec![start; s.servers as usize])
            .collect();
        let (mut rounds, mut last) = (0, start);
        if law.round().is_zero() {
            return (0, start);
        }
        while let Some(flight) = earliest(arrivals.iter().map(|a| a.0)) {
            let (at, stage) = arrivals[flight];
            if at == f64::INFINITY {
                break;
            }
            let end = match stage.checked_sub(1) {
                None => {
                    let begin = at.max(host_free[flight % threads]);
                    let end = begin + self.stretch(begin, law.host);
                    host_free[flight % threads] = end;
                    submitted[flight] = begin;
                    end
                }
                Some(index) => {
                    let servers = &mut free[index];
                    let Some(server) = earliest(servers.iter().copied()) else {
                        break;
                    };
                    let begin = at.max(servers[server]);
                    let end = begin + self.stretch(begin, law.stages[index].service);
                    servers[server] = end;
                    end
                }
            };
            arrivals[flight] = (end, stage + 1);
            if stage == law.stages.len() {
                rounds += 1;
                last = last.max(end);
                latency(Duration::from_nanos((end - submitted[flight]) as u64));
                arrivals[flight] = if end >= stop {
                    (f64::INFINITY, 0)
                } else {
                    (end, 0)
                };
            }
        }
        (rounds, last)
    }

    /// How long a service that begins at `at` takes under the noise of that moment.
    fn stretch(&mut self, at: f64, service: Duration) -> f64 {
        let mut time = service.as_nanos() as f64;
        if time == 0.0 {
            return 0.0;
        }
        time *= self.log_speed.exp();
        if self.noise.jitter > 0.0 {
            time *= 1.0 + self.noise.jitter * (2.0 * self.random.uniform() - 1.0);
        }
        while at >= self.burst_changes_at {
            self.bursting = !self.bursting;
            self.plan_burst_change(self.burst_changes_at);
        }
        match self.noise.neighbour {
            Some(n) if self.bursting => time * n.slowdown,
            _ => time,
        }
    }

    fn plan_burst_change(&mut self, from: f64) {
        let Some(n) = self.noise.neighbour else {
            return;
        };
        let mean = if self.bursting { n.burst } else { n.gap };
        self.burst_changes_at = from + mean.as_nanos() as f64 * self.random.exponential();
    }

    /// A step of the log speed, which keeps its standard deviation.
    fn drift(&mut self) {
        let Noise { drift, memory, .. } = self.noise;
        let fresh = drift * self.random.normal() * (1.0 - memory * memory).max(0.0).sqrt();
        self.log_speed = memory * self.log_speed + fresh;
    }
}

fn earliest(times: impl Iterator<Item = f64>) -> Option<usize> {
    times
        .enumerate()
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(index, _)| index)
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a few lines, good enough for noise.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 up to, not including, 1.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 1.
    fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;
