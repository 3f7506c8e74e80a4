//! The log of a process: names, modules, notes, ended threads.

use super::bytes::Bytes;
use super::stats::{self, CallStats, SiteKey, SiteStats, Spill};
use super::thread::{AcquireStats, CpuTotals, Thread};
use crate::clock_map::ClockPair;
use crate::layout::{HEAD_BYTES, LOG_COMMITTED, LOSSES, log_tag};
use crate::{Api, CallId, CallKind, CodeAddr, Nanos, Pid, ThreadNo, Ticks, Tid, WaitKind};
use std::collections::{BTreeMap, HashMap};

/// A registered call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallInfo {
    /// Its name.
    pub name: String,
    /// Its interface.
    pub api: Api,
    /// What it does.
    pub kind: CallKind,
}

/// A shared object, from its load to its unload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// When it was seen.
    pub loaded: Ticks,
    /// When it was gone; `None`: it stayed.
    pub unloaded: Option<Ticks>,
    /// Lowest mapped address.
    pub base: CodeAddr,
    /// One past the highest mapped address.
    pub end: CodeAddr,
    /// What to subtract from an address to get the file's own.
    pub bias: u64,
    /// Path; not necessarily UTF-8.
    pub path: Vec<u8>,
    /// Build id; `None`: the file has none.
    pub build_id: Option<Vec<u8>>,
}

/// All that the log says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) program: Option<Vec<u8>>,
    pub(super) arguments: Option<Vec<Vec<u8>>>,
    pub(super) kernel_start: Option<u64>,
    pub(super) forked_from: Option<(Pid, u32)>,
    pub(super) calls: BTreeMap<CallId, CallInfo>,
    pub(super) modules: Vec<ModuleInfo>,
    pub(super) notes: Vec<(String, String)>,
    pub(super) pairs: Vec<ClockPair>,
    pub(super) ended: BTreeMap<u32, Thread>,
    /// Records of a kind that this version does not know.
    pub(super) unknown: u64,
    /// Records that were claimed and never finished.
    pub(super) unfinished: u64,
    /// Offset at which the log stopped making sense.
    pub(super) damaged_at: Option<usize>,
    pending: HashMap<u32, Pending>,
}

/// Records of a thread whose last one has not been seen. A later record for the same key replaces
/// an earlier one: a thread whose end was tried twice has both.
#[derive(Debug, Default)]
struct Pending {
    calls: BTreeMap<CallId, CallStats>,
    sites: BTreeMap<SiteKey, SiteStats>,
    acquires: Vec<AcquireStats>,
}

/// Reads the records behind the head page.
pub(super) fn parse(log: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut at = HEAD_BYTES;
    loop {
        let word0 = Bytes(log).u64(at);
        if word0 == 0 {
            break;
        }
        let bytes = word0 as u32 as usize;
        let record = at.checked_add(bytes).and_then(|end| log.get(at..end));
        let Some(record) = record.filter(|_| bytes >= 8 && bytes.is_multiple_of(8)) else {
            contents.damaged_at = Some(at);
            break;
        };
        if word0 & LOG_COMMITTED == 0 {
            contents.unfinished += 1;
        } else {
            contents.take((word0 >> 32) as u8, Bytes(record));
        }
        at += bytes;
    }
    contents.pending.clear();
    contents
}

impl Contents {
    fn take(&mut self, tag: u8, record: Bytes<'_>) {
        let string = || record.string(2, record.word(1) as usize);
        match tag {
            log_tag::PROGRAM => self.program = Some(string().to_vec()),
            log_tag::ARGUMENTS => {
                let text = string();
                let text = text.strip_suffix(&[0]).unwrap_or(text);
                self.arguments = Some(text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect());
            }
            log_tag::STAT => self.kernel_start = kernel_start(string()),
            log_tag::FORKED_FROM => {
                let word = record.word(1);
                self.forked_from = Some((Pid(word as u32), (word >> 32) as u32));
            }
            log_tag::CALL => self.take_call(record),
            log_tag::MODULE_LOADED => self.take_module(record),
            log_tag::MODULE_UNLOADED => {
                self.unload(Ticks(record.word(1)), CodeAddr(record.word(2)))
            }
            log_tag::NOTE => self.take_note(record),
            log_tag::CLOCK => {
                let (ticks, nanos) = (Ticks(record.word(1)), Nanos(record.word(2)));
                self.pairs.push(ClockPair { ticks, nanos });
            }
            log_tag::ENDED_CALL => {
                let (thread, call, numbers) = stats::ended_call(record);
                self.pending
                    .entry(thread)
                    .or_default()
                    .calls
                    .insert(call, numbers);
            }
            log_tag::ENDED_SITE => {
                let (thread, key, numbers) = stats::ended_site(record);
                self.pending
                    .entry(thread)
                    .or_default()
                    .sites
                    .insert(key, numbers);
            }
            log_tag::ENDED_ACQUIRES => self.take_acquires(record),
            log_tag::ENDED_THREAD => self.take_thread(record),
            _ => self.unknown += 1,
        }
    }

