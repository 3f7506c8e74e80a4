//! What a row of the table of methods says.

use crate::base::Call;
use core::ffi::CStr;
use narrows_trace::{Api, CallKind};

/// What an object is used as: bits, because one class may serve as several.
pub(crate) type Role = u32;

/// No object.
pub(crate) const NOTHING: Role = 0;
/// `MTLDevice`.
pub(crate) const DEVICE: Role = 1;
/// `MTLCommandQueue`.
pub(crate) const QUEUE: Role = 1 << 1;
/// `MTLCommandBuffer`.
pub(crate) const BUFFER: Role = 1 << 2;
/// `MTLComputeCommandEncoder`.
pub(crate) const ENCODER: Role = 1 << 3;
/// `MTLBlitCommandEncoder`.
pub(crate) const BLIT: Role = 1 << 4;
/// `MTLSharedEvent`, `MTLEvent`.
pub(crate) const EVENT: Role = 1 << 5;
/// `MTLResidencySet`.
pub(crate) const RESIDENCY: Role = 1 << 6;
/// `MTL4CommandQueue`.
pub(crate) const QUEUE4: Role = 1 << 7;
/// `MTL4CommandBuffer`.
pub(crate) const BUFFER4: Role = 1 << 8;
/// `MTL4CommandAllocator`.
pub(crate) const ALLOCATOR4: Role = 1 << 9;
/// `MTL4ComputeCommandEncoder`.
pub(crate) const ENCODER4: Role = 1 << 10;
/// `MTL4Compiler`.
pub(crate) const COMPILER4: Role = 1 << 11;
/// `MTL4CommitFeedback`.
pub(crate) const FEEDBACK4: Role = 1 << 12;
/// A kernel of Metal Performance Shaders: methods of the classes that its own stems from.
pub(crate) const KERNEL: Role = 1 << 13;
/// A class that is found by its name.
pub(crate) const NAMED: Role = 1 << 14;

/// Work that a hook does besides recording the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// None.
    None,
    /// The call is only counted: it is too cheap and too frequent for reading clocks.
    Count,
    /// The call is often made and short: counted, and timed once in so many (`scope::Counted`).
    Short,
    /// GPU times: asks to be called when the command buffer has completed.
    Commit,
    /// GPU times: the same of Metal 4, through the commit's options.
    Commit4,
}

/// One method.
pub(crate) struct Row {
    /// Name, kind, id in the recording.
    pub(crate) call: Call,
    /// Protocol or class.
    pub(crate) class: &'static CStr,
    /// Selector.
    pub(crate) selector: &'static CStr,
    /// Type encoding without offsets, as computed from public headers; the method's own counts.
    pub(crate) encoding: &'static str,
    /// What objects with this method are used as.
    pub(crate) roles: Role,
    /// What the result is used as.
    pub(crate) gives: Role,
    /// See [`Special`].
    pub(crate) special: Special,
}

impl Row {
    /// `+`: a method of the class itself.
    pub(crate) const fn is_class_method(&self) -> bool {
        self.call.name().as_bytes()[0] == b'+'
    }
}

/// One row of the table.
#[allow(clippy::too_many_arguments)]
pub(crate) const fn row(
    name: &'static str,
    class: &'static CStr,
    selector: &'static CStr,
    encoding: &'static str,
    api: Api,
    kind: CallKind,
    roles: Role,
    gives: Role,
    special: Special,
) -> Row {
    Row {
        call: Call::new(name, api, kind),
        class,
        selector,
        encoding,
        roles,
        gives,
        special,
    }
}
