//! A page in which workers count what they have completed while another process looks on.
//!
//! Layout, also written by programs in other languages, in the machine's byte order: at byte 0 the
//! magic number (u32), at byte 64 the stop word (u32; not 0: stop), from byte 128 on one counter
//! (u64) every 64 bytes. Each slot has one writer and a cache line of its own.

use crate::Error;
use crate::page::map_file;
use memmap2::MmapRaw;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MAGIC: u32 = u32::from_le_bytes(*b"nCt1");
/// Bytes of a cache line: distance of two words that are written by two threads.
const LINE: usize = 64;
/// Lines before the first counter: the magic number, the stop word.
const HEAD: usize = 2;

/// Counters in a mapped file.
pub struct Counters {
    map: MmapRaw,
    slots: usize,
}

impl Counters {
    /// Makes the file at `path` (replacing what is there), all counters 0.
    pub fn create(path: &Path, slots: usize) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let counters = Self::map(path, &options, Some(slots))?;
        // SAFETY: `word32` holds for line 0 of any mapping that `map` made.
        let magic = unsafe { counters.word32(0) };
        magic.store(MAGIC, Ordering::Release);
        Ok(counters)
    }

    /// Maps a file that [`Counters::create`] has made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let counters = Self::map(path, &options, None)?;
        // SAFETY: `word32` holds for line 0 of any mapping that `map` made.
        let magic = unsafe { counters.word32(0) };
        if magic.load(Ordering::Acquire) == MAGIC {
            Ok(counters)
        } else {
            Err(foreign(path))
        }
    }

    fn map(path: &Path, options: &OpenOptions, slots: Option<usize>) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: path.display().to_string(),
            source,
        };
        let file = options.open(path).map_err(failed)?;
        if let Some(slots) = slots {
            let bytes = (HEAD + slots) * LINE;
            file.set_len(bytes as u64).map_err(failed)?;
        }
        let bytes = file.metadata().map_err(failed)?.len() as usize;
        let slots = (bytes / LINE).saturating_sub(HEAD);
        if slots == 0 {
            return Err(foreign(path));
        }
        let map = map_file(&file, path, bytes)?;
        Ok(Self { map, slots })
    }

    /// Number of counters.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Sets or clears the stop word.
    pub fn set_stop(&self, stop: bool) {
        // SAFETY: line 1 is inside the mapping: it has at least one slot behind it.
        let word = unsafe { self.word32(1) };
        word.store(u32::from(stop), Ordering::Release);
    }

    /// Whether workers have to stop.
    pub fn stopped(&self) -> bool {
        // SAFETY: line 1 is inside the mapping: it has at least one slot behind it.
        let word = unsafe { self.word32(1) };
        word.load(Ordering::Acquire) != 0
    }

    /// What slot `index` has counted; 0 for a slot that is not there.
    pub fn get(&self, index: usize) -> u64 {
        self.slot(index).map_or(0, |c| c.load(Ordering::Acquire))
    }

    /// Sets slot `index`, which only its worker does; nothing for a slot that is not there.
    pub fn set(&self, index: usize, count: u64) {
        if let Some(counter) = self.slot(index) {
            counter.store(count, Ordering::Release);
        }
    }

    fn slot(&self, index: usize) -> Option<&AtomicU64> {
        if index >= self.slots {
            return None;
        }
        // SAFETY: HEAD + index lines are inside the mapping, since index < slots.
        let place = unsafe { self.map.as_ptr().add((HEAD + index) * LINE) };
        // SAFETY: the place is 64-byte aligned in a page-aligned mapping that lives as long as
        // `self`; all bit patterns are valid and concurrent writers are allowed.
        Some(unsafe { &*place.cast::<AtomicU64>() })
    }

    /// # Safety
    /// Line `line` is inside the mapping.
    unsafe fn word32(&self, line: usize) -> &AtomicU32 {
        // SAFETY: the caller says that the line is inside the mapping.
        let place = unsafe { self.map.as_ptr().add(line * LINE) };
        // SAFETY: as for slots: aligned, alive, any bit pattern, any number of writers.
        unsafe { &*place.cast::<AtomicU32>() }
    }
}

fn foreign(path: &Path) -> Error {
    Error::Foreign {
        path: path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_see_the_same_counters_and_the_stop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters");
        let ours = Counters::create(&path, 5).unwrap();
        let theirs = Counters::open(&path).unwrap();
        assert_eq!((ours.slots(), theirs.slots()), (5, 5));
        (0..5).for_each(|i| theirs.set(i, 10 + i as u64));
        assert_eq!((0..5).map(|i| ours.get(i)).sum::<u64>(), 60);
        assert!(!theirs.stopped());
        ours.set_stop(true);
        assert!(theirs.stopped());
        theirs.set(5, 1);
        assert_eq!(ours.get(5), 0);
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters");
        let counters = Counters::create(&path, 3).unwrap();
        counters.set_stop(true);
        counters.set(2, 77);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(&bytes[..4], b"nCt1");
        assert_eq!(bytes[64..68], 1u32.to_ne_bytes());
        assert_eq!(bytes[256..264], 77u64.to_ne_bytes());
        assert_eq!(bytes.len(), 320);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other");
        std::fs::write(&path, [3u8; 4096]).unwrap();
        assert!(matches!(Counters::open(&path), Err(Error::Foreign { .. })));
        std::fs::write(&path, [0u8; 9]).unwrap();
        assert!(matches!(Counters::open(&path), Err(Error::Foreign { .. })));
    }
}
