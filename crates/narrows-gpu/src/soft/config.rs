//! Settings of the software GPU and the law that follows from them.

use crate::{LaneSpec, QueueLayout, Work};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything that can be planted in the software GPU. Times are written as whole nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftConfig {
    /// Engines that run submissions of different queues at the same time, at least 1.
    pub engines: u32,
    /// Engine time of a `noop` op.
    #[serde(rename = "op_ns", with = "nanos")]
    pub op: Duration,
    /// Host work per submission, spent on the submitting thread's CPU before any lock.
    #[serde(rename = "host_ns", with = "nanos")]
    pub host: Duration,
    /// Locks, in the order in which a submission meets them.
    pub locks: Vec<SoftLock>,
    /// Submissions that a queue takes before `submit` blocks; `None`: no limit.
    pub queue_capacity: Option<u32>,
    /// Own queues that can exist at once; `None`: as many as asked for.
    pub max_queues: Option<u32>,
    /// f32 arithmetic rate that a matmul's engine time follows; f16 runs at twice the rate.
    pub flops_per_second: f64,
    /// The device is lost when this many submissions have been made; `None`: never.
    pub lose_after: Option<u64>,
}

impl Default for SoftConfig {
    /// Four engines, 200 us an op, no locks: own queues scale to 4 threads, a shared queue not at
    /// all.
    fn default() -> Self {
        Self {
            engines: 4,
            op: Duration::from_micros(200),
            host: Duration::ZERO,
            locks: Vec::new(),
            queue_capacity: None,
            max_queues: None,
            flops_per_second: 1e12,
            lose_after: None,
        }
    }
}

/// A planted lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftLock {
    /// The layer it stands for: `framework`, `driver`, ...
    pub layer: String,
    /// How long a submission holds it.
    #[serde(rename = "hold_ns", with = "nanos")]
    pub hold: Duration,
    /// Where it is taken.
    #[serde(default)]
    pub place: LockPlace,
    /// Who shares it.
    #[serde(default)]
    pub scope: LockScope,
}

/// Where a planted lock is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockPlace {
    /// On the way into the queue.
    #[default]
    Submit,
    /// After the op has completed, before the wait returns.
    Wait,
}

/// Who shares a planted lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockScope {
    /// All threads of the device.
    #[default]
    Device,
    /// The threads of one queue.
    Queue,
}

impl SoftConfig {
    /// Settings under which the law gives `X(threads) / X(1) = ratio` exactly: one device lock
    /// held for `cycle / ratio` of a cycle of `cycle`, the rest of it engine time of a `noop`.
    /// Use own queues. `None` unless `1 <= ratio <= threads`.
    #[must_use]
    pub fn planted_ratio(ratio: f64, threads: u32, cycle: Duration) -> Option<Self> {
        if !(1.0..=f64::from(threads)).contains(&ratio) {
            return None;
        }
        let hold = cycle.div_f64(ratio);
        Some(Self {
            engines: threads,
            op: cycle.saturating_sub(hold),
            locks: vec![SoftLock {
                layer: "driver".into(),
                hold,
                place: LockPlace::Submit,
                scope: LockScope::Device,
            }],
            ..Self::default()
        })
    }

    /// Engine time of one op of `work`.
    #[must_use]
    pub fn engine_time(&self, work: Work) -> Duration {
        super::work::engine_time(self, work)
    }

    /// The cycle that a submission of `spec` goes through at `threads` threads.
    #[must_use]
    pub fn law(&self, spec: LaneSpec, threads: u32) -> Law {
        let queues = match spec.queue {
            QueueLayout::Shared => 1,
            QueueLayout::Own | QueueLayout::PerThread => threads.max(1),
        };
        let lock = |l: &SoftLock| Stage {
            name: l.layer.clone(),
            servers: match l.scope {
                LockScope::Device => 1,
                LockScope::Queue => queues,
            },
            service: l.hold,
        };
        let at = |place| {
            self.locks
                .iter()
                .filter(move |l| l.place == place)
                .map(lock)
        };
        let engine = Stage {
            name: "gpu".into(),
            servers: queues.min(self.engines),
            service: self.engine_time(spec.work) * spec.batch.max(1),
        };
        Law {
            host: self.host,
            stages: at(LockPlace::Submit)
                .chain(std::iter::once(engine))
                .chain(at(LockPlace::Wait))
                .filter(|s| !s.service.is_zero())
                .collect(),
            ops_per_submission: spec.batch.max(1),
        }
    }

    /// What makes the settings impossible.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.engines == 0 {
            return Err("engines must be at least 1".into());
        }
        if self.queue_capacity == Some(0) || self.max_queues == Some(0) {
            return Err("queue_capacity and max_queues must be at least 1".into());
        }
        if !(self.flops_per_second.is_finite() && self.flops_per_second > 0.0) {
            return Err("flops_per_second must be positive".into());
        }
        Ok(())
    }
}

