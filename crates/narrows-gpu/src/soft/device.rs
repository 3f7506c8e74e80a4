//! The device: engines and queues as reservations on one time line, and the planted locks.

use super::config::{LockScope, SoftConfig, SoftLock};
use super::lane::SoftLane;
use super::{NAME, work};
use crate::{Device, DeviceInfo, Error, Lane, LaneSpec, Preparation, QueueLayout, Work};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Says what it is wherever it is printed.
pub(super) const DEVICE_NAME: &str = "narrows software device (simulated, computes nothing)";

/// Sleeping is stopped this long before a deadline and the rest is spent yielding: Linux adds
/// 50 us of timer slack to a sleep of an ordinary thread.
const SLEEP_MARGIN: Duration = Duration::from_micros(60);

pub(super) fn info(config: &SoftConfig) -> DeviceInfo {
    DeviceInfo {
        backend: NAME.into(),
        index: 0,
        name: DEVICE_NAME.into(),
        driver: format!("narrows {}", env!("CARGO_PKG_VERSION")),
        api_version: env!("CARGO_PKG_VERSION").into(),
        software: true,
        stand_in: true,
        max_queues: config.max_queues,
        f16: true,
        layers: Vec::new(),
    }
}

/// An open software device.
pub(super) struct SoftDevice {
    info: DeviceInfo,
    shared: Arc<Shared>,
}

/// What all lanes of a device share.
pub(super) struct Shared {
    pub(super) config: SoftConfig,
    epoch: Instant,
    engines: Mutex<Engines>,
    device_locks: Vec<TimedLock>,
    submissions: AtomicU64,
}

/// When each engine is free, and when the whole device is idle.
struct Engines {
    free_at: Vec<Duration>,
    idle_at: Duration,
}

/// One in-order queue.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    locks: Vec<TimedLock>,
}

#[derive(Default)]
struct QueueState {
    /// End of everything submitted so far.
    idle_at: Duration,
    /// Ends of submissions that may still be in flight; kept only with a capacity.
    in_flight: VecDeque<Duration>,
}

