//! GPU times, only when asked for (`NARROWS_GPU_TIMES=1`): command buffers are asked to call back
//! when they have completed, and then tell when the GPU began and ended.
//!
//! What a program can see of it, only with the setting: one more completion handler per command
//! buffer, one more feedback handler per set of Metal 4 commit options, and an object associated
//! with each of those, which says that the handler is there: programs use a set for many commits,
//! or make one for each, at the address of the last. A Metal 4 commit without options has no times,
//! and those of a set that is used with several queues are said to be the first one's.

use super::clock;
use super::rows::Row;
use super::runtime::{Id, Selector};
use super::table::TABLE;
use crate::base::{config, scope};
use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use narrows_trace::writer::GpuSpan;
use narrows_trace::{CallId, Loss, Nanos, ObjectId, Ticks};

/// A block, as compilers lay it out.
#[repr(C)]
struct Block {
    isa: AtomicPtr<c_void>,
    flags: i32,
    reserved: i32,
    invoke: unsafe extern "C-unwind" fn(*mut Block, Id),
    descriptor: &'static Descriptor,
}

#[repr(C)]
struct Descriptor {
    reserved: usize,
    size: usize,
}

/// `BLOCK_IS_GLOBAL`.
const IS_GLOBAL: i32 = 1 << 28;

static DESCRIPTOR: Descriptor = Descriptor {
    reserved: 0,
    size: size_of::<Block>(),
};

/// A block that has captured a queue. Metal copies it.
#[repr(C)]
struct OfQueue {
    block: Block,
    queue: u64,
}

static OF_QUEUE: Descriptor = Descriptor {
    reserved: 0,
    size: size_of::<OfQueue>(),
};

/// Captures nothing: copying it gives the same block, and nothing is ever allocated for it.
static COMPLETED: Block = Block {
    isa: AtomicPtr::new(core::ptr::null_mut()),
    flags: IS_GLOBAL,
    reserved: 0,
    invoke: completed,
    descriptor: &DESCRIPTOR,
};

impl Block {
    /// The block's address, once its class is known; `None` without a blocks runtime.
    fn ready(&'static self) -> Option<usize> {
        if self.isa.load(Ordering::Relaxed).is_null() {
            let class = crate::base::real::anywhere(c"_NSConcreteGlobalBlock");
            if class.is_null() {
                return None;
            }
            self.isa.store(class, Ordering::Release);
        }
        Some(core::ptr::from_ref(self) as usize)
    }
}

static ADD_COMPLETED_HANDLER: Selector = Selector::new(c"addCompletedHandler:");
static ADD_FEEDBACK_HANDLER: Selector = Selector::new(c"addFeedbackHandler:");
static COMMAND_QUEUE: Selector = Selector::new(c"commandQueue");
static GPU_START: Selector = Selector::new(c"GPUStartTime");
static GPU_END: Selector = Selector::new(c"GPUEndTime");

/// The call whose GPU work it is: there is one commit in each table.
static COMMIT: AtomicU32 = AtomicU32::new(0);
static COMMIT4: AtomicU32 = AtomicU32::new(0);

/// Whether times are asked for: unknown, no, yes.
static WANTED: AtomicU32 = AtomicU32::new(0);

/// Whether GPU times are asked for.
pub(super) fn wanted() -> bool {
    match WANTED.load(Ordering::Relaxed) {
        0 => {
            let wanted = config::get().is_some_and(|config| config.gpu_times);
            WANTED.store(1 + u32::from(wanted), Ordering::Relaxed);
            wanted
        }
        known => known == 2,
    }
}

fn row_index(row: &'static Row) -> u32 {
    let place = TABLE.iter().position(|other| core::ptr::eq(other, row));
    place.map_or(0, |index| index as u32 + 1)
}

fn call_of(place: &AtomicU32) -> CallId {
    let index = (place.load(Ordering::Relaxed) as usize).wrapping_sub(1);
    TABLE.get(index).map_or(CallId::NONE, |row| row.call.id())
}

/// `buffer` is about to be committed.
///
/// # Safety
/// A command buffer that was not committed yet.
pub(super) unsafe fn of_buffer(row: &'static Row, buffer: Id) {
    if !wanted() {
        return;
    }
    COMMIT.store(row_index(row), Ordering::Relaxed);
    let added = scope::quietly(|| {
        // SAFETY: a command buffer takes a handler before it is committed.
        COMPLETED
            .ready()
            .and_then(|block| unsafe { ADD_COMPLETED_HANDLER.with(buffer, block) })
    });
    if added.is_none() {
        scope::record(|handle| handle.lost(Loss::GpuTime, 1));
    }
}

