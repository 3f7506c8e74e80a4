//! The search on the software device in simulated time, with an optimum planted anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use narrows_gpu::soft::sim::{Noise, Sim};
use narrows_gpu::soft::{SoftBackend, SoftConfig};
use narrows_gpu::{Backend, Work};
use narrows_scan::Error;
use narrows_scan::run::BlockSource;
use narrows_scan::samples::{Block, Point};
use narrows_scan::simulated::Simulated;
use narrows_tune::device::{OnDevice, Wanted, space};
use narrows_tune::run::{Budget, Source, run};
use narrows_tune::samples::{
    EndReason, FORMAT, Header, Line, Pair, Purpose, Samples, Subject, VERSION,
};
use narrows_tune::{Goal, Limits, Search, Space, analyse};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const BLOCK: Duration = Duration::from_millis(20);

fn wanted() -> Wanted {
    Wanted {
        work: Work::Noop,
        workers: vec![1, 2, 4, 8, 16],
        naive: 8,
        processes: true,
        queues: None,
        syncs: None,
        contexts: None,
        waits: None,
        records: None,
        depths: vec![1, 2, 4, 8],
        batches: vec![1, 4, 16],
    }
}

/// A law with one best setting: each step away from it in any dimension makes an op dearer.
#[derive(Clone, Debug)]
struct Planted {
    space: Space,
    best: usize,
}

impl Planted {
    /// The best setting is drawn from all of them.
    fn new(space: &Space, seed: u64) -> Planted {
        let best = fastrand::Rng::with_seed(seed).usize(..space.settings.len());
        Planted {
            space: space.clone(),
            best,
        }
    }

    /// Ops per second that the setting would do without noise.
    fn throughput(&self, setting: usize) -> f64 {
        let (here, best) = (
            &self.space.settings[setting].0,
            &self.space.settings[self.best].0,
        );
        let steps: f64 = here
            .iter()
            .zip(best)
            .map(|(a, b)| a.abs_diff(*b) as f64)
            .sum();
        20_000.0 / (1.0 + 0.35 * steps)
    }

    /// A device that does just that: engines enough, and an op that takes its share.
    fn config(&self, setting: usize, point: &Point) -> SoftConfig {
        let width = point.threads.max(point.processes) * point.strategy.depth;
        let servers = match point.strategy.queue {
            narrows_gpu::QueueLayout::Shared => 1,
            _ => point.threads.max(point.processes),
        };
        assert!(servers <= width);
        SoftConfig {
            engines: 64,
            op: Duration::from_secs_f64(f64::from(servers) / self.throughput(setting)),
            ..SoftConfig::default()
        }
    }
}

struct PlantedBlocks {
    planted: Planted,
    points: Vec<Point>,
    blocks: Simulated,
}

impl BlockSource for PlantedBlocks {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let setting = self.points.iter().position(|p| p == point).unwrap();
        let config = self.planted.config(setting, point);
        self.blocks.reconfigure(config);
        self.blocks.block(point, baseline)
    }
}

fn header(space: &Space, goal: Goal, seed: u64) -> Header {
    Header {
        format: FORMAT.into(),
        version: VERSION,
        tool: "test".into(),
        started: "1970-01-01T00:00:00Z".into(),
        command: Vec::new(),
        environment: Default::default(),
        subject: Subject::Device {
            device: SoftBackend::default().devices().unwrap().remove(0),
            choice: "a test".into(),
            work: "noop".into(),
            preparation: Default::default(),
        },
        goal,
        time_ns: 0,
        seed,
        simulated: true,
        space: space.clone(),
    }
}

fn search(space: &Space, source: &mut dyn Source, goal: Goal, pairs: usize, seed: u64) -> Samples {
    let mut samples = Samples::new(header(space, goal, seed));
    let mut search = Search::new(space, goal, Limits::default(), seed);
    let stop = AtomicBool::new(false);
    let end = run(
        &mut search,
        source,
        Budget::Pairs(pairs),
        seed,
        &stop,
        &mut |_| (),
    );
    for pair in search.pairs() {
        samples.add(Line::Pair(pair.clone()));
    }
    samples.add(Line::End(end));
    samples
}

fn ops(pairs: &[Pair]) -> u64 {
    pairs.iter().map(|p| p.measured.ops + p.compared.ops).sum()
}

/// What one search found, and what a full grid of the same precision costs.
struct Outcome {
    right: bool,
    share_of_grid: f64,
    reason: EndReason,
}

fn outcome(noise: Noise, seed: u64) -> Outcome {
    let device = SoftBackend::default().devices().unwrap().remove(0);
    let (space, points) = space(&wanted(), &device).unwrap();
    let planted = Planted::new(&space, seed);
    let blocks = |seed| PlantedBlocks {
        planted: planted.clone(),
        points: points.clone(),
        blocks: Simulated::new(Sim::new(SoftConfig::default(), noise, seed), BLOCK),
    };
    let mut source = OnDevice::new(blocks(seed), points.clone());
    let samples = search(&space, &mut source, Goal::Throughput, 3_000, seed);
    let result = analyse(&samples);
    let chosen = result.chosen.expect("something was chosen");
    let found = (0..space.settings.len())
        .find(|i| space.words(*i) == chosen.setting.words)
        .unwrap();
    let true_gain = planted.throughput(planted.best) / planted.throughput(space.naive);
    let within = chosen
        .gain
        .and_then(|g| g.ci)
        .is_some_and(|ci| ci.contains(true_gain));
    // The grid: every setting as often as the finalists were screened.
    let each = samples
        .pairs
        .iter()
        .filter(|p| p.purpose == Purpose::Screen && p.setting == found)
        .count();
    let mut source = OnDevice::new(blocks(seed + 1_000), points);
    let mut grid = 0;
    for setting in 0..space.settings.len() {
        for block in [setting, space.naive] {
            grid += source.block(block).unwrap().ops * each as u64;
        }
    }
    Outcome {
        right: found == planted.best || within,
        share_of_grid: ops(&samples.pairs) as f64 / grid as f64,
        reason: samples.end.unwrap().reason,
    }
}

