//! Dispatch queues, semaphores and groups.
//!
//! `dispatch_sync` waits for the queue and then runs the program's block on the calling thread:
//! two things that one call hides. So the block that the real function gets is one of ours, on
//! the caller's stack, which notes that the queue is now had and calls the program's block. The
//! wait ends there; what the block does belongs to the caller, not to the wait.
//!
//! Who has a queue is kept in a small table: the thread whose block runs last. A thread that has
//! the queue already and asks for it again is not said to wait for itself: what happens then (a
//! deadlock, or a queue that lets it pass) is the real function's business.
//!
//! Waits inside the real function (libdispatch's own locks) are not recorded beside the wait for
//! the queue.

use super::owners::{Before, Owners};
use super::waits::{self, Recording, Site, Waiting, acquired, ready};
use crate::base::local::Mode;
use crate::base::{Call, scope};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use narrows_trace::{Api, CallKind, Ticks, Tid, WaitKind};

type Queue = *mut c_void;
type Work = Option<unsafe extern "C-unwind" fn(*mut c_void)>;

real_when_called! {
    SYNC = dispatch_sync(Queue, *mut Block) -> ();
    SYNC_F = dispatch_sync_f(Queue, *mut c_void, Work) -> ();
    BARRIER_SYNC = dispatch_barrier_sync(Queue, *mut Block) -> ();
    BARRIER_SYNC_F = dispatch_barrier_sync_f(Queue, *mut c_void, Work) -> ();
    AND_WAIT = dispatch_async_and_wait(Queue, *mut Block) -> ();
    AND_WAIT_F = dispatch_async_and_wait_f(Queue, *mut c_void, Work) -> ();
    BARRIER_AND_WAIT = dispatch_barrier_async_and_wait(Queue, *mut Block) -> ();
    BARRIER_AND_WAIT_F = dispatch_barrier_async_and_wait_f(Queue, *mut c_void, Work) -> ();
    SEMAPHORE_WAIT = dispatch_semaphore_wait(*mut c_void, u64) -> isize;
    SEMAPHORE_SIGNAL = dispatch_semaphore_signal(*mut c_void) -> isize;
    GROUP_WAIT = dispatch_group_wait(*mut c_void, u64) -> isize;
}

hooks! {
    fn dispatch_sync(queue: Queue, block: *mut Block) -> () = sync;
    fn dispatch_sync_f(queue: Queue, context: *mut c_void, work: Work) -> () = sync_f;
    fn dispatch_barrier_sync(queue: Queue, block: *mut Block) -> () = barrier_sync;
    fn dispatch_barrier_sync_f(queue: Queue, context: *mut c_void, work: Work) -> ()
        = barrier_sync_f;
    fn dispatch_async_and_wait(queue: Queue, block: *mut Block) -> () = and_wait;
    fn dispatch_async_and_wait_f(queue: Queue, context: *mut c_void, work: Work) -> ()
        = and_wait_f;
    fn dispatch_barrier_async_and_wait(queue: Queue, block: *mut Block) -> () = barrier_and_wait;
    fn dispatch_barrier_async_and_wait_f(queue: Queue, context: *mut c_void, work: Work) -> ()
        = barrier_and_wait_f;
    fn dispatch_semaphore_wait(semaphore: *mut c_void, limit: u64) -> isize = semaphore_wait;
    fn dispatch_semaphore_signal(semaphore: *mut c_void) -> isize = semaphore_signal;
    fn dispatch_group_wait(group: *mut c_void, limit: u64) -> isize = group_wait;
}

/// The head of a block, as compilers lay it out.
#[repr(C)]
struct Block {
    isa: *mut c_void,
    flags: i32,
    reserved: i32,
    invoke: unsafe extern "C-unwind" fn(*mut Block),
    descriptor: *const Descriptor,
}

#[repr(C)]
struct Descriptor {
    reserved: usize,
    size: usize,
}

/// A block of ours: the program's work, and where the time is noted. On the caller's stack, as
/// blocks for synchronous calls may be: nobody copies them.
#[repr(C)]
struct Ours {
    block: Block,
    turn: *mut Turn,
}

