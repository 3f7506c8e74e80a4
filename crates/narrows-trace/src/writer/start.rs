//! The beginning of a process's recording, and of a thread's.

use super::file::{PATH_BYTES, Path};
use super::log::LOG_BYTES;
use super::shared::{Kept, MAX_THREADS, Region, Shared};
use super::thread::ThreadState;
use super::types::{Options, WriterError};
use crate::layout::{CHUNK_BYTES, COMBINED, CallStat, FileKind, SiteStat, log_tag};
use crate::sys::{self, Errno};
use crate::{CallId, Loss, Ticks, Tid};
use core::ffi::CStr;
use core::sync::atomic::Ordering;

/// Bytes of call statistics at most.
const CALLS_BYTES: usize = 64 << 20;
/// Bytes of wait statistics at most.
const SITES_BYTES: usize = 64 << 20;
/// Folders tried for one process id.
const FOLDERS: u32 = 100_000;
/// Longest trace folder: the process's folder and file names have to fit behind it.
const LONGEST_FOLDER: usize = PATH_BYTES - 32;

fn os(call: &'static str, what: &'static str) -> impl Fn(Errno) -> WriterError {
    move |Errno(errno)| WriterError::Os { call, what, errno }
}

/// Makes the folder, the files and the shared memory.
pub(super) fn create(
    folder: &CStr,
    options: &Options,
    parent: Option<&Kept>,
) -> Result<&'static Region, WriterError> {
    let name = folder.to_bytes();
    if name.first() != Some(&b'/') || name.len() > LONGEST_FOLDER {
        return Err(WriterError::BadFolder {
            limit: LONGEST_FOLDER,
        });
    }
    let region = map_region()?;
    let made = make_folder(region, name).and_then(|()| map_files(region, options));
    if let Err(error) = made {
        // SAFETY: nobody else has seen the region or its maps.
        unsafe { let_go(region) };
        // SAFETY: as above; the reference is not used again.
        unsafe {
            sys::unmap(
                core::ptr::from_ref(region).cast_mut().cast(),
                size_of::<Region>(),
            )
        };
        return Err(error);
    }
    begin(&region.shared, parent);
    Ok(region)
}

fn map_region() -> Result<&'static Region, WriterError> {
    let base =
        sys::map_private(size_of::<Region>()).map_err(os("mmap", "the recorder's memory"))?;
    let wiped = base.wrapping_add(core::mem::offset_of!(Region, shared));
    let wipes = sys::wipe_on_fork(wiped, size_of::<Shared>());
    // SAFETY: page-aligned zeros are a valid region; it is never unmapped once it is returned.
    let region = unsafe { &*base.cast::<Region>() };
    region
        .shared
        .wipes
        .store(u32::from(wipes), Ordering::Relaxed);
    region
        .shared
        .pid
        .store(sys::process_id(), Ordering::Relaxed);
    Ok(region)
}

/// Finds the first free number for this process id: after `exec` it has a folder already.
fn make_folder(region: &Region, trace: &[u8]) -> Result<(), WriterError> {
    let pid = sys::process_id();
    let mut path = Path::new();
    let (mut pid_digits, mut number_digits) = ([0; 10], [0; 10]);
    let pid_digits = digits(pid, &mut pid_digits);
    for number in 0..FOLDERS {
        let number_digits = digits(number, &mut number_digits);
        let parts = [trace, b"/p", pid_digits, b".", number_digits];
        let path = path.set(&parts).ok_or(WriterError::BadFolder {
            limit: LONGEST_FOLDER,
        })?;
        if sys::make_folder(path).map_err(os("mkdir", "the process's folder"))? {
            region.shared.folder.store(path);
            region.kept.pid.store(pid, Ordering::Relaxed);
            region.kept.number.store(number, Ordering::Relaxed);
            return Ok(());
        }
    }
    Err(os("mkdir", "the process's folder")(Errno(libc::EEXIST)))
}

/// Decimal digits without the formatting machinery.
fn digits(mut number: u32, buffer: &mut [u8; 10]) -> &[u8] {
    let mut first = buffer.len();
    for place in buffer.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        first -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.get(first..).unwrap_or(&[])
}

