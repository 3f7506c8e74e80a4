//! What a call is about: its name and kind, the handle it works on, and when it failed.
//!
//! The tables of the three APIs are lists of [`Rule`]s; the hooks read arguments only as a rule
//! says. Pointers are followed only after the real function succeeded, when the API's contract
//! says that they were good.

use crate::base::{Call, Scope};
use narrows_trace::{Api, CallKind, ObjectId};

/// Where the handle is that a call works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// The call has none that matters.
    None,
    /// This argument; 0 is the first.
    Arg(u8),
    /// This argument points to the handle, which the call wrote.
    Out(u8),
    /// This argument points to a struct with the handle at this byte.
    Field(u8, u8),
    /// The result is the handle.
    Result,
}

/// How a result says that the call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// No result, or one that is not a status.
    Never,
    /// A 32-bit status that is not zero.
    NonZero,
    /// A negative 32-bit status (`VkResult`, OpenCL's codes); positive ones are answers.
    Negative,
    /// A null pointer.
    Null,
}

/// How to read a call's arguments and result. A constant where the function is known when this
/// library is compiled, so that a hook has no branch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What the call works on.
    pub(crate) object: Object,
    /// When it failed.
    pub(crate) fails: Fails,
}

/// One function of an API. Tables of these are statics, because the call knows its id.
pub(crate) struct Rule {
    /// Name, kind, id in the recording.
    pub(crate) call: Call,
    /// How to read it.
    pub(crate) shape: Shape,
    /// It only asks for something, which programs do often: mostly counted, seldom timed.
    pub(crate) query: bool,
}

/// The arguments of one call, wherever they were passed.
pub(crate) trait Arguments {
    /// The integer or pointer argument `index`, counted without floating-point ones.
    fn argument(&self, index: u8) -> u64;
}

impl<const N: usize> Arguments for [u64; N] {
    #[inline(always)]
    fn argument(&self, index: u8) -> u64 {
        self.get(usize::from(index)).copied().unwrap_or(0)
    }
}

impl Rule {
    /// One row of a table.
    pub(crate) const fn new(
        name: &'static str,
        api: Api,
        kind: CallKind,
        object: Object,
        fails: Fails,
    ) -> Self {
        Self {
            call: Call::new(name, api, kind),
            shape: Shape { object, fails },
            query: is_query(api, name, kind),
        }
    }

    /// The function's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.call.name()
    }
}

/// Whether a function only asks for something or sets an argument, as programs do often and fast:
/// `cuCtxGetDevice`, `vkGetFenceStatus`, `clSetKernelArg`. Never one that hands work over, waits or
/// may load code (`cuKernelGetFunction`).
pub(crate) const fn is_query(api: Api, name: &str, kind: CallKind) -> bool {
    let name = name.as_bytes();
    match (api, kind) {
        (_, CallKind::Submit | CallKind::Sync | CallKind::Copy) => false,
        (Api::Cuda, CallKind::Module) => contains(name, b"GetAttribute"),
        (Api::Cuda, _) => contains(name, b"Get") || contains(name, b"IsCapturing"),
        (Api::Vulkan | Api::OpenCl, CallKind::Query) => true,
        (Api::OpenCl, _) => {
            contains(name, b"SetKernelArg") || contains(name, b"Get") && contains(name, b"Info")
        }
        _ => false,
    }
}

const fn contains(text: &[u8], part: &[u8]) -> bool {
    let mut from = 0;
    while from + part.len() <= text.len() {
        let mut same = 0;
        while same < part.len() && text[from + same] == part[same] {
            same += 1;
        }
        if same == part.len() {
            return true;
        }
        from += 1;
    }
    false
}

impl Shape {
    /// Whether `result` means failure.
    #[inline(always)]
    pub(crate) fn failed(&self, result: u64) -> bool {
        match self.fails {
            Fails::Never => false,
            Fails::NonZero => result as u32 != 0,
            Fails::Negative => (result as i32) < 0,
            Fails::Null => result == 0,
        }
    }

    /// The handle that the call worked on; 0: none, or it failed before there was one.
    #[inline(always)]
    pub(crate) fn object(&self, result: u64, arguments: &impl Arguments) -> ObjectId {
        ObjectId(match self.object {
            Object::None => 0,
            Object::Arg(index) => arguments.argument(index),
            Object::Result => result,
            Object::Out(index) if !self.failed(result) => follow(arguments.argument(index), 0),
            Object::Field(index, offset) if !self.failed(result) => {
                follow(arguments.argument(index), offset)
            }
            Object::Out(_) | Object::Field(..) => 0,
        })
    }

    /// Leaves `scope` with what this says of the call.
    #[inline(always)]
    pub(crate) fn leave(&self, scope: Scope, result: u64, arguments: &impl Arguments) {
        scope.leave(self.object(result, arguments), self.failed(result));
    }
}

/// Reads the handle `offset` bytes behind `address`, if there is an address.
#[inline(always)]
fn follow(address: u64, offset: u8) -> u64 {
    if address == 0 {
        return 0;
    }
    let address = (address as *const u8).wrapping_add(usize::from(offset));
    // SAFETY: the function succeeded, so its contract says that this argument is readable.
    unsafe { address.cast::<u64>().read_unaligned() }
}
