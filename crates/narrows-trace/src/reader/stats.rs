//! What a thread's exact numbers look like to a reader, and how they are decoded.

use super::bytes::Bytes;
use crate::hist::{BUCKETS, bucket_end, bucket_start};
use crate::layout::{self, MANY_LOCKS, OWNERS};
use crate::{CallId, CodeAddr, LockAddr, Tid, WaitKind};
use core::mem::offset_of;
use std::collections::BTreeMap;

/// Counts by length in ticks; only buckets that are not empty take memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket and count, ascending.
    counts: Vec<(u16, u64)>,
}

impl Histogram {
    /// From buckets in any order; numbers of buckets that do not exist are left out.
    pub(super) fn from_buckets(buckets: impl Iterator<Item = (usize, u64)>) -> Self {
        let mut sums = BTreeMap::new();
        for (bucket, count) in buckets.filter(|(bucket, count)| *bucket < BUCKETS && *count > 0) {
            let sum: &mut u64 = sums.entry(bucket as u16).or_default();
            *sum = sum.saturating_add(count);
        }
        Self {
            counts: sums.into_iter().collect(),
        }
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Bucket number (see [`crate::hist`]) and count, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.counts
            .iter()
            .map(|(bucket, count)| (usize::from(*bucket), *count))
    }

    /// The value below which the share `q` of all values lies, in ticks: the middle of its
    /// bucket, so at most 3 % off. `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let wanted = (self.count() as f64 * q.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        for (bucket, count) in self.buckets() {
            seen = seen.saturating_add(count);
            if seen >= wanted {
                return Some((bucket_start(bucket) + bucket_end(bucket)) / 2);
            }
        }
        None
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        *self = Self::from_buckets(self.buckets().chain(other.buckets()));
    }
}

/// Count, sum and extremes of lengths of time, in ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Values.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// Sum in ticks.
    pub ticks: u64,
    /// Least, in ticks; `None`: no value, or not kept.
    pub shortest: Option<u64>,
    /// Greatest, in ticks; `None`: no value.
    pub longest: Option<u64>,
    /// Distribution. Its count may fall behind `count` in a running trace.
    pub histogram: Histogram,
}

impl Tally {
    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.failed = self.failed.saturating_add(other.failed);
        self.ticks = self.ticks.saturating_add(other.ticks);
        self.shortest = match (self.shortest, other.shortest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.longest = self.longest.max(other.longest);
        self.histogram.merge(&other.histogram);
    }

    /// Adds the ticks of the last value if they were counted but not yet added (format version 1).
    pub(super) fn settle(&mut self, ticks: u64) {
        if self.histogram.count() < self.count {
            let last = core::iter::once((crate::hist::bucket_of(ticks), 1));
            self.ticks = self.ticks.saturating_add(ticks);
            self.shortest = Some(self.shortest.map_or(ticks, |shortest| shortest.min(ticks)));
            self.longest = self.longest.max(Some(ticks));
            self.histogram.merge(&Histogram::from_buckets(last));
        }
    }

    /// `words`: count, failed, ticks, shortest inverted, longest.
    fn decode(words: [u64; 5], histogram: Histogram) -> Self {
        let [count, failed, ticks, shortest, longest] = words;
        Self {
            count,
            failed,
            ticks,
            shortest: (shortest != 0).then_some(!shortest),
            longest: (shortest != 0).then_some(longest),
            histogram,
        }
    }
}

/// One call of one thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Calls with clocks.
    pub timed: Tally,
    /// Calls without clocks; those that failed are in `timed.failed`.
    pub untimed: u64,
}

impl CallStats {
    /// All calls.
    pub fn count(&self) -> u64 {
        self.timed.count.saturating_add(self.untimed)
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        self.timed.merge(&other.timed);
        self.untimed = self.untimed.saturating_add(other.untimed);
    }
}