    fn take_call(&mut self, record: Bytes<'_>) {
        let numbers = record.word(1);
        let name = record.string(3, record.word(2) as usize);
        let info = CallInfo {
            name: String::from_utf8_lossy(name).into_owned(),
            api: Api::from_number((numbers >> 16) as u8),
            kind: CallKind::from_number((numbers >> 24) as u8),
        };
        self.calls.insert(CallId(numbers as u16), info);
    }

    fn take_module(&mut self, record: Bytes<'_>) {
        let lengths = record.word(5);
        let path = record.string(6, lengths as u32 as usize);
        let build_id = record.string(6 + path.len().div_ceil(8), (lengths >> 32) as usize);
        self.modules.push(ModuleInfo {
            loaded: Ticks(record.word(1)),
            unloaded: None,
            base: CodeAddr(record.word(2)),
            end: CodeAddr(record.word(3)),
            bias: record.word(4),
            path: path.to_vec(),
            build_id: (!build_id.is_empty()).then(|| build_id.to_vec()),
        });
    }

    fn unload(&mut self, at: Ticks, base: CodeAddr) {
        let mut loaded = self.modules.iter_mut().rev();
        if let Some(module) = loaded.find(|module| module.base == base && module.unloaded.is_none())
        {
            module.unloaded = Some(at);
        }
    }

    fn take_note(&mut self, record: Bytes<'_>) {
        let lengths = record.word(1);
        let key = record.string(2, lengths as u32 as usize);
        let value = record.string(2 + key.len().div_ceil(8), (lengths >> 32) as usize);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        self.notes.push((text(key), text(value)));
    }

    fn take_acquires(&mut self, record: Bytes<'_>) {
        let head = record.word(1);
        let entries = ((head >> 32) as usize).min(record.0.len() / 16);
        let pending = self.pending.entry(head as u32).or_default();
        pending.acquires = (0..entries)
            .map(|entry| acquire(record.word(2 + 2 * entry), record.word(3 + 2 * entry)))
            .collect();
    }

    fn take_thread(&mut self, record: Bytes<'_>) {
        let head = record.word(1);
        let number = head as u32;
        let pending = self.pending.remove(&number).unwrap_or_default();
        let cpu = CpuTotals {
            at: Ticks(record.word(7)),
            cpu: Nanos(record.word(8)),
            ready: super::thread::known(record.word(9)),
            voluntary: record.word(10),
            involuntary: record.word(11),
        };
        let thread = Thread {
            number: ThreadNo(number),
            tid: Some(Tid((head >> 32) as u32)),
            threads: 1,
            name: super::thread::name(record.string(4, 16)),
            start: Some(Ticks(record.word(2))),
            end: Some(Ticks(record.word(3))),
            current_call: CallId::NONE,
            made_before: record.word(6),
            pending: (CallId::NONE, 0),
            cpu: (cpu.at != Ticks(0)).then_some(cpu),
            calls: pending.calls,
            sites: pending.sites,
            acquires: pending.acquires,
            other_calls: Spill::decode(record, 12),
            other_waits: Spill::decode(record, 17),
            losses: super::thread::losses((0..LOSSES).map(|kind| record.word(22 + kind))),
        };
        self.ended.insert(number, thread);
    }
}

/// A key and a count as the slot and the log have them.
pub(super) fn acquire(key: u64, count: u64) -> AcquireStats {
    let site = key & ((1 << 56) - 1);
    AcquireStats {
        kind: WaitKind::from_number((key >> 56) as u8),
        site: (site != 0).then_some(CodeAddr(site)),
        count,
    }
}

/// Field 22 of `/proc/self/stat`. The second field is a name in parentheses that may hold anything.
fn kernel_start(stat: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(stat).into_owned();
    let behind_name = text.rsplit_once(')')?.1;
    behind_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_found_behind_a_strange_name() {
        let stat = b"42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987 20 21";
        assert_eq!(kernel_start(stat), Some(987));
        assert_eq!(kernel_start(b""), None);
        assert_eq!(kernel_start(b"1 (x) S"), None);
    }
}
