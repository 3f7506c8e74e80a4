//! How busy the device was, by its own clock.

use super::DeviceUse;
use crate::explain::observe::gpu::Spans;
use narrows_trace::reader::{Trace, What};

/// Notes `API.gpu-times` say that GPU times were asked for.
pub(super) const GPU_TIMES: &str = ".gpu-times";

/// Reads the GPU spans of a trace whose recorder was asked for them. `None`: it was not, or there
/// are none. With several processes the busiest one's.
pub fn device_use(trace: &Trace) -> Option<DeviceUse> {
    let asked = |(key, _): &(String, String)| key.ends_with(GPU_TIMES);
    let mut most: Option<DeviceUse> = None;
    for process in &trace.processes {
        if !process.notes.iter().any(asked) {
            continue;
        }
        let (mut spans, mut count) = (Spans::default(), 0);
        for thread in process.timeline.threads() {
            for event in process.timeline.thread(thread) {
                if let What::GpuSpan(span) = event.what {
                    spans.add(span.begin.0, span.end.0);
                    count += 1;
                }
            }
        }
        let busy = spans.busy();
        if let Some(busy) = busy
            && most.as_ref().is_none_or(|most| most.busy < busy)
        {
            most = Some(DeviceUse { busy, spans: count });
        }
    }
    most
}