/// What contended waits are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteKey {
    /// What was waited on.
    pub kind: WaitKind,
    /// The call the thread was in; [`CallId::NONE`]: none.
    pub call: CallId,
    /// Return address of the lock function.
    pub site: CodeAddr,
    /// The lock; `None`: several locks of this site that found no place of their own.
    pub lock: Option<LockAddr>,
}

/// Waits for one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerStats {
    /// The owner; `None`: not known.
    pub tid: Option<Tid>,
    /// What the owner was in when the wait was recorded.
    pub call: CallId,
    /// Waits.
    pub count: u64,
    /// Their sum in ticks.
    pub ticks: u64,
}

/// Contended waits of one thread at one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteStats {
    /// The waits.
    pub waits: Tally,
    /// Owners by first appearance.
    pub owners: Vec<OwnerStats>,
    /// Waits for owners beyond those.
    pub other_owners: u64,
    /// Their sum in ticks.
    pub other_owner_ticks: u64,
}

/// Calls or waits that found no block of their own: sums only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spill {
    /// With clocks.
    pub count: u64,
    /// Failed.
    pub failed: u64,
    /// Sum in ticks.
    pub ticks: u64,
    /// Greatest, in ticks.
    pub longest: u64,
    /// Without clocks.
    pub untimed: u64,
}

impl Spill {
    /// From five words.
    pub(super) fn decode(bytes: Bytes<'_>, first: usize) -> Self {
        Self {
            count: bytes.word(first),
            failed: bytes.word(first + 1),
            ticks: bytes.word(first + 2),
            longest: bytes.word(first + 3),
            untimed: bytes.word(first + 4),
        }
    }
}

/// A block of the file `calls`: thread number, call, numbers. `None`: the block is free.
pub(super) fn call_block(block: Bytes<'_>) -> Option<(u32, CallId, CallStats)> {
    use layout::CallStat;
    let owner = block.u32(offset_of!(CallStat, unit) + offset_of!(layout::UnitHead, owner));
    let buckets = offset_of!(CallStat, buckets);
    let histogram = Histogram::from_buckets(
        (0..BUCKETS).map(|bucket| (bucket, block.u64(buckets + 8 * bucket))),
    );
    let words = [
        block.u64(offset_of!(CallStat, count)),
        block.u64(offset_of!(CallStat, failed)),
        block.u64(offset_of!(CallStat, ticks)),
        block.u64(offset_of!(CallStat, shortest)),
        block.u64(offset_of!(CallStat, longest)),
    ];
    let call = CallId(block.u32(offset_of!(CallStat, call)) as u16);
    let untimed = block.u64(offset_of!(CallStat, untimed));
    (owner != 0).then(|| {
        (
            owner,
            call,
            CallStats {
                timed: Tally::decode(words, histogram),
                untimed,
            },
        )
    })
}

fn lock(address: u64) -> Option<LockAddr> {
    (address != MANY_LOCKS).then_some(LockAddr(address))
}

fn owner(tid: u32, call: u32, count: u64, ticks: u64) -> OwnerStats {
    let tid = (tid != 0).then_some(Tid(tid));
    OwnerStats {
        tid,
        call: CallId(call as u16),
        count,
        ticks,
    }
}

