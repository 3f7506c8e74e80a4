//! The table, and what it says about functions that attribution rests on.

use super::{rule, table::TABLE};
use crate::trampoline::Rule;
use narrows_trace::CallKind;

#[test]
fn the_table_is_sorted_and_has_no_twins() {
    assert!(TABLE.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    assert!(
        TABLE.len() < 900,
        "a stub is left for every function and some more"
    );
}

#[test]
fn what_matters_is_in_the_table() {
    for (name, kind) in [
        (c"cuLaunchKernel", CallKind::Submit),
        (c"cuLaunchKernel_ptsz", CallKind::Submit),
        (c"cuLaunchKernelEx", CallKind::Submit),
        (c"cuLaunchCooperativeKernel", CallKind::Submit),
        (c"cuLaunchHostFunc", CallKind::Submit),
        (c"cuGraphLaunch", CallKind::Submit),
        (c"cuStreamWaitValue32_v2", CallKind::Submit),
        (c"cuStreamBatchMemOp_v2", CallKind::Submit),
        (c"cuCtxSynchronize", CallKind::Sync),
        (c"cuStreamSynchronize", CallKind::Sync),
        (c"cuEventSynchronize", CallKind::Sync),
        (c"cuStreamQuery", CallKind::Query),
        (c"cuEventQuery", CallKind::Query),
        (c"cuStreamWaitEvent", CallKind::Event),
        (c"cuEventRecord", CallKind::Event),
        (c"cuStreamCreateWithPriority", CallKind::Queue),
        (c"cuMemAlloc_v2", CallKind::Alloc),
        (c"cuMemFreeAsync", CallKind::Alloc),
        (c"cuMemHostAlloc", CallKind::Alloc),
        (c"cuMemcpyHtoDAsync_v2", CallKind::Copy),
        (c"cuMemsetD8Async", CallKind::Copy),
        (c"cuGraphInstantiateWithFlags", CallKind::Graph),
        (c"cuStreamBeginCapture_v2", CallKind::Graph),
        (c"cuInit", CallKind::Context),
        (c"cuDevicePrimaryCtxRetain", CallKind::Context),
        (c"cuCtxPushCurrent_v2", CallKind::Context),
        (c"cuModuleLoadData", CallKind::Module),
        (c"cuLibraryLoadData", CallKind::Module),
        (c"cuKernelGetFunction", CallKind::Module),
    ] {
        let rule = rule(name).unwrap_or_else(|| panic!("{name:?} is missing"));
        assert_eq!(rule.call.kind(), kind, "{name:?}");
    }
    assert!(rule(c"cuFromTheFuture").is_none());
}

#[test]
fn the_stream_is_the_object_of_a_launch() {
    let arguments: [u64; 11] = core::array::from_fn(|index| 100 + index as u64);
    let object = |name| {
        let rule: &Rule = rule(name).expect("in the table");
        rule.shape.object(0, &arguments).0
    };
    assert_eq!(object(c"cuLaunchKernel"), 108);
    assert_eq!(object(c"cuGraphLaunch"), 101);
    assert_eq!(object(c"cuStreamSynchronize"), 100);
    assert_eq!(object(c"cuEventRecord"), 100);
    assert_eq!(object(c"cuMemcpyDtoHAsync_v2"), 103);
    assert_eq!(object(c"cuStreamWaitEvent"), 100);
}
