//! A software GPU that is built in: queues, submissions, engines and planted locks that obey a
//! stated law, so that statistics can be tested against a known truth and the command runs on a
//! machine without any GPU API.
//!
//! **It computes nothing.** An op occupies an engine for a stated time and no more: `noop` for
//! [`SoftConfig::op`], `busy:T` for `T`, a matmul for its arithmetic over
//! [`SoftConfig::flops_per_second`]. Engines are deadlines, not threads: submitting reserves
//! engine time, and a waiter sleeps until the reservation ends. So a device with eight engines is
//! as scalable on one core as on many, and costs a few microseconds of CPU per op.
//!
//! # The law
//! At depth 1, with a wait for the op's event, a thread goes round a closed cycle: host work `H`
//! (its own CPU), then each planted lock `j` (one thread at a time, held for `h_j`), then an
//! engine for `S`. A resource `i` with `c_i` servers and service time `s_i` can do at most
//! `c_i / s_i` submissions a second, and a thread alone takes `R = H + sum h_j + S`, hence
//!
//! ```text
//! X(N) = B * min( N / R, min over i of c_i / s_i )        ops per second, B ops per submission
//! ```
//!
//! with `c = 1` for a lock of the device, `c = N` for a lock of the queue and own queues, and for
//! the engine `c = 1` on a shared queue (queues are in order) and `c = min(N, engines)` on own
//! queues. For fixed service times this is not a bound but exact: the cycle is a timed event
//! graph whose only elementary circuits are the threads' way round and each resource's own loop,
//! and the throughput of such a graph is the smallest ratio of tokens to time over its circuits
//! (Baccelli, Cohen, Olsder, Quadrat, *Synchronization and Linearity*, 1992, chapter 2).
//! At other depths and waits it is an upper bound when `N` is multiplied by the depth in `N / R`.
//! [`Law`] computes it, [`sim`] runs it in simulated time; in wall time a waiter wakes late by
//! what the scheduler adds, which counts into `R`.
//!
//! [`ENV`] plants other settings for tests of whole programs.

mod config;
mod device;
mod lane;
pub mod sim;
mod work;

pub use config::{Law, LockPlace, LockScope, SoftConfig, SoftLock, Stage};

use crate::{Backend, Device, DeviceInfo, Error};

/// Backend name.
pub(crate) const NAME: &str = "soft";

/// Environment variable that holds a [`SoftConfig`] as JSON; fields left out keep their default.
pub const ENV: &str = "NARROWS_SOFT";

/// The software GPU as a backend with one device.
#[derive(Clone, Debug, Default)]
pub struct SoftBackend {
    config: Option<SoftConfig>,
}

impl SoftBackend {
    /// A backend whose device obeys `config`, whatever the environment says.
    #[must_use]
    pub fn new(config: SoftConfig) -> Self {
        Self {
            config: Some(config),
        }
    }

    /// The settings in force: those given, else those of [`ENV`], else the default.
    fn config(&self) -> Result<SoftConfig, Error> {
        let config = match (&self.config, std::env::var(ENV)) {
            (Some(config), _) => config.clone(),
            (None, Ok(json)) => {
                serde_json::from_str(&json).map_err(|e| bad_config(e.to_string()))?
            }
            (None, Err(_)) => SoftConfig::default(),
        };
        config.check().map_err(bad_config)?;
        Ok(config)
    }
}

fn bad_config(why: String) -> Error {
    Error::Unsupported {
        backend: NAME,
        what: format!("the soft configuration ({ENV})"),
        why,
    }
}

impl Backend for SoftBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        Ok(vec![device::info(&self.config()?)])
    }

    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error> {
        if index != 0 {
            return Err(crate::unknown_device(
                NAME,
                index.to_string(),
                &self.devices()?,
            ));
        }
        Ok(Box::new(device::SoftDevice::new(self.config()?)))
    }
}