/// A mutex that is really taken, and held until its own time line says that the hold is over. A
/// holder that woke late does not push the next one back, so the lock's rate is 1 / hold.
pub(super) struct TimedLock {
    free_at: Mutex<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TimedLock {
    /// One per planted lock, whatever its scope, so that indices agree.
    fn all(config: &SoftConfig) -> Vec<Self> {
        config
            .locks
            .iter()
            .map(|_| Self {
                free_at: Mutex::new(Duration::ZERO),
            })
            .collect()
    }
}

impl Shared {
    /// Time since the device was opened.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Returns at or just after `deadline`.
    pub(super) fn wait_until(&self, deadline: Duration) {
        loop {
            let left = deadline.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            if left > SLEEP_MARGIN {
                std::thread::sleep(left - SLEEP_MARGIN);
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// Spends the submission's host work on this core.
    pub(super) fn host_work(&self) {
        if self.config.host.is_zero() {
            return;
        }
        let end = self.now() + self.config.host;
        while self.now() < end {
            std::hint::spin_loop();
        }
    }

    /// Goes through planted lock `index`.
    pub(super) fn pass(&self, index: usize, planted: &SoftLock, queue: &Queue) {
        let locks = match planted.scope {
            LockScope::Device => &self.device_locks,
            LockScope::Queue => &queue.locks,
        };
        let Some(timed) = locks.get(index) else {
            return;
        };
        let arrived = self.now();
        let mut free_at = lock(&timed.free_at);
        let end = arrived.max(*free_at) + planted.hold;
        *free_at = end;
        self.wait_until(end);
    }

    /// Puts a submission into the queue, blocking while the queue is full; its end.
    pub(super) fn enqueue(&self, queue: &Queue, service: Duration) -> Result<Duration, Error> {
        let made = self.submissions.fetch_add(1, Ordering::Relaxed);
        if self.config.lose_after.is_some_and(|limit| made >= limit) {
            return Err(self.lost("submit"));
        }
        loop {
            let mut state = lock(&queue.state);
            match self.room_at(&mut state) {
                Some(room_at) => {
                    drop(state);
                    self.wait_until(room_at);
                }
                None => {
                    let end = self.reserve(state.idle_at, service);
                    state.idle_at = end;
                    if self.config.queue_capacity.is_some() {
                        state.in_flight.push_back(end);
                    }
                    return Ok(end);
                }
            }
        }
    }

    /// When a full queue has room again; `None` when it has room now.
    fn room_at(&self, state: &mut QueueState) -> Option<Duration> {
        let capacity = self.config.queue_capacity? as usize;
        let now = self.now();
        while state.in_flight.front().is_some_and(|end| *end <= now) {
            state.in_flight.pop_front();
        }
        let over = (state.in_flight.len() + 1)
            .checked_sub(capacity)?
            .checked_sub(1)?;
        state.in_flight.get(over).copied()
    }

    /// Reserves an engine from `not_before` on; the end of the reservation. Takes the engine that
    /// is free last among those free in time, so that a reservation that starts later leaves no
    /// hole on an idle engine; else the one that is free first.
    fn reserve(&self, not_before: Duration, service: Duration) -> Duration {
        let mut engines = lock(&self.engines);
        let ready = not_before.max(self.now());
        let in_time = engines
            .free_at
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, f)| *f <= ready);
        let best = in_time.max_by_key(|(_, f)| *f).or_else(|| {
            engines
                .free_at
                .iter()
                .copied()
                .enumerate()
                .min_by_key(|(_, f)| *f)
        });
        let (index, free_at) = best.unwrap_or((0, Duration::ZERO));
        let end = ready.max(free_at) + service;
        if let Some(slot) = engines.free_at.get_mut(index) {
            *slot = end;
        }
        engines.idle_at = engines.idle_at.max(end);
        end
    }

    /// When everything submitted to the queue so far has ended.
    pub(super) fn queue_idle_at(&self, queue: &Queue) -> Duration {
        lock(&queue.state).idle_at
    }

    /// When everything submitted to the device so far has ended.
    pub(super) fn device_idle_at(&self) -> Duration {
        lock(&self.engines).idle_at
    }

    /// The planted loss, as a driver would report it.
    pub(super) fn lost(&self, call: &'static str) -> Error {
        Error::DeviceLost {
            backend: NAME,
            call,
            code: -1,
        }
    }

    /// True once the planted loss has happened.
    pub(super) fn is_lost(&self) -> bool {
        let made = self.submissions.load(Ordering::Relaxed);
        self.config.lose_after.is_some_and(|limit| made > limit)
    }

    fn queue(&self) -> Arc<Queue> {
        Arc::new(Queue {
            state: Mutex::default(),
            locks: TimedLock::all(&self.config),
        })
    }
}

impl SoftDevice {
    pub(super) fn new(config: SoftConfig) -> Self {
        let engines = Engines {
            free_at: vec![Duration::ZERO; config.engines as usize],
            idle_at: Duration::ZERO,
        };
        Self {
            info: info(&config),
            shared: Arc::new(Shared {
                device_locks: TimedLock::all(&config),
                epoch: Instant::now(),
                engines: Mutex::new(engines),
                submissions: AtomicU64::new(0),
                config,
            }),
        }
    }
}

impl Device for SoftDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        Ok(work::prepare(work))
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &crate::Abilities::NONE, &self.info, spec, threads)?;
        let one = self.shared.queue();
        let lanes = (0..threads).map(|_| {
            let queue = match spec.queue {
                QueueLayout::Shared => Arc::clone(&one),
                QueueLayout::Own | QueueLayout::PerThread => self.shared.queue(),
            };
            Box::new(SoftLane::new(Arc::clone(&self.shared), queue, spec)) as Box<dyn Lane>
        });
        Ok(lanes.collect())
    }
}
