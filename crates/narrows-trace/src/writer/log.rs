//! The log: names, modules, notes, ended threads. Appended by any thread without a lock.
//!
//! A record's first word is claimed with its length before anything else is written, so a thread
//! that dies in the middle leaves a record that can be stepped over, never a hole.

use super::file::{Folder, GrowingFile};
use crate::layout::{HEAD_BYTES, LOG_COMMITTED};
use core::sync::atomic::{AtomicU64, Ordering};

/// Least and greatest size of the log.
pub(super) const LOG_BYTES: (u64, u64) = (64 << 10, 64 << 20);
/// Longest byte string in a record.
const LONGEST: usize = 32 << 10;

pub(super) struct Log {
    pub(super) file: GrowingFile,
    /// All bytes before it are claimed.
    tail: AtomicU64,
    limit: AtomicU64,
}

/// A claimed record.
pub(super) struct Record {
    word0: &'static AtomicU64,
    file: &'static GrowingFile,
    next: u64,
    end: u64,
    tag: u8,
    bytes: u64,
}

/// The part of a byte string that is recorded.
pub(super) fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..LONGEST).unwrap_or(bytes)
}

/// Words that a byte string takes.
pub(super) fn words_of(bytes: &[u8]) -> u64 {
    cut(bytes).len().div_ceil(8) as u64
}

impl Log {
    pub(super) fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of records at most.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Ended threads stop here, so that names and modules always find room.
    pub(super) fn limit_of_ended(&self) -> u64 {
        self.limit() / 4 * 3
    }

    /// Bytes claimed.
    pub(super) fn bytes(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }

    /// Claims a record of `words` words after the first. `None`: the log is full.
    pub(super) fn claim(
        &'static self,
        folder: &Folder,
        tag: u8,
        words: u64,
        limit: u64,
    ) -> Option<Record> {
        let bytes = 8 + 8 * words;
        let mut at = self.tail.load(Ordering::Acquire);
        loop {
            let end = at.checked_add(bytes)?;
            let start = HEAD_BYTES as u64 + at;
            if end > limit || !self.file.ensure(folder, start + bytes) {
                return None;
            }
            let word0 = self.file.at::<AtomicU64>(start)?;
            match word0.compare_exchange(0, bytes, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.tail.fetch_max(end, Ordering::AcqRel);
                    let next = start + 8;
                    let file = &self.file;
                    return Some(Record {
                        word0,
                        file,
                        next,
                        end: start + bytes,
                        tag,
                        bytes,
                    });
                }
                Err(claimed) => {
                    at += claimed & u64::from(u32::MAX);
                    self.tail.fetch_max(at, Ordering::AcqRel);
                }
            }
        }
    }
}

impl Record {
    /// Appends a word; words past the claimed length are left out.
    pub(super) fn word(&mut self, value: u64) {
        if self.next < self.end
            && let Some(word) = self.file.at::<AtomicU64>(self.next)
        {
            word.store(value, Ordering::Relaxed);
            self.next += 8;
        }
    }

    /// Appends bytes, filled up with zeros to whole words.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for part in cut(bytes).chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(part) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
    }

    /// Makes the record count.
    pub(super) fn commit(self) {
        let word0 = self.bytes | u64::from(self.tag) << 32 | LOG_COMMITTED;
        self.word0.store(word0, Ordering::Release);
    }
}