/// A block of the file `sites`.
pub(super) fn site_block(block: Bytes<'_>) -> Option<(u32, SiteKey, SiteStats)> {
    use layout::SiteStat;
    let thread = block.u32(offset_of!(SiteStat, unit) + offset_of!(layout::UnitHead, owner));
    if thread == 0 {
        return None;
    }
    let buckets = offset_of!(SiteStat, buckets);
    let histogram = Histogram::from_buckets(
        (0..BUCKETS).map(|bucket| (bucket, u64::from(block.u32(buckets + 4 * bucket)))),
    );
    let words = [
        block.u64(offset_of!(SiteStat, count)),
        block.u64(offset_of!(SiteStat, failed)),
        block.u64(offset_of!(SiteStat, ticks)),
        block.u64(offset_of!(SiteStat, shortest)),
        block.u64(offset_of!(SiteStat, longest)),
    ];
    let owners = (0..OWNERS)
        .map(|index| offset_of!(SiteStat, owners) + index * size_of::<layout::Owner>())
        .map(|at| {
            owner(
                block.u32(at),
                block.u32(at + 4),
                block.u64(at + 8),
                block.u64(at + 16),
            )
        })
        .filter(|owner| owner.count > 0)
        .collect();
    let key = SiteKey {
        kind: WaitKind::from_number(block.u32(offset_of!(SiteStat, kind)) as u8),
        call: CallId(block.u32(offset_of!(SiteStat, call)) as u16),
        site: CodeAddr(block.u64(offset_of!(SiteStat, site))),
        lock: lock(block.u64(offset_of!(SiteStat, lock))),
    };
    let stats = SiteStats {
        waits: Tally::decode(words, histogram),
        owners,
        other_owners: block.u64(offset_of!(SiteStat, other_owners)),
        other_owner_ticks: block.u64(offset_of!(SiteStat, other_owner_ticks)),
    };
    Some((thread, key, stats))
}

fn packed_buckets(bytes: Bytes<'_>, first: usize, count: usize) -> Histogram {
    let last = first.saturating_add(count).min(bytes.0.len() / 8);
    Histogram::from_buckets((first..last).map(|index| {
        let word = bytes.word(index);
        ((word >> 54) as usize, word & ((1 << 54) - 1))
    }))
}

/// Five words of a tally.
fn tally_words(bytes: Bytes<'_>, first: usize) -> [u64; 5] {
    core::array::from_fn(|index| bytes.word(first + index))
}

/// A log record `ENDED_CALL`, its first word included.
pub(super) fn ended_call(record: Bytes<'_>) -> (u32, CallId, CallStats) {
    let head = record.word(1);
    let histogram = packed_buckets(record, 8, (head >> 48) as usize);
    let timed = Tally::decode(tally_words(record, 2), histogram);
    (
        head as u32,
        CallId((head >> 32) as u16),
        CallStats {
            timed,
            untimed: record.word(7),
        },
    )
}

/// A log record `ENDED_SITE`, its first word included.
pub(super) fn ended_site(record: Bytes<'_>) -> (u32, SiteKey, SiteStats) {
    let head = record.word(1);
    let counts = record.word(11);
    let owners = (counts as u32 as usize).min(OWNERS);
    let key = SiteKey {
        kind: WaitKind::from_number((head >> 32) as u8),
        call: CallId((head >> 48) as u16),
        site: CodeAddr(record.word(2)),
        lock: lock(record.word(3)),
    };
    let histogram = packed_buckets(record, 12 + 3 * owners, (counts >> 32) as usize);
    let stats = SiteStats {
        waits: Tally::decode(tally_words(record, 4), histogram),
        owners: (0..owners)
            .map(|index| 12 + 3 * index)
            .map(|at| {
                let who = record.word(at);
                owner(
                    who as u32,
                    (who >> 32) as u32,
                    record.word(at + 1),
                    record.word(at + 2),
                )
            })
            .collect(),
        other_owners: record.word(9),
        other_owner_ticks: record.word(10),
    };
    (head as u32, key, stats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_their_bucket() {
        let histogram = Histogram::from_buckets([(100, 90), (200, 9), (300, 1)].into_iter());
        let middle = |bucket| Some((bucket_start(bucket) + bucket_end(bucket)) / 2);
        assert_eq!(histogram.quantile(0.5), middle(100));
        assert_eq!(histogram.quantile(0.99), middle(200));
        assert_eq!(histogram.quantile(1.0), middle(300));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn merging_adds() {
        let mut one = Histogram::from_buckets([(1, 2), (5, 1)].into_iter());
        one.merge(&Histogram::from_buckets([(5, 3), (700, 9)].into_iter()));
        assert_eq!(one.buckets().collect::<Vec<_>>(), [(1, 2), (5, 4)]);
    }
}
