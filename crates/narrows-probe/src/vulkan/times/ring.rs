//! Command buffers that write timestamps, made once per queue and used again and again.

use super::super::abi::{Function, Handle, SetDeviceLoaderData};
use super::super::device::Device;
use super::super::table::Entry;
use super::IN_FLIGHT;
use super::plan::Plan;
use crate::base::{Inside, scope};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::ptr::null;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use narrows_trace::writer::GpuSpan;
use narrows_trace::{CallId, Loss, Nanos, ObjectId, Ticks};

/// Batches of one submit call, and command buffers of one batch, that are copied.
pub(super) const BATCHES: usize = 16;
/// Queues of a device that are timed.
const QUEUES: usize = 64;
/// Submissions of a queue whose times have not been read yet.
const SLOTS: usize = 256;

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const SENT: u32 = 2;
const READING: u32 = 3;

/// One submission's place.
struct Slot {
    state: AtomicU32,
    call: AtomicU32,
    start: AtomicU64,
    /// The last times that were read, so that they are not taken for new ones.
    last: [AtomicU64; 2],
}

/// The command buffers of a queue.
struct Commands {
    queries: Handle,
    pool: Handle,
    begin: [Handle; SLOTS],
    end: [Handle; SLOTS],
}

/// A queue and its slots.
pub(in super::super) struct Ring {
    queue: AtomicU64,
    family: AtomicU32,
    ready: AtomicBool,
    failed: AtomicBool,
    next: AtomicU32,
    commands: UnsafeCell<Commands>,
    slots: [Slot; SLOTS],
}

// SAFETY: `commands` is written before `ready` is set, by the first submission (the API lets one
// thread at a time submit to a queue), and only read after that.
unsafe impl Sync for Ring {}

/// What GPU times need of a device.
pub(super) struct Gpu {
    functions: Functions,
    set_loader_data: SetDeviceLoaderData,
    period: f32,
    valid_bits: [u32; 16],
    rings: Box<[Ring]>,
}

/// Functions of the next layer, each of the type that its caller says.
struct Functions {
    create_query_pool: Function,
    destroy_query_pool: Function,
    create_command_pool: Function,
    destroy_command_pool: Function,
    allocate: Function,
    begin: Function,
    end: Function,
    reset_queries: Function,
    write_timestamp: Function,
    results: Function,
    calibrated: Function,
}

type Create = unsafe extern "C-unwind" fn(Handle, *const c_void, *const c_void, *mut Handle) -> i32;
type Destroy = unsafe extern "C-unwind" fn(Handle, Handle, *const c_void);
type Allocate = unsafe extern "C-unwind" fn(Handle, *const c_void, *mut Handle) -> i32;
type Begin = unsafe extern "C-unwind" fn(Handle, *const c_void) -> i32;
type End = unsafe extern "C-unwind" fn(Handle) -> i32;
type ResetQueries = unsafe extern "C-unwind" fn(Handle, Handle, u32, u32);
type WriteTimestamp = unsafe extern "C-unwind" fn(Handle, u32, Handle, u32);
type Results =
    unsafe extern "C-unwind" fn(Handle, Handle, u32, u32, usize, *mut u64, u64, u32) -> i32;
type Calibrated =
    unsafe extern "C-unwind" fn(Handle, u32, *const c_void, *mut u64, *mut u64) -> i32;

/// Casts a function of the next layer to its type.
macro_rules! as_type {
    ($function:expr, $type:ty) => {
        // SAFETY: the function of this name has this type; checked not to be null.
        unsafe { core::mem::transmute::<Function, $type>($function) }
    };
}

const TOP_OF_PIPE: u32 = 1;
const BOTTOM_OF_PIPE: u32 = 0x2000;
const RESULT_64: u32 = 1;
const WITH_AVAILABILITY: u32 = 4;

