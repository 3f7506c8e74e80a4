//! A mapped file that grows: room on the disk is made before a byte of the mapping is touched, so
//! that a full disk is an error here and not a signal in the host.
//!
//! No descriptor stays open (hosts close descriptors that are not theirs, and count them): the
//! file is opened by its path for each growth.

use crate::layout::{FileKind, HEAD_BYTES, Head, MAGIC, UnitHead, VERSION};
use crate::sys::{self, Errno};
use core::ffi::CStr;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Longest folder name, its end mark among the bytes.
pub(super) const PATH_BYTES: usize = 1024;
/// Attempts to get a turn at growing a file before giving up: some tenths of a second, in which a
/// busy disk makes room. Between the first the thread yields, between the others it sleeps a little.
const PATIENCE: u32 = 4000;
const YIELDS: u32 = 100;
/// A file with less room than this is grown before somebody needs it.
const AHEAD: u64 = 32 << 10;
/// Smallest and largest growth.
const GROWTH: (u64, u64) = (128 << 10, 4 << 20);

/// Folder of the process, as bytes that a forked child sees as zeros.
pub(super) struct Folder([AtomicU8; PATH_BYTES]);

/// A path on the stack.
pub(super) struct Path([u8; PATH_BYTES + 16]);

impl Path {
    pub(super) fn new() -> Self {
        Self([0; PATH_BYTES + 16])
    }

    /// Puts `parts` together; `None` when they do not fit.
    pub(super) fn set(&mut self, parts: &[&[u8]]) -> Option<&CStr> {
        let mut used = 0;
        for part in parts {
            self.0
                .get_mut(used..used + part.len())?
                .copy_from_slice(part);
            used += part.len();
        }
        *self.0.get_mut(used)? = 0;
        CStr::from_bytes_until_nul(&self.0).ok()
    }
}

impl Folder {
    pub(super) fn store(&self, path: &CStr) {
        for (place, byte) in self.0.iter().zip(path.to_bytes_with_nul()) {
            place.store(*byte, Ordering::Relaxed);
        }
    }

    /// Calls `action` with the path of one of the folder's files.
    fn with_file<T>(&self, kind: FileKind, action: impl FnOnce(&CStr) -> T) -> Option<T> {
        let mut folder = [0_u8; PATH_BYTES];
        let mut length = 0;
        for (byte, place) in folder.iter_mut().zip(&self.0) {
            *byte = place.load(Ordering::Relaxed);
            if *byte == 0 {
                break;
            }
            length += 1;
        }
        let mut path = Path::new();
        let path = path.set(&[folder.get(..length)?, b"/", kind.name().as_bytes()])?;
        Some(action(path))
    }
}

/// One mapped file.
pub(super) struct GrowingFile {
    base: AtomicPtr<u8>,
    /// Bytes mapped: the file never grows past them.
    limit: AtomicU64,
    /// Bytes that may be touched.
    grown: AtomicU64,
    kind: AtomicU32,
    /// 1: a thread is growing the file.
    turn: AtomicU32,
}

impl GrowingFile {
    /// Makes and maps the file in a new folder. `units` is its largest number of units.
    pub(super) fn create(
        &self,
        folder: &Folder,
        kind: FileKind,
        units: u32,
        instance: u64,
    ) -> Result<(*mut u8, usize), Errno> {
        let limit = HEAD_BYTES as u64 + u64::from(units) * kind.unit() as u64;
        let limit = limit.next_multiple_of(HEAD_BYTES as u64);
        let file = folder
            .with_file(kind, sys::create_file)
            .unwrap_or(Err(Errno(libc::ENAMETOOLONG)))?;
        sys::reserve(&file, 0, HEAD_BYTES as u64)?;
        let base = sys::map_file(&file, limit as usize)?;
        self.kind.store(kind as u32, Ordering::Relaxed);
        self.limit.store(limit, Ordering::Relaxed);
        self.grown.store(HEAD_BYTES as u64, Ordering::Relaxed);
        self.base.store(base, Ordering::Release);
        if let Some(head) = self.head() {
            head.version.store(VERSION, Ordering::Relaxed);
            head.kind.store(kind as u32, Ordering::Relaxed);
            head.pid.store(sys::process_id(), Ordering::Relaxed);
            head.unit.store(kind.unit() as u32, Ordering::Relaxed);
            head.capacity.store(units, Ordering::Relaxed);
            head.instance.store(instance, Ordering::Relaxed);
            head.magic
                .store(u64::from_le_bytes(MAGIC), Ordering::Release);
        }
        Ok((base, limit as usize))
    }

