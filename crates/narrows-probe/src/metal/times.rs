//! GPU times, only when asked for (`NARROWS_GPU_TIMES=1`): command buffers are asked to call back
//! when they have completed, and then tell when the GPU began and ended.
//!
//! What a program can see of it, only with the setting: one more completion handler per command
//! buffer, and one more feedback handler per set of Metal 4 commit options. A Metal 4 commit
//! without options has no times.

use super::clock;
use super::rows::Row;
use super::runtime::{Id, Selector};
use super::table::TABLE;
use crate::base::{config, scope};
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use narrows_trace::writer::GpuSpan;
use narrows_trace::{CallId, Loss, Nanos, ObjectId, Ticks};

/// A block that captures nothing, as compilers lay it out. Copying one gives the same block, and
/// nothing is ever allocated for it.
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

const fn block(invoke: unsafe extern "C-unwind" fn(*mut Block, Id)) -> Block {
    Block {
        isa: AtomicPtr::new(core::ptr::null_mut()),
        flags: IS_GLOBAL,
        reserved: 0,
        invoke,
        descriptor: &DESCRIPTOR,
    }
}

static COMPLETED: Block = block(completed);
static FEEDBACK: Block = block(feedback);

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

/// Options that have our handler already: a program may use them for many commits.
const OPTIONS: usize = 256;
static OURS: [AtomicU64; OPTIONS] = [const { AtomicU64::new(0) }; OPTIONS];

/// Command buffers are about to be committed on `queue` with `options`.
///
/// # Safety
/// `options` is null or an object of Metal 4's commit options.
pub(super) unsafe fn of_options(row: &'static Row, queue: u64, options: Id) {
    if !wanted() {
        return;
    }
    if options.is_null() {
        scope::record(|handle| handle.lost(Loss::GpuTime, 1));
        return;
    }
    COMMIT4.store(row_index(row), Ordering::Relaxed);
    LAST_QUEUE.store(queue, Ordering::Relaxed);
    let place = (options as usize >> 4).wrapping_mul(0x9e37_79b9) % OPTIONS;
    let known = OURS
        .get(place)
        .map(|known| known.swap(options as u64, Ordering::Relaxed));
    if known == Some(options as u64) {
        return;
    }
    scope::quietly(|| {
        // SAFETY: commit options take a handler at any time.
        FEEDBACK
            .ready()
            .and_then(|block| unsafe { ADD_FEEDBACK_HANDLER.with(options, block) })
    });
}

/// The Metal 4 queue that was committed to last: feedback does not say which queue it is about.
static LAST_QUEUE: AtomicU64 = AtomicU64::new(0);

unsafe extern "C-unwind" fn completed(_block: *mut Block, buffer: Id) {
    // SAFETY: Metal passes the command buffer that has completed.
    unsafe { span(buffer, &COMMIT, None) };
}

unsafe extern "C-unwind" fn feedback(_block: *mut Block, feedback: Id) {
    let queue = LAST_QUEUE.load(Ordering::Relaxed);
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