fn nineteen_of_twenty(noise: Noise) {
    let all: Vec<Outcome> = (0..20).map(|seed| outcome(noise, seed)).collect();
    let right = all.iter().filter(|o| o.right).count();
    let dearest = all.iter().map(|o| o.share_of_grid).fold(0.0, f64::max);
    let separated = all
        .iter()
        .filter(|o| o.reason == EndReason::Separated)
        .count();
    println!("{right} of 20 right, at most {dearest:.3} of the grid's ops, {separated} separated");
    assert!(right >= 19, "{right} of 20");
    assert!(dearest < 1.0 / 3.0, "{dearest}");
}

#[test]
fn the_simulated_machine_does_what_was_planted() {
    let device = SoftBackend::default().devices().unwrap().remove(0);
    let (space, points) = space(&wanted(), &device).unwrap();
    let planted = Planted::new(&space, 3);
    let mut source = PlantedBlocks {
        planted: planted.clone(),
        points: points.clone(),
        blocks: Simulated::new(Sim::new(SoftConfig::default(), Noise::NONE, 1), 10 * BLOCK),
    };
    for (setting, point) in points.iter().enumerate() {
        let block = source.block(point, false).unwrap();
        let measured = block.ops as f64 * 1e9 / block.wall_ns as f64;
        let ratio = measured / planted.throughput(setting);
        assert!(
            (0.9..1.1).contains(&ratio),
            "{ratio} at {}",
            space.words(setting)
        );
        assert!(!block.latency.is_empty());
    }
}

#[test]
fn the_planted_optimum_is_found_on_a_quiet_machine() {
    nineteen_of_twenty(Noise::QUIET);
}

#[test]
fn the_planted_optimum_is_found_on_a_noisy_machine() {
    nineteen_of_twenty(Noise::NOISY);
}

#[test]
fn the_planted_optimum_is_found_beside_a_bursty_neighbour() {
    nineteen_of_twenty(Noise::BURSTY);
}

/// Throughput, 99th percentile and width of every setting, without noise.
fn truth(space: &Space, points: &[Point], planted: &Planted) -> Vec<(f64, f64, f64)> {
    let mut source = PlantedBlocks {
        planted: planted.clone(),
        points: points.to_vec(),
        blocks: Simulated::new(Sim::new(SoftConfig::default(), Noise::NONE, 1), 5 * BLOCK),
    };
    let measured = points.iter().enumerate().map(|(setting, point)| {
        let block = source.block(point, false).unwrap();
        let all: u64 = block.latency.iter().map(|(_, n)| n).sum();
        let mut seen = 0;
        let p99 = block.latency.iter().find(|(_, n)| {
            seen += n;
            seen * 100 >= all * 99
        });
        let width = f64::from(space.widths[setting]);
        (planted.throughput(setting), p99.unwrap().0 as f64, width)
    });
    measured.collect()
}

/// The chosen setting is within `most` of the best that the goal could have, in its own measure
/// (smaller is better), in four of five searches.
fn near_the_best(goal: Goal, most: f64, measure: fn(&(f64, f64, f64)) -> f64) {
    let device = SoftBackend::default().devices().unwrap().remove(0);
    let (space, points) = space(&wanted(), &device).unwrap();
    let near = (0..5).filter(|seed| {
        let planted = Planted::new(&space, *seed);
        let truth = truth(&space, &points, &planted);
        let blocks = PlantedBlocks {
            planted: planted.clone(),
            points: points.clone(),
            blocks: Simulated::new(Sim::new(SoftConfig::default(), Noise::QUIET, *seed), BLOCK),
        };
        let mut source = OnDevice::new(blocks, points.clone());
        let result = analyse(&search(&space, &mut source, goal, 3_000, *seed));
        let chosen = result.chosen.expect("something was chosen");
        assert_eq!(chosen.goal, goal);
        let found = (0..points.len())
            .find(|i| space.words(*i) == chosen.setting.words)
            .unwrap();
        let naive = truth[space.naive].0;
        let allowed = truth.iter().filter(|t| t.0 >= 0.99 * naive);
        let best = allowed.map(measure).fold(f64::INFINITY, f64::min);
        let is_near = measure(&truth[found]) <= best * most;
        println!(
            "{goal}: {} is {} of the best",
            chosen.setting.words,
            measure(&truth[found]) / best
        );
        truth[found].0 >= 0.95 * naive && is_near
    });
    let near = near.count();
    assert!(near >= 4, "{near} of 5");
}

#[test]
fn the_goal_p99_finds_short_latencies_without_loss_of_throughput() {
    near_the_best(Goal::P99, 1.15, |(_, p99, _)| *p99);
}

#[test]
fn the_goal_efficiency_finds_little_thread_time_without_loss_of_throughput() {
    near_the_best(Goal::Efficiency, 1.05, |(throughput, _, width)| {
        width / throughput
    });
}
