//! The ways to drive a device as dimensions of a search, and blocks of them.
//!
//! A new way to submit becomes searchable by one more row in `DIMENSIONS`.

use crate::run::{Refusal, Source};
use crate::{Dimension, Setting, Space, SpaceError};
use narrows_gpu::{
    ContextLayout, DeviceInfo, LaneOptions, Mps, QueueLayout, Recording, SyncMode, WaitMode, Work,
};
use narrows_scan::Error;
use narrows_scan::run::BlockSource;
use narrows_scan::samples::{Arm, Block, Point, Strategy};

/// What the user asked for; `None` takes the default for the device.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What each op does.
    pub work: Work,
    /// Numbers of threads, or of processes.
    pub workers: Vec<u32>,
    /// The number of workers of the naive setting.
    pub naive: u32,
    /// Whether the process pool is tried.
    pub processes: bool,
    /// Queue layouts.
    pub queues: Option<Vec<QueueLayout>>,
    /// Ways to wait.
    pub syncs: Option<Vec<SyncMode>>,
    /// Which context a thread submits in.
    pub contexts: Option<Vec<ContextLayout>>,
    /// How a thread waits.
    pub waits: Option<Vec<WaitMode>>,
    /// When commands are recorded.
    pub records: Option<Vec<Recording>>,
    /// Submissions in flight per worker.
    pub depths: Vec<u32>,
    /// Ops per submission.
    pub batches: Vec<u32>,
}

/// One thing that can be varied on a device.
struct DeviceDimension {
    name: &'static str,
    /// The values that are tried, the naive one first.
    values: fn(&Wanted, &DeviceInfo) -> Vec<String>,
    /// Sets one of them; false where the word is not understood.
    set: fn(&mut Point, &str) -> bool,
}

/// In the order in which settings are written.
const DIMENSIONS: &[DeviceDimension] = &[
    DeviceDimension {
        name: "workers",
        values: |wanted, _| words(&wanted.workers),
        set: |point, word| parse(word, &mut point.threads),
    },
    DeviceDimension {
        name: "as",
        values: |wanted, _| {
            let all = ["threads", "processes"];
            let shown = if wanted.processes { 2 } else { 1 };
            all.iter().take(shown).map(ToString::to_string).collect()
        },
        set: |point, word| {
            point.strategy.pool = word == "processes";
            true
        },
    },
    DeviceDimension {
        name: "queue",
        values: |wanted, device| match &wanted.queues {
            Some(queues) => words(queues),
            None if device.max_queues == Some(1) => words(&[QueueLayout::Shared]),
            None => words(&[QueueLayout::Shared, QueueLayout::Own]),
        },
        set: |point, word| parse(word, &mut point.strategy.queue),
    },
    DeviceDimension {
        name: "sync",
        values: |wanted, _| match &wanted.syncs {
            Some(syncs) => words(syncs),
            None => words(&[SyncMode::Device, SyncMode::Queue, SyncMode::Event]),
        },
        set: |point, word| parse(word, &mut point.strategy.sync),
    },
    DeviceDimension {
        name: "context",
        values: |wanted, _| {
            words(
                wanted
                    .contexts
                    .as_deref()
                    .unwrap_or(&[ContextLayout::Shared]),
            )
        },
        set: |point, word| parse(word, &mut point.strategy.options.context),
    },
    DeviceDimension {
        name: "wait",
        values: |wanted, _| words(wanted.waits.as_deref().unwrap_or(&[WaitMode::Auto])),
        set: |point, word| parse(word, &mut point.strategy.options.wait),
    },
    DeviceDimension {
        name: "record",
        values: |wanted, device| match &wanted.records {
            Some(records) => words(records),
            // A Vulkan command buffer is recorded once in any case.
            None if device.backend == "cuda" => words(&[Recording::Usual, Recording::Once]),
            None => words(&[Recording::Usual]),
        },
        set: |point, word| parse(word, &mut point.strategy.options.record),
    },
    DeviceDimension {
        name: "depth",
        values: |wanted, _| words(&wanted.depths),
        set: |point, word| parse(word, &mut point.strategy.depth),
    },
    DeviceDimension {
        name: "batch",
        values: |wanted, _| words(&wanted.batches),
        set: |point, word| parse(word, &mut point.strategy.batch),
    },
];

fn words<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn parse<T: std::str::FromStr>(word: &str, into: &mut T) -> bool {
    match word.parse() {
        Ok(value) => {
            *into = value;
            true
        }
        Err(_) => false,
    }
}

/// What most programs do first: one shared queue, a wait for the whole device, one submission of one
/// op in flight.
fn plain(work: Work) -> Point {
    Point {
        strategy: Strategy {
            work,
            queue: QueueLayout::Shared,
            sync: SyncMode::Device,
            depth: 1,
            batch: 1,
            options: LaneOptions::default(),
            pool: false,
            mps: Mps::AsIs,
        },
        threads: 1,
        processes: 1,
        arm: Arm::Scaling,
    }
}

/// The space for `device`, and the point that each of its settings stands for.
pub fn space(wanted: &Wanted, device: &DeviceInfo) -> Result<(Space, Vec<Point>), SpaceError> {
    let dimensions: Vec<Dimension> = DIMENSIONS
        .iter()
        .map(|d| Dimension {
            name: d.name.into(),
            values: (d.values)(wanted, device),
        })
        .collect();
    let naive = dimensions
        .iter()
        .map(|d| {
            let number = wanted.naive.to_string();
            let at = d.values.iter().position(|v| *v == number);
            at.filter(|_| d.name == "workers").unwrap_or(0)
        })
        .collect();
    let point = |setting: &Setting| point(wanted.work, &dimensions, setting);
    let width = |setting: &Setting| Some(width(&point(setting)?));
    let space = Space::new(dimensions.clone(), &Setting(naive), width)?;
    let points = space.settings.iter().filter_map(point).collect();
    Ok((space, points))
}