/// Command buffers are about to be committed on `queue` with `options`.
///
/// # Safety
/// `options` is null or an object of Metal 4's commit options.
pub(super) unsafe fn of_options(row: &'static Row, queue: u64, options: Id) {
    if !wanted() {
        return;
    }
    COMMIT4.store(row_index(row), Ordering::Relaxed);
    let added = scope::quietly(|| {
        if options.is_null() {
            return false;
        }
        // SAFETY: as promised.
        let had = unsafe { has_handler(options) };
        // SAFETY: as promised.
        had || unsafe { add_handler(options, queue) }
    });
    if !added {
        scope::record(|handle| handle.lost(Loss::GpuTime, 1));
    }
}

type Associated = unsafe extern "C-unwind" fn(Id, *const c_void) -> Id;
type Associate = unsafe extern "C-unwind" fn(Id, *const c_void, Id, usize);

static ASSOCIATED: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
static ASSOCIATE: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// A function of the runtime, looked up once it is needed.
fn runtime(place: &AtomicPtr<c_void>, name: &CStr) -> Option<*const ()> {
    if place.load(Ordering::Relaxed).is_null() {
        place.store(crate::base::real::anywhere(name), Ordering::Relaxed);
    }
    let found = place.load(Ordering::Relaxed);
    (!found.is_null()).then(|| found.cast_const().cast())
}

/// What says that an object has our handler; its address is the key.
static KEY: u64 = 0;

fn key() -> *const c_void {
    core::ptr::from_ref(&KEY).cast()
}

/// # Safety
/// `options` is an object.
unsafe fn has_handler(options: Id) -> bool {
    let Some(associated) = runtime(&ASSOCIATED, c"objc_getAssociatedObject") else {
        return false;
    };
    // SAFETY: the runtime's function of that name has this type.
    let associated = unsafe { core::mem::transmute::<*const (), Associated>(associated) };
    // SAFETY: an object, as promised.
    !unsafe { associated(options, key()) }.is_null()
}

/// Gives options a handler, and says so with them. Nothing without a runtime that can: a handler
/// more for each commit would never end.
///
/// # Safety
/// `options` is an object of Metal 4's commit options.
unsafe fn add_handler(options: Id, queue: u64) -> bool {
    let Some(associate) = runtime(&ASSOCIATE, c"objc_setAssociatedObject") else {
        return false;
    };
    let class = crate::base::real::anywhere(c"_NSConcreteStackBlock");
    if class.is_null() {
        return false;
    }
    let handler = OfQueue {
        block: Block {
            isa: AtomicPtr::new(class),
            flags: 0,
            reserved: 0,
            invoke: feedback,
            descriptor: &OF_QUEUE,
        },
        queue,
    };
    let block = core::ptr::from_ref(&handler) as usize;
    // SAFETY: commit options take a handler at any time, and copy it.
    if unsafe { ADD_FEEDBACK_HANDLER.with(options, block) }.is_none() {
        return false;
    }
    // SAFETY: the runtime's function of that name has this type.
    let associate = unsafe { core::mem::transmute::<*const (), Associate>(associate) };
    // SAFETY: objects; assigned, not retained, so any that never ends will do.
    unsafe { associate(options, key(), options, 0) };
    true
}

unsafe extern "C-unwind" fn completed(_block: *mut Block, buffer: Id) {
    // SAFETY: Metal passes the command buffer that has completed.
    unsafe { span(buffer, &COMMIT, None) };
}

unsafe extern "C-unwind" fn feedback(block: *mut Block, feedback: Id) {
    // SAFETY: a copy of the block that was given.
    let queue = unsafe { (*block.cast::<OfQueue>()).queue };
    // SAFETY: Metal passes the feedback of a commit.
    unsafe { span(feedback, &COMMIT4, Some(queue)) };
}

/// # Safety
/// `source` is an object with GPU times.
unsafe fn span(source: Id, place: &AtomicU32, queue: Option<u64>) {
    let times = scope::quietly(|| {
        // SAFETY: the object has these methods, which take nothing.
        let begin = unsafe { GPU_START.double(source) }?;
        // SAFETY: as above.
        let end = unsafe { GPU_END.double(source) }?;
        let queue = match queue {
            Some(queue) => queue,
            // SAFETY: as above.
            None => unsafe { COMMAND_QUEUE.word(source) }? as u64,
        };
        Some((clock::of_seconds(begin)?, clock::of_seconds(end)?, queue))
    });
    let call = call_of(place);
    scope::record(|handle| match times {
        Some((begin, end, queue)) if end >= begin => {
            let queue = ObjectId(queue);
            handle.gpu_clock(queue, clock::now(), Ticks::now());
            handle.gpu_span(&GpuSpan {
                queue,
                begin,
                end,
                call,
                correlation: 0,
            });
        }
        _ => handle.lost(Loss::GpuTime, 1),
    });
}

const _: fn(Nanos) -> u64 = |nanos| nanos.0;