    /// The file's head; `None` before creation and in a forked child.
    pub(super) fn head(&self) -> Option<&'static Head> {
        self.at::<Head>(0)
    }

    /// Where the mapping begins; 0: nowhere.
    pub(super) fn base_address(&self) -> usize {
        self.base.load(Ordering::Relaxed) as usize
    }

    /// A structure at `offset`, if all of it may be touched.
    pub(super) fn at<T>(&self, offset: u64) -> Option<&'static T> {
        let base = self.base.load(Ordering::Acquire);
        let end = offset.checked_add(size_of::<T>() as u64)?;
        if base.is_null() || end > self.grown.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the mapping is at least `grown` bytes long.
        let place = unsafe { base.add(offset as usize) }.cast::<T>();
        if !place.is_aligned() {
            return None;
        }
        // SAFETY: aligned, inside the mapping, room on the disk is made; every structure of
        // `layout` is valid for any bytes and consists of atomics; never unmapped while this
        // process is the writer's own.
        Some(unsafe { &*place })
    }

    /// True when the file could not grow any more.
    pub(super) fn has_stopped(&self) -> bool {
        self.head()
            .is_none_or(|head| head.stopped.load(Ordering::Relaxed) != 0)
    }

    /// Makes sure that bytes up to `end` may be touched.
    pub(super) fn ensure(&self, folder: &Folder, end: u64) -> bool {
        for attempt in 0..PATIENCE {
            if self.grown.load(Ordering::Acquire) >= end {
                return true;
            }
            if end > self.limit.load(Ordering::Relaxed) || self.has_stopped() {
                return false;
            }
            if self.turn.swap(1, Ordering::Acquire) == 0 {
                let result = self.grow(folder, end);
                self.turn.store(0, Ordering::Release);
                return result;
            }
            if attempt < YIELDS {
                sys::yield_now();
            } else {
                sys::nap();
            }
        }
        false
    }

    /// Grows the file if bytes up to `end` leave little room and nobody else is growing it: others
    /// then find room and need not wait for the disk.
    fn look_ahead(&self, folder: &Folder, end: u64) {
        let near = (end + AHEAD).min(self.limit.load(Ordering::Relaxed));
        if self.grown.load(Ordering::Relaxed) < near
            && !self.has_stopped()
            && self.turn.swap(1, Ordering::Acquire) == 0
        {
            self.grow(folder, near);
            self.turn.store(0, Ordering::Release);
        }
    }

    /// Grows by the file's own size, within limits. Only one thread at a time comes here: zeros
    /// written by the way of old file systems must not meet bytes of other threads.
    fn grow(&self, folder: &Folder, end: u64) -> bool {
        let grown = self.grown.load(Ordering::Acquire);
        if grown >= end {
            return true;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let target = (grown + grown.clamp(GROWTH.0, GROWTH.1))
            .max(end)
            .min(limit);
        let kind = self.kind.load(Ordering::Relaxed);
        let Some(kind) = FileKind::ALL
            .into_iter()
            .find(|known| *known as u32 == kind)
        else {
            return false;
        };
        let mut result = self.reserve(folder, kind, grown, target);
        let mut reached = target;
        if result.is_err() && end < target {
            result = self.reserve(folder, kind, grown, end);
            reached = end;
        }
        match result {
            Ok(()) => self.grown.store(reached, Ordering::Release),
            Err(Errno(number)) => {
                if let Some(head) = self.head() {
                    head.stopped.store(number as u32, Ordering::Relaxed);
                }
            }
        }
        result.is_ok()
    }

    fn reserve(&self, folder: &Folder, kind: FileKind, from: u64, to: u64) -> Result<(), Errno> {
        folder
            .with_file(kind, |path| {
                sys::reserve(&sys::open_file(path)?, from, to - from)
            })
            .unwrap_or(Err(Errno(libc::ENAMETOOLONG)))
    }
}

/// A structure that is handed out and given back.
pub(super) trait Unit: 'static {
    fn unit(&self) -> &UnitHead;
}

/// A file of equal units with a free list. Lock-free.
pub(super) struct Units<T: Unit> {
    pub(super) file: GrowingFile,
    /// Units handed out at least once.
    fresh: AtomicU32,
    capacity: AtomicU32,
    /// First free unit: `turns:32 index+1:32`; the turns keep a slow thread from taking a unit
    /// that was given and taken in between.
    free: AtomicU64,
    unit: PhantomData<T>,
}

