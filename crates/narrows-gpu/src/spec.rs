//! What every backend asks of a [`LaneSpec`] before it builds lanes.

use crate::{
    ContextLayout, DeviceInfo, Error, LaneOptions, LaneSpec, Precision, QueueLayout, Recording,
    WaitMode, Work,
};

/// What an API has of [`LaneOptions`], and of queues, besides the defaults.
pub(crate) struct Abilities {
    pub(crate) per_thread_queue: bool,
    pub(crate) contexts: &'static [ContextLayout],
    pub(crate) waits: &'static [WaitMode],
    pub(crate) records: &'static [Recording],
}

impl Abilities {
    /// The defaults only.
    pub(crate) const NONE: Self = Self {
        per_thread_queue: false,
        contexts: &[],
        waits: &[],
        records: &[],
    };

    /// The first setting of `spec` that the API does not have, in the command line's words.
    fn lacks(&self, spec: &LaneSpec) -> Option<String> {
        let LaneOptions {
            context,
            wait,
            record,
        } = spec.options;
        let lacks = |is: bool, what: String| is.then_some(what);
        lacks(
            spec.queue == QueueLayout::PerThread && !self.per_thread_queue,
            format!("queue {}", spec.queue),
        )
        .or_else(|| {
            lacks(
                context != ContextLayout::default() && !self.contexts.contains(&context),
                format!("context {context}"),
            )
        })
        .or_else(|| {
            lacks(
                wait != WaitMode::default() && !self.waits.contains(&wait),
                format!("wait {wait}"),
            )
        })
        .or_else(|| {
            lacks(
                record != Recording::default() && !self.records.contains(&record),
                format!("record {record}"),
            )
        })
    }
}

/// What every backend refuses in the same words: no threads, no ops, more own queues than the
/// device has, f16 where there is none.
pub(crate) fn check_spec(
    backend: &'static str,
    abilities: &Abilities,
    info: &DeviceInfo,
    spec: LaneSpec,
    threads: u32,
) -> Result<(), Error> {
    let unsupported = |what: String, why: String| Err(Error::Unsupported { backend, what, why });
    if threads == 0 || spec.depth == 0 || spec.batch == 0 {
        let what = format!(
            "{threads} threads, depth {}, batch {}",
            spec.depth, spec.batch
        );
        return unsupported(what, "each must be at least 1".into());
    }
    if let Some(what) = abilities.lacks(&spec) {
        return unsupported(what, format!("the {backend} backend does not have it"));
    }
    if spec.options.context != ContextLayout::Shared && spec.queue == QueueLayout::Shared {
        let what = format!("a shared queue with context {}", spec.options.context);
        return unsupported(what, "a queue belongs to one context".into());
    }
    if let (QueueLayout::Own, Some(queues)) = (spec.queue, info.max_queues)
        // Each context has queues of its own.
        && spec.options.context == ContextLayout::Shared
        && threads > queues
    {
        let what = format!("{threads} own queues");
        return unsupported(what, format!("{} has {queues}", info.name));
    }
    check_work(backend, info, spec.work)
}

/// What every backend refuses of the work alone.
pub(crate) fn check_work(
    backend: &'static str,
    info: &DeviceInfo,
    work: Work,
) -> Result<(), Error> {
    let unsupported = |what: &str, why: String| {
        Err(Error::Unsupported {
            backend,
            what: what.into(),
            why,
        })
    };
    match work {
        Work::Matmul { n: 0, .. } => unsupported("matmul", "it needs at least one row".into()),
        Work::Matmul {
            precision: Precision::F16,
            ..
        } if !info.f16 => {
            let why = format!("{} has no 16-bit floating point", info.name);
            unsupported("f16 matmul", why)
        }
        Work::Busy(t) if t.is_zero() => unsupported("busy", "it needs a time above 0".into()),
        _ => Ok(()),
    }
}

/// A caller that keeps more submissions in flight than it asked for.
#[cold]
pub(crate) fn too_many_in_flight(backend: &'static str, depth: usize) -> Error {
    Error::Unsupported {
        backend,
        what: "another submission".into(),
        why: format!("the lane was made for {depth} in flight; wait first"),
    }
}

/// The error for a device that is not in `devices`.
pub(crate) fn unknown_device(
    backend: &'static str,
    wanted: String,
    devices: &[DeviceInfo],
) -> Error {
    let list: Vec<_> = devices
        .iter()
        .map(|d| format!("{}: {}", d.index, d.name))
        .collect();
    Error::UnknownDevice {
        backend,
        wanted,
        available: list.join(", "),
    }
}