fn map_files(region: &'static Region, options: &Options) -> Result<(), WriterError> {
    let shared = &region.shared;
    let instance = sys::monotonic_ns() ^ u64::from(sys::process_id()) << 40;
    let threads = options.max_threads.clamp(1, MAX_THREADS as u32 - 1) + 1;
    let chunks = options.timeline_bytes.div_ceil(CHUNK_BYTES as u64);
    let chunks = u32::try_from(chunks).unwrap_or(u32::MAX).min(1 << 24);
    let calls = (CALLS_BYTES / size_of::<CallStat>()) as u32;
    let sites = (SITES_BYTES / size_of::<SiteStat>()) as u32;
    let log_bytes = options.log_bytes.clamp(LOG_BYTES.0, LOG_BYTES.1);
    let log_units = (log_bytes / FileKind::Log.unit() as u64) as u32;
    shared.log.set_limit(log_bytes);
    shared.threads.set_capacity(threads);
    shared.calls.set_capacity(calls);
    shared.sites.set_capacity(sites);
    shared.timeline.set_capacity(chunks);
    let files = [
        (&shared.log.file, FileKind::Log, log_units),
        (&shared.threads.file, FileKind::Threads, threads),
        (&shared.calls.file, FileKind::Calls, calls),
        (&shared.sites.file, FileKind::Sites, sites),
        (&shared.timeline.file, FileKind::Timeline, chunks),
    ];
    for ((file, kind, units), map) in files.into_iter().zip(&region.kept.maps) {
        let (base, length) = file
            .create(&shared.folder, kind, units, instance)
            .map_err(os("open, reserve or mmap", kind.name()))?;
        map.1.store(length as u64, Ordering::Relaxed);
        map.0.store(base, Ordering::Relaxed);
    }
    if let Some(process) = shared.process() {
        let bytes = u64::from(chunks) * CHUNK_BYTES as u64;
        process.timeline_bytes.store(bytes, Ordering::Relaxed);
    }
    Ok(())
}

/// In a forked child: forgets all that the parent's threads held, then unmaps the files.
pub(super) fn let_go_in_child(region: &'static Region) {
    region.shared.forget_threads();
    // SAFETY: this is not the process that made the region; the child has one thread, and every
    // handle it inherited was wiped by the kernel or just forgotten.
    unsafe { let_go(region) };
}

/// Unmaps the files.
///
/// # Safety
/// Nothing in this process uses them any more.
pub(super) unsafe fn let_go(region: &Region) {
    region.shared.alive.store(0, Ordering::Relaxed);
    for (base, length) in &region.kept.maps {
        let base = base.swap(core::ptr::null_mut(), Ordering::Relaxed);
        if !base.is_null() {
            // SAFETY: the caller says that nobody uses the mapping.
            unsafe { sys::unmap(base, length.load(Ordering::Relaxed) as usize) };
        }
    }
}

/// First records.
fn begin(shared: &'static Shared, parent: Option<&Kept>) {
    let source = sys::choose_ticks();
    if let Some(process) = shared.process() {
        process.parent.store(sys::parent_id(), Ordering::Relaxed);
        process.tick_source.store(source as u32, Ordering::Relaxed);
        process
            .wipes
            .store(shared.wipes.load(Ordering::Relaxed), Ordering::Relaxed);
        let rate = match source {
            sys::TickSource::Counter => sys::stated_tick_rate().unwrap_or(0),
            sys::TickSource::Monotonic => 1_000_000_000,
        };
        process.tick_rate.store(rate, Ordering::Relaxed);
        process.wall_ns.store(sys::wall_ns(), Ordering::Relaxed);
    }
    shared.pair_now();
    shared
        .next_call
        .store(u32::from(CallId::FIRST.0), Ordering::Relaxed);
    shared.next_thread.store(COMBINED + 1, Ordering::Relaxed);
    if let Some((index, slot)) = shared.threads.take(&shared.folder)
        && let Some(state) = shared.state(index)
    {
        state.begin(shared, slot, index, COMBINED);
        slot.unit.owner.store(COMBINED, Ordering::Release);
    }
    shared.alive.store(1, Ordering::Release);
    describe(shared, parent);
    shared.pair_now();
}

/// What is known of the process.
fn describe(shared: &'static Shared, parent: Option<&Kept>) {
    let mut buffer = [0; 8192];
    bytes(shared, log_tag::PROGRAM, sys::program_path(&mut buffer));
    bytes(shared, log_tag::ARGUMENTS, sys::command_line(&mut buffer));
    bytes(shared, log_tag::STAT, sys::process_stat(&mut buffer));
    if let Some(parent) = parent
        && let Some(mut record) = shared.record_or_lose(log_tag::FORKED_FROM, 1)
    {
        let number = u64::from(parent.number.load(Ordering::Relaxed));
        record.word(u64::from(parent.pid.load(Ordering::Relaxed)) | number << 32);
        record.commit();
    }
}

/// A record of one byte string; empty ones are left out.
fn bytes(shared: &'static Shared, tag: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if let Some(mut record) = shared.record_or_lose(tag, 1 + super::log::words_of(bytes)) {
        record.word(super::log::cut(bytes).len() as u64);
        record.bytes(bytes);
        record.commit();
    }
}

/// Gives the calling thread a slot. `None`: there is none.
pub(super) fn thread(shared: &'static Shared, tid: Tid) -> Option<&'static ThreadState> {
    let (index, slot) = shared.threads.take(&shared.folder)?;
    let Some(state) = shared.state(index) else {
        shared.threads.give(slot);
        shared.lost(Loss::NoThreadSlot, 1);
        return None;
    };
    let number = shared.next_thread.fetch_add(1, Ordering::Relaxed);
    slot.tid.store(tid.0, Ordering::Relaxed);
    slot.start.store(Ticks::now().0, Ordering::Relaxed);
    state.begin(shared, slot, index, number);
    slot.unit.owner.store(number, Ordering::Release);
    shared.publish(tid, index);
    if let Some(process) = shared.process() {
        process.last_thread.fetch_max(number, Ordering::Relaxed);
    }
    Some(state)
}