static DESCRIPTOR: Descriptor = Descriptor {
    reserved: 0,
    size: size_of::<Ours>(),
};

/// What the program wants to run on the queue.
#[derive(Clone, Copy)]
enum Job {
    Block(*mut Block),
    Function(*mut c_void, Work),
}

/// One synchronous call on its way.
struct Turn {
    job: Job,
    queue: usize,
    site: Site,
    recording: Recording,
    /// When the call began.
    start: Ticks,
    /// The thread that had the queue then.
    owner: Option<Tid>,
    /// What became of the program's work.
    ran: Ran,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    NotYet,
    /// By the caller; its wait was recorded when it began.
    Here,
    /// By another thread, and the caller waits for its end.
    Elsewhere,
}

/// Queues and the threads that have them.
static OWNERS: Owners = Owners::new();

/// Queues and the threads that had them last, and when they let go: a queue that changes hands has
/// nobody for a moment, though others wait for it.
static LAST: Owners = Owners::new();
static LET_GO: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
const PLACES: usize = 1024;

/// Threads that wait for the queues of each place.
static WAITING: [AtomicU32; PLACES] = [const { AtomicU32::new(0) }; PLACES];

fn place(queue: usize) -> usize {
    (queue >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48
}

fn let_go(queue: usize) -> &'static AtomicU64 {
    LET_GO.get(place(queue) % PLACES).unwrap_or(&LET_GO[0])
}

fn waiting(queue: usize) -> &'static AtomicU32 {
    WAITING.get(place(queue) % PLACES).unwrap_or(&WAITING[0])
}

/// Takes the queue for its life; an exception that passes gives it back too.
struct Held<'a> {
    turn: &'a Turn,
    before: Before,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let (local, _) = self.turn.recording;
        let now = Ticks::now();
        if waiting(self.turn.queue).load(Ordering::Relaxed) > 0 && local.mode() == Mode::Ready {
            let (kind, queue) = (WaitKind::Dispatch, self.turn.queue);
            waits::woke(self.turn.recording, kind, queue, self.turn.site, now);
        }
        let_go(self.turn.queue).store(now.0, Ordering::Relaxed);
        OWNERS.give_back(self.turn.queue, local.tid.get(), self.before);
        if local.mode() == Mode::Ready {
            local.set_mode(Mode::Quiet);
        }
    }
}

/// Runs the program's work: on the thread that called, which is what all of these functions do
/// but for queues of the main thread and the like.
///
/// # Safety
/// `turn` is that of a call under way.
unsafe fn run(turn: *mut Turn) {
    // SAFETY: as promised; the caller's frame waits for this.
    let turn = unsafe { &mut *turn };
    let (local, _) = turn.recording;
    let begun = Ticks::now();
    waiting(turn.queue).fetch_sub(1, Ordering::Relaxed);
    if !core::ptr::eq(local, crate::base::local::local()) {
        turn.ran = Ran::Elsewhere;
        // SAFETY: the program's work.
        return unsafe { work(turn.job) };
    }
    turn.ran = Ran::Here;
    let me = local.tid.get();
    let ended = Ticks(let_go(turn.queue).load(Ordering::Relaxed));
    let before = LAST.of(turn.queue, me).filter(|_| ended > turn.start);
    LAST.took(turn.queue, me);
    let held = Held {
        before: OWNERS.take(turn.queue, me),
        turn,
    };
    if local.mode() == Mode::Quiet {
        local.set_mode(Mode::Ready);
    }
    // Now, not when the call returns: what the program's work records comes later.
    observe(turn, turn.owner.or(before), begun);
    // SAFETY: the program's work.
    unsafe { work(turn.job) };
    drop(held);
}

