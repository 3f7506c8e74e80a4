//! From what the user asked for to the list of points that are measured.

use crate::Error;
use crate::samples::{Arm, Point, Strategy};
use narrows_gpu::{
    ContextLayout, DeviceInfo, LaneOptions, Mps, QueueLayout, Recording, SyncMode, WaitMode, Work,
};
use std::time::Duration;

/// Largest number of threads or processes that is accepted: more is a typing error.
const MOST_THREADS: u32 = 1024;
/// Largest depth and batch.
const MOST_IN_FLIGHT: u32 = 4096;
/// The backend with choices of its own.
const CUDA: &str = "cuda";
/// Backend with waits of its own.
const METAL: &str = "metal";

/// What the user asked for; `None` takes the default for this device.
#[derive(Clone, Debug)]
pub struct Request {
    /// Thread counts; 1 is always measured, it is the baseline.
    pub threads: Vec<u32>,
    /// Queue layouts.
    pub queues: Option<Vec<QueueLayout>>,
    /// Ways to wait.
    pub syncs: Option<Vec<SyncMode>>,
    /// What only some APIs have.
    pub options: OptionLists,
    /// Sizes of the process pool; an empty list leaves it out.
    pub processes: Option<Vec<u32>>,
    /// Submissions in flight per thread.
    pub depths: Vec<u32>,
    /// Ops per submission.
    pub batches: Vec<u32>,
    /// What each op does.
    pub work: Work,
    /// Time for the measuring itself.
    pub time: Duration,
    /// Fewer strategies.
    pub quick: bool,
}

/// Lists of what only some APIs have; `None` takes the default for this device.
#[derive(Clone, Debug, Default)]
pub struct OptionLists {
    /// Which context a thread submits in.
    pub contexts: Option<Vec<ContextLayout>>,
    /// How a thread waits.
    pub waits: Option<Vec<WaitMode>>,
    /// When commands are recorded.
    pub records: Option<Vec<Recording>>,
    /// Whether pool processes meet in an MPS daemon that is running.
    pub mps: Option<Vec<Mps>>,
}

impl OptionLists {
    /// Whether the user named something that concerns lanes.
    fn name_lanes(&self) -> bool {
        self.contexts.is_some() || self.waits.is_some() || self.records.is_some()
    }

    fn cross(&self) -> Vec<LaneOptions> {
        let contexts = self.contexts.as_deref().unwrap_or(&[ContextLayout::Shared]);
        let waits = self.waits.as_deref().unwrap_or(&[WaitMode::Auto]);
        let records = self.records.as_deref().unwrap_or(&[Recording::Usual]);
        let mut all = Vec::new();
        for &context in contexts {
            for (&wait, &record) in pairs(waits, records) {
                all.push(LaneOptions {
                    context,
                    wait,
                    record,
                });
            }
        }
        all
    }

    /// Of a pool: what the user named alone. A process has its own context by nature.
    fn of_pool(&self) -> LaneOptions {
        let only = |all: &[LaneOptions]| match all {
            [one] => *one,
            _ => LaneOptions::default(),
        };
        LaneOptions {
            context: ContextLayout::Shared,
            ..only(&self.cross())
        }
    }
}

/// What will be measured, in table order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Rows; each strategy's self-check (its 1-thread row) comes first.
    pub points: Vec<Point>,
    /// Time for the pairs.
    pub time: Duration,
}

impl Plan {
    /// Strategies in table order, each with its rows' largest number of threads (or processes).
    pub fn strategies(&self) -> Vec<(Strategy, u32)> {
        let mut found: Vec<(Strategy, u32)> = Vec::new();
        for point in &self.points {
            let width = point.threads.max(point.processes);
            match found.iter_mut().find(|(s, _)| *s == point.strategy) {
                Some((_, most)) => *most = width.max(*most),
                None => found.push((point.strategy, width)),
            }
        }
        found
    }
}

