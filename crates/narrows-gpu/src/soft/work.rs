//! Engine time of each kind of work. Nothing is computed.

use super::SoftConfig;
use crate::{Calibration, Precision, Preparation, Work};
use std::time::Duration;

/// Engine time of one op.
pub(super) fn engine_time(config: &SoftConfig, work: Work) -> Duration {
    match work {
        Work::Noop => config.op,
        Work::Busy(t) => t,
        Work::Matmul { n, precision } => {
            let n = f64::from(n);
            let rate = match precision {
                Precision::F32 => config.flops_per_second,
                Precision::F16 => 2.0 * config.flops_per_second,
            };
            Duration::try_from_secs_f64(2.0 * n * n * n / rate).unwrap_or(Duration::MAX / 1024)
        }
    }
}

/// An engine's loop iteration is one nanosecond by definition, so the calibration is exact. No
/// product is computed, so there is no error to state.
pub(super) fn prepare(work: Work) -> Preparation {
    let calibration = match work {
        Work::Busy(wanted) => Some(Calibration {
            wanted,
            iterations: u64::try_from(wanted.as_nanos()).unwrap_or(u64::MAX),
            measured: wanted,
        }),
        Work::Noop | Work::Matmul { .. } => None,
    };
    Preparation {
        calibration,
        max_relative_error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matmul_time_follows_the_stated_rate() {
        let c = SoftConfig {
            flops_per_second: 1e9,
            ..SoftConfig::default()
        };
        let f32 = engine_time(
            &c,
            Work::Matmul {
                n: 100,
                precision: Precision::F32,
            },
        );
        let f16 = engine_time(
            &c,
            Work::Matmul {
                n: 100,
                precision: Precision::F16,
            },
        );
        assert_eq!(f32, Duration::from_millis(2));
        assert_eq!(f16, Duration::from_millis(1));
    }
}