/// A resource that serves `servers` submissions at once, first come first served.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The layer it stands for; `gpu` for the engines.
    pub name: String,
    /// Submissions served at once.
    pub servers: u32,
    /// Time of one submission.
    pub service: Duration,
}

impl Stage {
    /// Submissions per second when it is never idle.
    #[must_use]
    pub fn limit(&self) -> f64 {
        f64::from(self.servers) / self.service.as_secs_f64()
    }
}

/// The closed cycle of a thread, for one number of threads. The formula and its source stand in
/// the documentation of [`crate::soft`].
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Time on the thread's own CPU, shared with nobody.
    pub host: Duration,
    /// Resources in the order of the cycle; without those that take no time.
    pub stages: Vec<Stage>,
    /// Ops that one round completes.
    pub ops_per_submission: u32,
}

impl Law {
    /// Time of one round of a thread that meets nobody.
    #[must_use]
    pub fn round(&self) -> Duration {
        self.stages.iter().map(|s| s.service).sum::<Duration>() + self.host
    }

    /// The resource that limits first, if any takes time.
    #[must_use]
    pub fn bottleneck(&self) -> Option<&Stage> {
        self.stages
            .iter()
            .min_by(|a, b| a.limit().total_cmp(&b.limit()))
    }

    /// `X(threads)` in ops per second. The law must have been made for the same number of
    /// threads. Infinite when nothing takes time.
    #[must_use]
    pub fn throughput(&self, threads: u32) -> f64 {
        let free = f64::from(threads) / self.round().as_secs_f64();
        let limit = self.bottleneck().map_or(f64::INFINITY, Stage::limit);
        free.min(limit) * f64::from(self.ops_per_submission)
    }
}

/// Durations as whole nanoseconds.
mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SyncMode;

    fn spec(queue: QueueLayout) -> LaneSpec {
        LaneSpec {
            work: Work::Noop,
            queue,
            sync: SyncMode::Event,
            depth: 1,
            batch: 1,
            options: crate::LaneOptions::default(),
        }
    }

    fn ratio(config: &SoftConfig, queue: QueueLayout, n: u32) -> f64 {
        config.law(spec(queue), n).throughput(n) / config.law(spec(queue), 1).throughput(1)
    }

    #[test]
    fn default_device_scales_to_its_engines_on_own_queues_only() {
        let c = SoftConfig::default();
        for (n, own) in [(1, 1.0), (2, 2.0), (4, 4.0), (8, 4.0)] {
            assert!((ratio(&c, QueueLayout::Own, n) - own).abs() < 1e-9);
            assert!((ratio(&c, QueueLayout::Shared, n) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn planted_ratio_is_what_the_law_gives() {
        for (r, n) in [(1.0, 2), (1.02, 2), (1.5, 2), (2.0, 2), (3.5, 8)] {
            let c = SoftConfig::planted_ratio(r, n, Duration::from_millis(1)).unwrap();
            // Durations are whole nanoseconds: 1e-6 of a millisecond.
            assert!(
                (ratio(&c, QueueLayout::Own, n) - r).abs() < 1e-5,
                "{r} at {n}"
            );
        }
        assert!(SoftConfig::planted_ratio(2.1, 2, Duration::from_millis(1)).is_none());
        assert!(SoftConfig::planted_ratio(0.9, 2, Duration::from_millis(1)).is_none());
    }

    #[test]
    fn json_has_nanoseconds_and_defaults_and_refuses_unknown_words() {
        let c: SoftConfig = serde_json::from_str(
            r#"{"op_ns": 100000, "locks": [{"layer": "driver", "hold_ns": 5000}]}"#,
        )
        .unwrap();
        assert_eq!(c.op, Duration::from_micros(100));
        assert_eq!(c.engines, 4);
        assert_eq!(c.locks[0].place, LockPlace::Submit);
        let back: SoftConfig = serde_json::from_str(&serde_json::to_string(&c).unwrap()).unwrap();
        assert_eq!(back, c);
        assert!(serde_json::from_str::<SoftConfig>(r#"{"motors": 3}"#).is_err());
    }

    #[test]
    fn bottleneck_is_the_slowest_resource() {
        let c = SoftConfig {
            locks: vec![SoftLock {
                layer: "driver".into(),
                hold: Duration::from_micros(150),
                place: LockPlace::Submit,
                scope: LockScope::Device,
            }],
            ..SoftConfig::default()
        };
        assert_eq!(
            c.law(spec(QueueLayout::Own), 4).bottleneck().unwrap().name,
            "driver"
        );
        assert_eq!(
            c.law(spec(QueueLayout::Shared), 4)
                .bottleneck()
                .unwrap()
                .name,
            "gpu"
        );
    }
}
