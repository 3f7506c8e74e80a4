//! From what the user asked for to the list of points that are measured.

use crate::Error;
use crate::samples::{Arm, Point, Strategy};
use narrows_gpu::{DeviceInfo, QueueLayout, SyncMode, Work};
use std::time::Duration;

/// Largest number of threads or processes that is accepted: more is a typing error.
const MOST_THREADS: u32 = 1024;
/// Largest depth and batch.
const MOST_IN_FLIGHT: u32 = 4096;

/// What the user asked for; `None` takes the default for this device.
#[derive(Clone, Debug)]
pub struct Request {
    /// Thread counts; 1 is always measured, it is the baseline.
    pub threads: Vec<u32>,
    /// Queue layouts.
    pub queues: Option<Vec<QueueLayout>>,
    /// Ways to wait.
    pub syncs: Option<Vec<SyncMode>>,
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
    for (queue, sync) in waits(request, device) {
        for (&depth, &batch) in pairs(&depths, &batches) {
            let strategy = Strategy {
                work: request.work,
                queue,
                sync,
                depth,
                batch,
                pool: false,
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
    if processes.iter().any(|p| *p > 1) {
        for (&depth, &batch) in pairs(&depths, &batches) {
            let strategy = pool_strategy(request, depth, batch);
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
        pool: true,
    }
}

fn pool_sizes(request: &Request, threads: &[u32]) -> Result<Vec<u32>, Error> {
    match &request.processes {
        Some(sizes) if sizes.is_empty() => Ok(Vec::new()),
        Some(sizes) => counts("--processes", sizes, MOST_THREADS),
        None if request.quick || request.queues.is_some() || request.syncs.is_some() => {
            Ok(Vec::new())
        }
        None => Ok(threads.to_vec()),
    }
}

/// Which queue layouts and waits: what the user named, else a useful subset. A device with one
/// queue has no own queues to try, so its ways to wait are compared on the shared one.
fn waits(request: &Request, device: &DeviceInfo) -> Vec<(QueueLayout, SyncMode)> {
    use QueueLayout::{Own, Shared};
    use SyncMode::{Device, Event, Queue};
    let one_queue = device.max_queues == Some(1);
    match (&request.queues, &request.syncs) {
        (None, None) if request.quick && one_queue => vec![(Shared, Event), (Shared, Queue)],
        (None, None) if request.quick => vec![(Shared, Event), (Own, Event)],
        (None, None) if one_queue => vec![(Shared, Event), (Shared, Queue), (Shared, Device)],
        (None, None) => vec![(Shared, Event), (Own, Event), (Own, Queue), (Own, Device)],
        (queues, syncs) => {
            let queues =
                queues
                    .as_deref()
                    .unwrap_or(if one_queue { &[Shared] } else { &[Shared, Own] });
            let syncs = syncs.as_deref().unwrap_or(&[Event]);
            pairs(queues, syncs).map(|(q, s)| (*q, *s)).collect()
        }
    }
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