impl Gpu {
    /// `None` if the device lacks a function.
    pub(super) fn new(device: &'static Device, plan: &Plan) -> Option<Self> {
        let ask = |name: &CStr| {
            // SAFETY: a live device.
            unsafe { device.ask(device.handle(), name) }
        };
        let functions = Functions {
            create_query_pool: ask(c"vkCreateQueryPool"),
            destroy_query_pool: ask(c"vkDestroyQueryPool"),
            create_command_pool: ask(c"vkCreateCommandPool"),
            destroy_command_pool: ask(c"vkDestroyCommandPool"),
            allocate: ask(c"vkAllocateCommandBuffers"),
            begin: ask(c"vkBeginCommandBuffer"),
            end: ask(c"vkEndCommandBuffer"),
            reset_queries: ask(c"vkCmdResetQueryPool"),
            write_timestamp: ask(c"vkCmdWriteTimestamp"),
            results: device.function(Entry::vkGetQueryPoolResults as usize),
            calibrated: if plan.calibrated {
                ask(c"vkGetCalibratedTimestampsEXT")
            } else {
                null()
            },
        };
        let needed = [
            functions.create_query_pool,
            functions.destroy_query_pool,
            functions.create_command_pool,
            functions.destroy_command_pool,
            functions.allocate,
            functions.begin,
            functions.end,
            functions.reset_queries,
            functions.write_timestamp,
            functions.results,
        ];
        if needed.iter().any(|function| function.is_null()) {
            return None;
        }
        Some(Self {
            functions,
            set_loader_data: plan.set_loader_data?,
            period: plan.period,
            valid_bits: plan.valid_bits,
            rings: (0..QUEUES).map(|_| Ring::new()).collect(),
        })
    }

    /// Whether both clocks can be read at once.
    pub(super) fn is_calibrated(&self) -> bool {
        !self.functions.calibrated.is_null()
    }

    /// Remembers the family of a queue that was given out.
    pub(super) fn learn(&self, queue: Handle, family: u32) {
        let timed = self.valid_bits.get(family as usize);
        if queue == 0 || timed.is_none_or(|bits| *bits == 0) {
            return;
        }
        for ring in &self.rings {
            let known = ring.queue.load(Ordering::Acquire);
            if known == queue {
                return;
            }
            if known == 0 {
                ring.family.store(family, Ordering::Relaxed);
                let won =
                    ring.queue
                        .compare_exchange(0, queue, Ordering::AcqRel, Ordering::Acquire);
                if won.is_ok() || won == Err(queue) {
                    return;
                }
            }
        }
    }

    /// The ring of a queue.
    pub(super) fn ring(&'static self, queue: Handle) -> Option<&'static Ring> {
        self.rings
            .iter()
            .find(|ring| ring.queue.load(Ordering::Acquire) == queue)
    }

    /// A free slot of `ring` and its two command buffers; makes them on first use.
    pub(super) fn take(
        &self,
        device: &Device,
        ring: &'static Ring,
    ) -> Option<(usize, [Handle; 2])> {
        if ring.failed.load(Ordering::Relaxed) {
            return None;
        }
        if !ring.ready.load(Ordering::Acquire) {
            if self.fill(device, ring).is_none() {
                ring.failed.store(true, Ordering::Relaxed);
                return None;
            }
            ring.ready.store(true, Ordering::Release);
        }
        // SAFETY: ready, and only read from now on.
        let commands = unsafe { &*ring.commands.get() };
        for _ in 0..4 {
            let index = ring.next.fetch_add(1, Ordering::Relaxed) as usize % SLOTS;
            self.read_slot(device, ring, index);
            let state = &ring.slots.get(index)?.state;
            if state
                .compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                return Some((
                    index,
                    [*commands.begin.get(index)?, *commands.end.get(index)?],
                ));
            }
        }
        None
    }