/// Checks `request` and lists its points for `device`.
pub fn plan(request: &Request, device: &DeviceInfo) -> Result<Plan, Error> {
    let threads = counts("--threads", &request.threads, MOST_THREADS)?;
    let depths = counts("--depth", &request.depths, MOST_IN_FLIGHT)?;
    let batches = counts("--batch", &request.batches, MOST_IN_FLIGHT)?;
    let processes = pool_sizes(request, &threads)?;
    let mut points = Vec::new();
    for (queue, sync, options) in ways(request, device) {
        for (&depth, &batch) in pairs(&depths, &batches) {
            let strategy = Strategy {
                work: request.work,
                queue,
                sync,
                depth,
                batch,
                options,
                pool: false,
                mps: Mps::AsIs,
            };
            points.push(self_check(strategy));
            points.extend(threads.iter().filter(|n| **n > 1).map(|&threads| Point {
                strategy,
                threads,
                processes: 1,
                arm: Arm::Scaling,
            }));
        }
    }
    let servers = mps(request, device)?;
    if processes.iter().any(|p| *p > 1) {
        let flights: Vec<_> = pairs(&depths, &batches).collect();
        for (&mps, &(&depth, &batch)) in pairs(&servers, &flights) {
            let strategy = Strategy {
                mps,
                ..pool_strategy(request, depth, batch)
            };
            points.push(self_check(strategy));
            points.extend(
                processes
                    .iter()
                    .filter(|p| **p > 1)
                    .map(|&processes| Point {
                        strategy,
                        threads: 1,
                        processes,
                        arm: Arm::Scaling,
                    }),
            );
        }
    }
    Ok(Plan {
        points,
        time: request.time,
    })
}

fn self_check(strategy: Strategy) -> Point {
    Point {
        strategy,
        threads: 1,
        processes: 1,
        arm: Arm::SelfCheck,
    }
}

/// The pool waits for the op's own event unless the user named one way only.
fn pool_strategy(request: &Request, depth: u32, batch: u32) -> Strategy {
    let sync = match request.syncs.as_deref() {
        Some([only]) => *only,
        _ => SyncMode::Event,
    };
    Strategy {
        work: request.work,
        queue: QueueLayout::Own,
        sync,
        depth,
        batch,
        options: request.options.of_pool(),
        pool: true,
        mps: Mps::AsIs,
    }
}

fn pool_sizes(request: &Request, threads: &[u32]) -> Result<Vec<u32>, Error> {
    match &request.processes {
        Some(sizes) if sizes.is_empty() => Ok(Vec::new()),
        Some(sizes) => counts("--processes", sizes, MOST_THREADS),
        None if request.options.mps.is_some() => Ok(threads.to_vec()),
        None if request.quick
            || request.queues.is_some()
            || request.syncs.is_some()
            || request.options.name_lanes() =>
        {
            Ok(Vec::new())
        }
        None => Ok(threads.to_vec()),
    }
}

/// With and without the server where one is running and nobody said otherwise.
fn mps(request: &Request, device: &DeviceInfo) -> Result<Vec<Mps>, Error> {
    let cuda = device.backend == CUDA;
    match &request.options.mps {
        Some(wanted) if !cuda && wanted.iter().any(|m| *m != Mps::AsIs) => {
            Err(Error::Request(format!(
                "--mps: only the cuda backend has it; this device is {}",
                device.backend
            )))
        }
        Some(wanted) => Ok(wanted.clone()),
        None if cuda && narrows_gpu::cuda::mps::daemon().is_some() => Ok(vec![Mps::On, Mps::Off]),
        None => Ok(vec![Mps::AsIs]),
    }
}

