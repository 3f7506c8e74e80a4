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
    if matches!(
        spec.work,
        Work::Matmul {
            precision: Precision::F16,
            ..
        }
    ) && !info.f16
    {
        let why = format!(
            "{} has no 16-bit floating point arithmetic and storage",
            info.name
        );
        return unsupported("f16 matmul".into(), why);
    }
    Ok(())
}