/// Threads times processes.
fn width(point: &Point) -> u32 {
    point.threads.saturating_mul(point.processes)
}

/// `None`: there is no such setting, or another one is the same.
fn point(work: Work, dimensions: &[Dimension], setting: &Setting) -> Option<Point> {
    let mut point = plain(work);
    for ((known, dimension), value) in DIMENSIONS.iter().zip(dimensions).zip(&setting.0) {
        if !(known.set)(&mut point, dimension.values.get(*value)?) {
            return None;
        }
    }
    let apart = point.strategy.options.context != ContextLayout::Shared;
    if apart && point.strategy.queue == QueueLayout::Shared {
        // A queue belongs to one context.
        return None;
    }
    if point.strategy.pool {
        // One process is one thread, with a queue and a context of its own; what else differs
        // between processes is what differs between threads, so that one way to wait is tried.
        let last = |name: &str| {
            let at = dimensions.iter().position(|d| d.name == name)?;
            let only = dimensions.get(at)?.values.len().checked_sub(1)?;
            Some(*setting.0.get(at)? == only)
        };
        let usual = point.strategy.options == LaneOptions::default();
        if point.threads < 2 || !usual || !last("queue")? || !last("sync")? {
            return None;
        }
        point.strategy.queue = QueueLayout::Own;
        (point.threads, point.processes) = (1, point.threads);
    }
    Some(point)
}

/// Blocks of a device's settings.
pub struct OnDevice<B> {
    blocks: B,
    points: Vec<Point>,
}

impl<B: BlockSource> OnDevice<B> {
    /// `points` as [`space`] gave them.
    pub fn new(blocks: B, points: Vec<Point>) -> OnDevice<B> {
        OnDevice { blocks, points }
    }
}

impl<B: BlockSource> Source for OnDevice<B> {
    fn block(&mut self, setting: usize) -> Result<Block, Refusal> {
        let Some(point) = self.points.get(setting) else {
            return Err(Refusal::Failed(format!("there is no setting {setting}")));
        };
        self.blocks
            .block(point, false)
            .map_err(|error| match error {
                Error::Impossible(_) | Error::Gpu(narrows_gpu::Error::Unsupported { .. }) => {
                    Refusal::Cannot(error.to_string())
                }
                other => Refusal::Failed(other.to_string()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(max_queues: Option<u32>) -> DeviceInfo {
        DeviceInfo {
            backend: "soft".into(),
            index: 0,
            name: "a device".into(),
            driver: "a driver".into(),
            api_version: "1".into(),
            software: true,
            stand_in: false,
            max_queues,
            f16: false,
            layers: Vec::new(),
        }
    }

    fn wanted() -> Wanted {
        Wanted {
            work: Work::Noop,
            workers: vec![1, 2, 4],
            naive: 2,
            processes: true,
            queues: None,
            syncs: None,
            contexts: None,
            waits: None,
            records: None,
            depths: vec![1, 4],
            batches: vec![1, 8],
        }
    }

    #[test]
    fn every_setting_is_another_point_and_the_naive_one_is_plain() {
        let (space, points) = space(&wanted(), &device(None)).unwrap();
        // 3 x 2 queues x 3 syncs x 4 in threads, 2 x 4 in processes.
        assert_eq!(points.len(), 72 + 8);
        assert_eq!(points.len(), space.settings.len());
        for (i, point) in points.iter().enumerate() {
            assert!(!points[..i].contains(point), "{}", space.words(i));
        }
        let naive = &points[space.naive];
        assert_eq!((naive.threads, naive.processes), (2, 1));
        assert_eq!(naive.strategy, plain(Work::Noop).strategy);
        let pool = points.iter().find(|p| p.strategy.pool).unwrap();
        assert_eq!((pool.threads, pool.processes), (1, 2));
    }

    #[test]
    fn a_device_with_one_queue_has_a_pool_and_no_layout_to_choose() {
        let (space, points) = space(&wanted(), &device(Some(1))).unwrap();
        assert!(
            space
                .dimensions
                .iter()
                .any(|d| d.name == "queue" && d.values.len() == 1)
        );
        let own = |p: &&Point| p.strategy.queue == QueueLayout::Own;
        assert!(points.iter().filter(own).all(|p| p.strategy.pool));
        assert_eq!(points.len(), 36 + 8);
    }

    #[test]
    fn cuda_has_recordings_and_contexts_keep_their_queues() {
        let mut wanted = wanted();
        wanted.contexts = Some(vec![ContextLayout::Shared, ContextLayout::Own]);
        let device = DeviceInfo {
            backend: "cuda".into(),
            ..device(None)
        };
        let (space, points) = space(&wanted, &device).unwrap();
        let strategies = || points.iter().map(|p| &p.strategy);
        assert!(strategies().any(|s| s.options.record == Recording::Once));
        let apart = |s: &&Strategy| s.options.context == ContextLayout::Own;
        assert!(strategies().any(|s| apart(&s)));
        assert!(
            strategies()
                .filter(apart)
                .all(|s| s.queue == QueueLayout::Own && !s.pool)
        );
        assert_eq!(points.len(), space.settings.len());
    }
}
