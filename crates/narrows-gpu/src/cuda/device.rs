//! The device: its contexts, the programs that are loaded in them, and lanes.

use super::NAME;
use super::api::api;
use super::context::{Context, Stream};
use super::lane::CudaLane;
use super::sys::{Api, CUdevice, OUT_OF_MEMORY, SCHED_BLOCKING_SYNC, SCHED_SPIN, SCHED_YIELD};
use super::work::Program;
use crate::{
    Abilities, ContextLayout, Device, DeviceInfo, Error, Lane, LaneSpec, Preparation, QueueLayout,
    Recording, SyncMode, WaitMode, Work,
};
use std::collections::HashMap;
use std::ffi::c_uint;
use std::sync::{Arc, Mutex, PoisonError};

const ABILITIES: Abilities = Abilities {
    per_thread_queue: true,
    contexts: &[ContextLayout::Own, ContextLayout::Green],
    waits: &[
        WaitMode::Spin,
        WaitMode::Yield,
        WaitMode::Block,
        WaitMode::Poll,
    ],
    records: &[Recording::Once, Recording::Each],
};

/// An open device.
pub(super) struct CudaDevice {
    info: DeviceInfo,
    device: CUdevice,
    api: &'static Api,
    /// The primary context, and one for each other way in which a context's calls wait.
    shared: Mutex<HashMap<c_uint, Arc<Loaded>>>,
    prepared: Mutex<HashMap<Work, Preparation>>,
}

/// A context and the programs that were loaded in it.
struct Loaded {
    context: Arc<Context>,
    programs: Mutex<HashMap<Work, Arc<Program>>>,
}

impl Loaded {
    fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context,
            programs: Mutex::default(),
        })
    }

    /// The program of `work`, and what its preparation found: `known` if it was prepared before.
    fn program(
        &self,
        work: Work,
        known: Option<&Preparation>,
    ) -> Result<(Arc<Program>, Preparation), Error> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(program), Some(known)) = (programs.get(&work), known) {
            return Ok((Arc::clone(program), known.clone()));
        }
        let (program, preparation) = Program::build(&self.context, work, known)?;
        programs.insert(work, Arc::clone(&program));
        Ok((program, preparation))
    }
}

/// How the calls of a context wait.
fn flags(wait: WaitMode) -> c_uint {
    match wait {
        WaitMode::Auto | WaitMode::Poll | WaitMode::Handler => 0,
        WaitMode::Spin => SCHED_SPIN,
        WaitMode::Yield => SCHED_YIELD,
        WaitMode::Block => SCHED_BLOCKING_SYNC,
    }
}

/// What the settings exclude of each other.
fn check_pairs(spec: &LaneSpec) -> Result<(), Error> {
    let options = spec.options;
    let refused = |what: String, why: &str| {
        Err(Error::Unsupported {
            backend: NAME,
            what,
            why: why.into(),
        })
    };
    if options.wait == WaitMode::Poll && spec.sync == SyncMode::Device {
        return refused(
            "wait poll with sync device".into(),
            "the driver has no call that asks whether a context is idle",
        );
    }
    if options.context == ContextLayout::Green {
        if flags(options.wait) != 0 {
            return refused(
                format!("wait {} with context green", options.wait),
                "green contexts wait as the primary context does",
            );
        }
        if spec.queue == QueueLayout::PerThread {
            return refused(
                "queue per-thread with context green".into(),
                "the default stream is not one of the green context",
            );
        }
    }
    Ok(())
}

impl CudaDevice {
    pub(super) fn new(device: CUdevice, info: DeviceInfo) -> Result<Self, Error> {
        Ok(Self {
            info,
            device,
            api: api()?,
            shared: Mutex::default(),
            prepared: Mutex::default(),
        })
    }

    /// The context that threads share, which stays as long as the device.
    fn shared(&self, wait: WaitMode) -> Result<Arc<Loaded>, Error> {
        let flags = flags(wait);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = shared.get(&flags) {
            return Ok(Arc::clone(loaded));
        }
        let context = match flags {
            0 => Context::primary(self.api, self.device)?,
            flags => Context::create(self.api, self.device, flags)?,
        };
        let loaded = Loaded::new(context);
        shared.insert(flags, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// The context of each lane.
    fn contexts(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Arc<Loaded>>, Error> {
        match spec.options.context {
            ContextLayout::Shared => {
                let shared = self.shared(spec.options.wait)?;
                Ok((0..threads).map(|_| Arc::clone(&shared)).collect())
            }
            ContextLayout::Own => (0..threads)
                .map(|_| {
                    let flags = flags(spec.options.wait);
                    Context::create(self.api, self.device, flags).map(Loaded::new)
                })
                .collect(),
            ContextLayout::Green => {
                // Green contexts are parts of the primary one, which has to be there.
                self.shared(WaitMode::Auto)?;
                let contexts = Context::green(self.api, self.device, threads)?;
                Ok(contexts.into_iter().map(Loaded::new).collect())
            }
        }
    }

    fn make_lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        let known = self.prepare(spec.work)?;
        let contexts = self.contexts(spec, threads)?;
        let one = match (spec.queue, contexts.first()) {
            (QueueLayout::Shared, Some(first)) => Some(Arc::new(Stream::new(&first.context)?)),
            _ => None,
        };
        let lane = |loaded: &Arc<Loaded>| {
            let (program, _) = loaded.program(spec.work, Some(&known))?;
            let stream = match (&one, spec.queue) {
                (Some(stream), _) => Arc::clone(stream),
                (None, QueueLayout::PerThread) => Arc::new(Stream::per_thread(&loaded.context)),
                (None, _) => Arc::new(Stream::new(&loaded.context)?),
            };
            let lane = CudaLane::new(program.dispatch()?, spec, stream)?;
            Ok(Box::new(lane) as Box<dyn Lane>)
        };
        contexts.iter().map(lane).collect()
    }
}

impl Device for CudaDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = prepared.get(&work) {
            return Ok(known.clone());
        }
        let (_, preparation) = self.shared(WaitMode::Auto)?.program(work, None)?;
        prepared.insert(work, preparation.clone());
        Ok(preparation)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &ABILITIES, &self.info, spec, threads)?;
        check_pairs(&spec)?;
        let lanes = self.make_lanes(spec, threads);
        match lanes {
            // Contexts take much memory each: fewer may fit.
            Err(Error::Call { code, call, .. })
                if code == i64::from(OUT_OF_MEMORY)
                    && spec.options.context != ContextLayout::Shared =>
            {
                Err(Error::Unsupported {
                    backend: NAME,
                    what: format!("{threads} contexts"),
                    why: format!("the device has not enough memory for them ({call})"),
                })
            }
            other => other,
        }
    }
}