impl<T: Unit> Units<T> {
    pub(super) fn set_capacity(&self, units: u32) {
        self.capacity.store(units, Ordering::Relaxed);
    }

    /// Units handed out so far, free ones among them.
    pub(super) fn used(&self) -> u32 {
        self.fresh.load(Ordering::Acquire)
    }

    pub(super) fn get(&self, index: u32) -> Option<&'static T> {
        self.file.at(Self::offset(index))
    }

    fn offset(index: u32) -> u64 {
        HEAD_BYTES as u64 + u64::from(index) * size_of::<T>() as u64
    }

    /// A unit of zeros. `None`: the file is full.
    pub(super) fn take(&self, folder: &Folder) -> Option<(u32, &'static T)> {
        if let Some(found) = self.take_freed() {
            return Some(found);
        }
        loop {
            let index = self.fresh.load(Ordering::Acquire);
            if index >= self.capacity.load(Ordering::Relaxed)
                || !self.file.ensure(folder, Self::offset(index + 1))
            {
                return None;
            }
            let taken =
                self.fresh
                    .compare_exchange(index, index + 1, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                if let Some(head) = self.file.head() {
                    head.used.fetch_max(index + 1, Ordering::Release);
                }
                self.file.look_ahead(folder, Self::offset(index + 1));
                return Some((index, self.get(index)?));
            }
        }
    }

    fn take_freed(&self) -> Option<(u32, &'static T)> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = (head as u32).checked_sub(1)?;
            let unit = self.get(index)?;
            let next = u64::from(unit.unit().next.load(Ordering::Relaxed));
            let turns = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(
                head,
                turns | next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some((index, unit)),
                Err(now) => head = now,
            }
        }
    }

    /// Takes back a unit that was cleared.
    pub(super) fn give(&self, unit: &'static T) {
        let base = self.file.base_address() + HEAD_BYTES;
        let distance = (core::ptr::from_ref(unit) as usize).wrapping_sub(base);
        let index = (distance / size_of::<T>()) as u32;
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            unit.unit().next.store(head as u32, Ordering::Relaxed);
            let turns = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(
                head,
                turns | u64::from(index + 1),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::time::Duration;

    fn folder(path: &std::path::Path) -> Folder {
        let folder = Folder([const { AtomicU8::new(0) }; PATH_BYTES]);
        folder.store(&CString::new(path.to_str().unwrap()).unwrap());
        folder
    }

    fn file() -> GrowingFile {
        GrowingFile {
            base: AtomicPtr::new(core::ptr::null_mut()),
            limit: AtomicU64::new(0),
            grown: AtomicU64::new(0),
            kind: AtomicU32::new(0),
            turn: AtomicU32::new(0),
        }
    }

    /// A disk that takes its time: the others wait for whoever grows the file.
    #[test]
    fn a_thread_waits_for_the_one_that_grows_the_file() {
        let here = tempfile::tempdir().unwrap();
        let (folder, file) = (folder(here.path()), file());
        file.create(&folder, FileKind::Calls, 1000, 1).unwrap();
        let end = file.grown.load(Ordering::Relaxed) + 1;
        file.turn.store(1, Ordering::Relaxed);
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| file.ensure(&folder, end));
            std::thread::sleep(Duration::from_millis(30));
            assert!(!waiting.is_finished());
            file.turn.store(0, Ordering::Release);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn there_is_room_before_it_is_needed() {
        let here = tempfile::tempdir().unwrap();
        let (folder, file) = (folder(here.path()), file());
        file.create(&folder, FileKind::Calls, 1000, 1).unwrap();
        assert!(file.ensure(&folder, HEAD_BYTES as u64 + 1));
        let grown = file.grown.load(Ordering::Relaxed);
        file.look_ahead(&folder, grown - AHEAD);
        assert_eq!(file.grown.load(Ordering::Relaxed), grown, "room enough");
        file.turn.store(1, Ordering::Relaxed);
        file.look_ahead(&folder, grown);
        assert_eq!(
            file.grown.load(Ordering::Relaxed),
            grown,
            "another one's turn"
        );
        file.turn.store(0, Ordering::Relaxed);
        file.look_ahead(&folder, grown);
        assert!(file.grown.load(Ordering::Relaxed) >= grown + AHEAD);
        // At the end of the file there is nothing to look ahead to.
        let limit = file.limit.load(Ordering::Relaxed);
        assert!(file.ensure(&folder, limit));
        file.look_ahead(&folder, limit);
        assert_eq!(file.grown.load(Ordering::Relaxed), limit);
        assert!(!file.has_stopped());
    }
}
