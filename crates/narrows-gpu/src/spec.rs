//! What every backend asks of a [`LaneSpec`] before it builds lanes.

use crate::{DeviceInfo, Error, LaneSpec, Precision, QueueLayout, Work};

/// What every backend refuses in the same words: no threads, no ops, more own queues than the
/// device has, f16 where there is none.
pub(crate) fn check_spec(
    backend: &'static str,
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
    if let (QueueLayout::Own, Some(queues)) = (spec.queue, info.max_queues)
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