    /// Makes the command buffers of a ring.
    fn fill(&self, device: &Device, ring: &Ring) -> Option<()> {
        let _inside = Inside::enter();
        let handle = device.handle();
        // SAFETY: not ready: the one thread that may submit to this queue has them.
        let commands = unsafe { &mut *ring.commands.get() };
        // VkQueryPoolCreateInfo: kind 11, timestamps (2), two for each slot.
        let info: [u64; 4] = [11, 0, 2 << 32, 2 * SLOTS as u64];
        let create = as_type!(self.functions.create_query_pool, Create);
        // SAFETY: a live device and the API's structure.
        ok(unsafe { create(handle, info.as_ptr().cast(), null(), &mut commands.queries) })?;
        // VkCommandPoolCreateInfo: kind 39, family.
        let family = u64::from(ring.family.load(Ordering::Relaxed));
        let info: [u64; 3] = [39, 0, family << 32];
        let create = as_type!(self.functions.create_command_pool, Create);
        // SAFETY: as above.
        ok(unsafe { create(handle, info.as_ptr().cast(), null(), &mut commands.pool) })?;
        for (list, stage, reset) in [
            (&mut commands.begin, TOP_OF_PIPE, true),
            (&mut commands.end, BOTTOM_OF_PIPE, false),
        ] {
            // VkCommandBufferAllocateInfo: kind 40, pool, primary (0), count.
            let info: [u64; 4] = [40, 0, commands.pool, (SLOTS as u64) << 32];
            let allocate = as_type!(self.functions.allocate, Allocate);
            // SAFETY: as above; room for `SLOTS` handles.
            ok(unsafe { allocate(handle, info.as_ptr().cast(), list.as_mut_ptr()) })?;
            for (slot, buffer) in list.iter().enumerate() {
                // SAFETY: the loader's function; a new dispatchable handle of this device.
                ok(unsafe { (self.set_loader_data)(handle, *buffer as *mut c_void) })?;
                self.write(*buffer, commands.queries, slot as u32, stage, reset)?;
            }
        }
        Some(())
    }

    /// Records one command buffer: a timestamp, and before the first of a slot a reset of both.
    fn write(
        &self,
        buffer: Handle,
        queries: Handle,
        slot: u32,
        stage: u32,
        reset: bool,
    ) -> Option<()> {
        // VkCommandBufferBeginInfo: kind 42, may be in flight more than once (4).
        let info: [u64; 4] = [42, 0, 4, 0];
        let begin = as_type!(self.functions.begin, Begin);
        // SAFETY: a new command buffer and the API's structure.
        ok(unsafe { begin(buffer, info.as_ptr().cast()) })?;
        if reset {
            let reset = as_type!(self.functions.reset_queries, ResetQueries);
            // SAFETY: a recording command buffer; queries of the pool.
            unsafe { reset(buffer, queries, 2 * slot, 2) };
        }
        let stamp = as_type!(self.functions.write_timestamp, WriteTimestamp);
        // SAFETY: as above.
        unsafe { stamp(buffer, stage, queries, 2 * slot + u32::from(!reset)) };
        let end = as_type!(self.functions.end, End);
        // SAFETY: as above.
        ok(unsafe { end(buffer) })
    }

    /// Reads the times of everything that is complete.
    pub(super) fn read_complete(&self, device: &Device) {
        for ring in &self.rings {
            if ring.queue.load(Ordering::Acquire) == 0 {
                return;
            }
            if ring.ready.load(Ordering::Acquire) {
                for index in 0..SLOTS {
                    self.read_slot(device, ring, index);
                }
            }
        }
    }