/// The queue was had at `begun`.
fn observe(turn: &Turn, owner: Option<Tid>, begun: Ticks) {
    let kind = WaitKind::Dispatch;
    if owner.is_none() && begun.since(turn.start) < SHORT {
        return acquired(turn.recording, kind, turn.site);
    }
    let waiting = Waiting {
        kind,
        lock: turn.queue,
        site: turn.site,
        owner,
    };
    waits::waited_until(turn.recording, waiting, turn.start, begun, false);
}

/// # Safety
/// The program's own arguments.
unsafe fn work(job: Job) {
    match job {
        Job::Block(block) => {
            // SAFETY: a block.
            let invoke = unsafe { (*block).invoke };
            // SAFETY: as the compiler calls it.
            unsafe { invoke(block) };
        }
        Job::Function(context, Some(function)) => {
            // SAFETY: the program's function and context.
            unsafe { function(context) };
        }
        Job::Function(_, None) => {}
    }
}

unsafe extern "C-unwind" fn run_block(block: *mut Block) {
    // SAFETY: ours, so followed by the turn.
    let turn = unsafe { (*block.cast::<Ours>()).turn };
    // SAFETY: the call is under way.
    unsafe { run(turn) };
}

unsafe extern "C-unwind" fn run_function(turn: *mut c_void) {
    // SAFETY: `around` passes its turn, and the call is under way.
    unsafe { run(turn.cast()) };
}

/// Puts the thread's mode back when the call is left, by return or by an exception.
struct Under<'a>(&'a Recording);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        let (local, _) = *self.0;
        if local.mode() == Mode::Quiet {
            local.set_mode(Mode::Ready);
        }
    }
}

/// Ticks of a wait that is not worth an event, as taking a free queue takes some time too: 2 to 8
/// microseconds at 1 to 4 GHz, 2.7 at Apple's 24 MHz.
#[cfg(target_arch = "x86_64")]
const SHORT: u64 = 1 << 13;
#[cfg(target_arch = "aarch64")]
const SHORT: u64 = 1 << 6;