/// Which queue layouts, waits and options: what the user named, else a useful subset. A device
/// with one queue has no own queues to try, so its ways to wait are compared on the shared one.
fn ways(request: &Request, device: &DeviceInfo) -> Vec<(QueueLayout, SyncMode, LaneOptions)> {
    use QueueLayout::{Own, Shared};
    use SyncMode::{Device, Event, Queue};
    let one_queue = device.max_queues == Some(1);
    let usual = |ways: &[(QueueLayout, SyncMode)]| {
        let plain =
            |(queue, sync): &(QueueLayout, SyncMode)| (*queue, *sync, LaneOptions::default());
        ways.iter().map(plain).collect::<Vec<_>>()
    };
    if request.queues.is_some() || request.syncs.is_some() || request.options.name_lanes() {
        return named(request, one_queue);
    }
    if device.backend == METAL {
        return only_metal(request.quick);
    }
    match (request.quick, one_queue) {
        (true, true) => usual(&[(Shared, Event), (Shared, Queue)]),
        (true, false) => usual(&[(Shared, Event), (Own, Event)]),
        (false, true) => usual(&[(Shared, Event), (Shared, Queue), (Shared, Device)]),
        (false, false) => {
            let mut all = usual(&[(Shared, Event), (Own, Event), (Own, Queue), (Own, Device)]);
            if device.backend == CUDA {
                all.extend(only_cuda());
            }
            all
        }
    }
}

/// The two rows of the founding table, which wait with `waitUntilCompleted`; then one change at a
/// time from own queues.
fn only_metal(quick: bool) -> Vec<(QueueLayout, SyncMode, LaneOptions)> {
    use QueueLayout::{Own, Shared};
    use SyncMode::{Device, Event, Queue};
    let usual = LaneOptions::default();
    let handler = LaneOptions {
        wait: WaitMode::Handler,
        ..usual
    };
    let mut all = vec![(Shared, Queue, usual), (Own, Queue, usual)];
    if !quick {
        all.extend([
            (Own, Event, usual),
            (Own, Device, usual),
            (Own, Queue, handler),
        ]);
    }
    all
}

/// What CUDA has besides, one change at a time from own streams that wait for events.
fn only_cuda() -> [(QueueLayout, SyncMode, LaneOptions); 4] {
    let usual = LaneOptions::default();
    let own = |options| (QueueLayout::Own, SyncMode::Event, options);
    [
        (QueueLayout::PerThread, SyncMode::Queue, usual),
        own(LaneOptions {
            context: ContextLayout::Own,
            ..usual
        }),
        own(LaneOptions {
            wait: WaitMode::Block,
            ..usual
        }),
        own(LaneOptions {
            record: Recording::Once,
            ..usual
        }),
    ]
}

/// All that the user named with all else that he named.
fn named(request: &Request, one_queue: bool) -> Vec<(QueueLayout, SyncMode, LaneOptions)> {
    use QueueLayout::{Own, Shared};
    let queues =
        request
            .queues
            .as_deref()
            .unwrap_or(if one_queue { &[Shared] } else { &[Shared, Own] });
    let syncs = request.syncs.as_deref().unwrap_or(&[SyncMode::Event]);
    let mut all = Vec::new();
    for options in request.options.cross() {
        for (&queue, &sync) in pairs(queues, syncs) {
            // A shared queue belongs to one context: left out unless both were named.
            let apart = queue == Shared && options.context != ContextLayout::Shared;
            if !apart || request.queues.is_some() {
                all.push((queue, sync, options));
            }
        }
    }
    all
}

fn pairs<'a, A, B>(a: &'a [A], b: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    a.iter().flat_map(move |x| b.iter().map(move |y| (x, y)))
}