    /// Reads one slot if it was sent, and frees it if its times are there.
    fn read_slot(&self, device: &Device, ring: &Ring, index: usize) {
        let Some(slot) = ring.slots.get(index) else {
            return;
        };
        if slot.state.load(Ordering::Relaxed) != SENT
            || slot
                .state
                .compare_exchange(SENT, READING, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let there = self.read_sent(device, ring, index, slot);
        let state = if there { FREE } else { SENT };
        slot.state.store(state, Ordering::Release);
        if there {
            IN_FLIGHT.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Reads the times of a slot that this thread has; whether they are there.
    fn read_sent(&self, device: &Device, ring: &Ring, index: usize, slot: &Slot) -> bool {
        // SAFETY: ready, and only read from now on.
        let commands = unsafe { &*ring.commands.get() };
        let queries = commands.queries;
        let results = as_type!(self.functions.results, Results);
        let mut found = [0_u64; 4];
        let flags = RESULT_64 | WITH_AVAILABILITY;
        let bytes = size_of_val(&found);
        let query = 2 * index as u32;
        let inside = Inside::enter();
        // SAFETY: a live device and pool; room for two queries of two words.
        let status = unsafe {
            results(
                device.handle(),
                queries,
                query,
                2,
                bytes,
                found.as_mut_ptr(),
                16,
                flags,
            )
        };
        drop(inside);
        let [begin, begin_there, end, end_there] = found;
        let old = [&slot.last[0], &slot.last[1]].map(|last| last.load(Ordering::Relaxed));
        if status < 0 || begin_there == 0 || end_there == 0 || old == [begin, end] {
            return false;
        }
        slot.last[0].store(begin, Ordering::Relaxed);
        slot.last[1].store(end, Ordering::Relaxed);
        self.record(device, ring, slot, begin, end);
        true
    }

    fn record(&self, device: &Device, ring: &Ring, slot: &Slot, begin: u64, end: u64) {
        let queue = ObjectId(ring.queue.load(Ordering::Relaxed));
        let start = Ticks(slot.start.load(Ordering::Relaxed));
        let (begin, end) = (self.nanos(begin), self.nanos(end));
        let (gpu, at) = self.both_clocks(device).unwrap_or((begin, start));
        scope::record(|handle| {
            handle.gpu_clock(queue, gpu, at);
            if end < begin {
                handle.lost(Loss::GpuTime, 1);
                return;
            }
            handle.gpu_span(&GpuSpan {
                queue,
                begin,
                end,
                call: CallId(slot.call.load(Ordering::Relaxed) as u16),
                correlation: start.0,
            });
        });
    }

    /// One instant on the GPU's clock and on ours.
    fn both_clocks(&self, device: &Device) -> Option<(Nanos, Ticks)> {
        if !self.is_calibrated() {
            return None;
        }
        // VkCalibratedTimestampInfoEXT: kind 1000184000, the device's own clock (0).
        let info: [u64; 3] = [1_000_184_000, 0, 0];
        let (mut gpu, mut deviation) = (0, 0);
        let read = as_type!(self.functions.calibrated, Calibrated);
        let _inside = Inside::enter();
        let before = Ticks::now();
        // SAFETY: a live device, and one structure.
        let status = unsafe {
            read(
                device.handle(),
                1,
                info.as_ptr().cast(),
                &mut gpu,
                &mut deviation,
            )
        };
        let after = Ticks::now();
        ok(status)?;
        Some((self.nanos(gpu), Ticks(before.0 + after.since(before) / 2)))
    }

    fn nanos(&self, stamp: u64) -> Nanos {
        if self.period == 1.0 {
            return Nanos(stamp);
        }
        Nanos((stamp as f64 * f64::from(self.period)) as u64)
    }

    /// Destroys what was made on the device.
    pub(super) fn destroy(&self, device: &Device) {
        for ring in &self.rings {
            if !ring.ready.load(Ordering::Acquire) {
                continue;
            }
            // SAFETY: ready, and only read from now on.
            let commands = unsafe { &*ring.commands.get() };
            let (queries, pool) = (commands.queries, commands.pool);
            let destroy = as_type!(self.functions.destroy_query_pool, Destroy);
            // SAFETY: a live device; nothing is in flight, says the API.
            unsafe { destroy(device.handle(), queries, null()) };
            let destroy = as_type!(self.functions.destroy_command_pool, Destroy);
            // SAFETY: as above.
            unsafe { destroy(device.handle(), pool, null()) };
        }
    }
}

impl Ring {
    fn new() -> Self {
        Self {
            queue: AtomicU64::new(0),
            family: AtomicU32::new(0),
            ready: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            next: AtomicU32::new(0),
            commands: UnsafeCell::new(Commands {
                queries: 0,
                pool: 0,
                begin: [0; SLOTS],
                end: [0; SLOTS],
            }),
            slots: [const {
                Slot {
                    state: AtomicU32::new(FREE),
                    call: AtomicU32::new(0),
                    start: AtomicU64::new(0),
                    last: [AtomicU64::new(0), AtomicU64::new(0)],
                }
            }; SLOTS],
        }
    }

    /// The submission in `slot` is on its way.
    pub(super) fn sent(&self, slot: usize, call: CallId, start: Ticks) {
        if let Some(slot) = self.slots.get(slot) {
            slot.call.store(u32::from(call.0), Ordering::Relaxed);
            slot.start.store(start.0, Ordering::Relaxed);
            slot.state.store(SENT, Ordering::Release);
        }
    }

    /// The submission in `slot` failed.
    pub(super) fn give_back(&self, slot: usize) {
        if let Some(slot) = self.slots.get(slot) {
            slot.state.store(FREE, Ordering::Release);
        }
    }
}

/// Turns a status into an option.
fn ok(status: i32) -> Option<()> {
    (status >= 0).then_some(())
}