/// Records the wait of one synchronous call, whose real function `call` makes with our work in
/// the program's place.
unsafe fn around(
    recording: Recording,
    queue: Queue,
    job: Job,
    site: Site,
    call: impl FnOnce(*mut Turn),
) {
    let (local, _) = recording;
    let mut turn = Turn {
        job,
        queue: queue as usize,
        site,
        recording,
        start: Ticks::now(),
        owner: OWNERS.of(queue as usize, local.tid.get()),
        ran: Ran::NotYet,
    };
    waiting(queue as usize).fetch_add(1, Ordering::Relaxed);
    {
        let _call = Under(&recording);
        local.set_mode(Mode::Quiet);
        call(&raw mut turn);
    }
    match turn.ran {
        Ran::Here => {}
        Ran::Elsewhere => observe(&turn, turn.owner, Ticks::now()),
        Ran::NotYet => {
            waiting(queue as usize).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

macro_rules! with_block {
    ($($name:ident => $real:ident;)+) => {
        $(
            unsafe extern "C-unwind" fn $name(queue: Queue, block: *mut Block, site: Site) {
                let Some(real) = $real.get() else { return };
                let (Some(recording), false) = (ready(), block.is_null()) else {
                    // SAFETY: the caller's arguments.
                    return unsafe { real(queue, block) };
                };
                // SAFETY: the caller's block.
                let (isa, flags) = unsafe { ((*block).isa, (*block).flags) };
                let job = Job::Block(block);
                let call = |turn: *mut Turn| {
                    let mut ours = Ours {
                        block: Block {
                            isa,
                            // Nothing of it is copied, so nothing has to be told how.
                            flags: flags & !COPY_AND_MORE,
                            reserved: 0,
                            invoke: run_block,
                            descriptor: &raw const DESCRIPTOR,
                        },
                        turn,
                    };
                    // SAFETY: the caller's queue, and a block that lives as long as the call.
                    unsafe { real(queue, &raw mut ours.block) };
                };
                // SAFETY: the caller's arguments.
                unsafe { around(recording, queue, job, site, call) };
            }
        )+
    };
}

/// Flags of a block that say that copying it takes functions, and that it has a signature.
const COPY_AND_MORE: i32 = 1 << 25 | 1 << 30 | 1 << 31 | 0xffff;

with_block! {
    sync => SYNC;
    barrier_sync => BARRIER_SYNC;
    and_wait => AND_WAIT;
    barrier_and_wait => BARRIER_AND_WAIT;
}

macro_rules! with_function {
    ($($name:ident => $real:ident;)+) => {
        $(
            unsafe extern "C-unwind" fn $name(
                queue: Queue,
                context: *mut c_void,
                work: Work,
                site: Site,
            ) {
                let Some(real) = $real.get() else { return };
                let Some(recording) = ready() else {
                    // SAFETY: the caller's arguments.
                    return unsafe { real(queue, context, work) };
                };
                // SAFETY: the caller's queue, and a context that lives as long as the call.
                let call = |turn: *mut Turn| unsafe { real(queue, turn.cast(), Some(run_function)) };
                // SAFETY: the caller's arguments.
                unsafe { around(recording, queue, Job::Function(context, work), site, call) };
            }
        )+
    };
}

with_function! {
    sync_f => SYNC_F;
    barrier_sync_f => BARRIER_SYNC_F;
    and_wait_f => AND_WAIT_F;
    barrier_and_wait_f => BARRIER_AND_WAIT_F;
}

/// `DISPATCH_TIME_NOW`: does not wait.
const NOW: u64 = 0;

/// Tries without waiting; if that fails and the caller would wait, records the wait.
///
/// # Safety
/// `real` takes `object`.
unsafe fn wait(
    real: unsafe extern "C-unwind" fn(*mut c_void, u64) -> isize,
    object: *mut c_void,
    limit: u64,
    site: Site,
) -> isize {
    let Some(recording) = ready() else {
        // SAFETY: the caller's arguments.
        return unsafe { real(object, limit) };
    };
    let (local, _) = recording;
    let _call = Under(&recording);
    local.set_mode(Mode::Quiet);
    // SAFETY: the caller's object.
    let status = unsafe { real(object, NOW) };
    if status == 0 || limit == NOW {
        local.set_mode(Mode::Ready);
        if status == 0 {
            acquired(recording, WaitKind::Dispatch, site);
        }
        return status;
    }
    let start = Ticks::now();
    // SAFETY: the caller's arguments.
    let status = unsafe { real(object, limit) };
    local.set_mode(Mode::Ready);
    let waiting = Waiting {
        kind: WaitKind::Dispatch,
        lock: object as usize,
        site,
        owner: None,
    };
    waits::waited(recording, waiting, start, status != 0);
    status
}

unsafe extern "C-unwind" fn semaphore_wait(object: *mut c_void, limit: u64, site: Site) -> isize {
    match SEMAPHORE_WAIT.get() {
        // SAFETY: the caller's arguments.
        Some(real) => unsafe { wait(real, object, limit, site) },
        None => -1,
    }
}

unsafe extern "C-unwind" fn group_wait(object: *mut c_void, limit: u64, site: Site) -> isize {
    match GROUP_WAIT.get() {
        // SAFETY: the caller's arguments.
        Some(real) => unsafe { wait(real, object, limit, site) },
        None => -1,
    }
}

static SIGNALS: Call = Call::new("dispatch_semaphore_signal", Api::Libc, CallKind::Lock);

unsafe extern "C-unwind" fn semaphore_signal(object: *mut c_void, site: Site) -> isize {
    let Some(real) = SEMAPHORE_SIGNAL.get() else {
        return 0;
    };
    let Some(recording) = ready() else {
        // SAFETY: the caller's argument.
        return unsafe { real(object) };
    };
    // The real function says whether it woke somebody, but by then that thread may be far: the
    // time is taken before.
    let at = Ticks::now();
    // SAFETY: the caller's argument.
    let woken = scope::quietly(|| unsafe { real(object) });
    if woken != 0 {
        waits::woke(recording, WaitKind::Dispatch, object as usize, site, at);
    } else {
        scope::count(&SIGNALS, false);
    }
    woken
}