/// Sorted without repeats; refuses 0, nothing and the absurd.
fn counts(option: &str, wanted: &[u32], most: u32) -> Result<Vec<u32>, Error> {
    if wanted.is_empty() {
        return Err(Error::Request(format!(
            "{option}: give at least one number, as in {option} 1,2,4"
        )));
    }
    if let Some(bad) = wanted.iter().find(|n| **n == 0 || **n > most) {
        return Err(Error::Request(format!(
            "{option} {bad}: use numbers from 1 to {most}"
        )));
    }
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted)
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

    fn request() -> Request {
        Request {
            threads: vec![1, 2, 4],
            queues: None,
            syncs: None,
            options: OptionLists::default(),
            processes: None,
            depths: vec![1],
            batches: vec![1],
            work: Work::Noop,
            time: Duration::from_secs(1),
            quick: false,
        }
    }

    #[test]
    fn every_strategy_has_its_baseline_row_first() {
        let plan = plan(&request(), &device(None)).unwrap();
        for (strategy, most) in plan.strategies() {
            let rows: Vec<_> = plan
                .points
                .iter()
                .filter(|p| p.strategy == strategy)
                .collect();
            assert_eq!(rows[0].arm, Arm::SelfCheck);
            assert!(rows[1..].iter().all(|p| p.arm == Arm::Scaling));
            assert_eq!(most, 4);
        }
        assert_eq!(plan.strategies().len(), 5);
    }

    #[test]
    fn one_queue_compares_waits_on_it() {
        let plan = plan(&request(), &device(Some(1))).unwrap();
        let threaded = plan.points.iter().filter(|p| !p.strategy.pool);
        assert!(
            threaded
                .clone()
                .all(|p| p.strategy.queue == QueueLayout::Shared)
        );
        assert_eq!(threaded.count(), 9);
    }

    #[test]
    fn cuda_has_more_ways_one_change_at_a_time() {
        let device = DeviceInfo {
            backend: "cuda".into(),
            ..device(None)
        };
        let plan = plan(&request(), &device).unwrap();
        let named: Vec<String> = plan
            .strategies()
            .iter()
            .map(|(s, _)| format!("{}+{}{}", s.queue, s.sync, s.options))
            .collect();
        for name in [
            "shared+event",
            "own+event",
            "per-thread+queue",
            "own+event context own",
            "own+event wait block",
            "own+event record once",
        ] {
            assert!(named.iter().any(|n| n == name), "no {name} in {named:?}");
        }
    }

    #[test]
    fn options_are_crossed_and_a_shared_queue_stays_in_one_context() {
        let mut request = request();
        request.options.contexts = Some(vec![ContextLayout::Shared, ContextLayout::Own]);
        request.options.records = Some(vec![Recording::Usual, Recording::Once]);
        let crossed = plan(&request, &device(None)).unwrap();
        // Both queue layouts in the shared context, own queues only in own contexts; each twice.
        assert_eq!(crossed.strategies().len(), 6);
        request.queues = Some(vec![QueueLayout::Shared]);
        let asked_for = plan(&request, &device(None)).unwrap();
        assert_eq!(asked_for.strategies().len(), 4);
    }

    #[test]
    fn mps_brings_the_pool_and_needs_cuda() {
        let mut request = request();
        request.options.mps = Some(vec![Mps::On, Mps::Off]);
        let message = plan(&request, &device(None)).unwrap_err().to_string();
        assert!(message.contains("--mps"), "{message}");
        let device = DeviceInfo {
            backend: "cuda".into(),
            ..device(None)
        };
        let plan = plan(&request, &device).unwrap();
        let pools: Vec<_> = plan
            .strategies()
            .into_iter()
            .filter(|(s, _)| s.pool)
            .map(|(s, n)| (s.mps, n))
            .collect();
        assert_eq!(pools, [(Mps::On, 4), (Mps::Off, 4)]);
    }

    #[test]
    fn named_lists_are_crossed_and_bring_no_pool() {
        let mut request = request();
        request.queues = Some(vec![QueueLayout::Own]);
        request.syncs = Some(vec![SyncMode::Queue, SyncMode::Device]);
        request.depths = vec![8, 1, 8];
        let plan = plan(&request, &device(None)).unwrap();
        assert_eq!(plan.strategies().len(), 4);
        assert!(plan.points.iter().all(|p| !p.strategy.pool));
    }

    #[test]
    fn zero_and_nothing_are_refused_by_name() {
        for (threads, word) in [
            (vec![0], "--threads 0"),
            (vec![], "--threads"),
            (vec![9999], "9999"),
        ] {
            let mut request = request();
            request.threads = threads;
            let message = plan(&request, &device(None)).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
