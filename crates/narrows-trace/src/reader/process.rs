//! One process's folder.
//!
//! Blocks are read before slots and slots before the log: a thread that ends in between is then
//! found in the log, whose word counts. Calls that are not in the blocks yet are read first of all
//! ([`unsettled`](super::unsettled)).

use super::bytes::Bytes;
use super::log::{self, CallInfo, Contents, ModuleInfo};
use super::stats;
use super::thread::{self, Thread};
use super::timeline::{Damage, Ledger, Timeline};
use super::unsettled::Unsettled;
use super::{Problem, ReadError};
use crate::clock_map::{ClockMap, ClockPair};
use crate::layout::{
    COMBINED, FileKind, HEAD_BYTES, Head, LOSSES, MAGIC, OLDEST, PAIRS, PROCESS_HEAD, Pair,
    ProcessHead, VERSION,
};
use crate::{CallId, Loss, Nanos, Pid, ThreadNo, Ticks};
use core::mem::offset_of;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A log is never longer; what lies behind is not read.
const LOG_LIMIT: u64 = HEAD_BYTES as u64 + (64 << 20);
/// Statistics files are never longer.
const STATISTICS_LIMIT: u64 = HEAD_BYTES as u64 + (128 << 20);

/// How a process's recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said so itself.
    Finished,
    /// It still runs, or was killed, or crashed, or called `_exit`.
    Open,
}

/// Everything that was recorded of one process, except the events themselves.
#[derive(Debug)]
pub struct Process {
    /// Its folder.
    pub folder: PathBuf,
    /// Its id.
    pub pid: Pid,
    /// The folder's number: counts up with each `exec` (or reuse of the id).
    pub number: u32,
    /// Its parent's id at the start.
    pub parent: Pid,
    /// Process whose recording it inherited by `fork`: id and folder number.
    pub forked_from: Option<(Pid, u32)>,
    /// Path of the program; not necessarily UTF-8.
    pub program: Option<Vec<u8>>,
    /// Arguments, the program's name first.
    pub arguments: Option<Vec<Vec<u8>>>,
    /// When the kernel started it, in the kernel's own unit since boot; the same before and after
    /// `exec`.
    pub kernel_start: Option<u64>,
    /// Wall clock at the start of the recording, since 1970.
    pub wall_start: Option<Nanos>,
    /// First instant of the recording.
    pub start: Option<Ticks>,
    /// Latest instant at which both clocks were read; later records may follow.
    pub last: Option<Ticks>,
    /// How the recording ended.
    pub ending: Ending,
    /// Converts its ticks.
    pub clock: ClockMap,
    /// Registered calls. Ids below [`CallId::FIRST`] have fixed meanings and are not in here.
    pub calls: BTreeMap<CallId, CallInfo>,
    /// Shared objects in the order they were seen.
    pub modules: Vec<ModuleInfo>,
    /// Log records that were begun and not finished: by threads that were killed, or, in a running
    /// trace, that are at it.
    pub unfinished_records: u64,
    /// Keys and values in the order they were written.
    pub notes: Vec<(String, String)>,
    /// Threads, ended ones among them.
    pub threads: BTreeMap<ThreadNo, Thread>,
    /// What was not recorded outside any thread.
    pub losses: Vec<(Loss, u64)>,
    /// Bytes that the timeline may take.
    pub timeline_bytes: u64,
    /// The timeline's index.
    pub timeline: Timeline,
    /// What could not be read or is not as it should be.
    pub problems: Vec<Problem>,
}

/// The head page of a file, checked.
struct Opened {
    file: File,
    length: u64,
    page: Vec<u8>,
    used: u32,
    instance: u64,
    stopped: u32,
    pid: u32,
    version: u32,
}

impl Process {
    /// Opens `p<pid>.<n>`. Only the log must be there; what else is missing becomes a problem.
    pub fn open(folder: &Path) -> Result<Self, ReadError> {
        let log = open(folder, FileKind::Log)?;
        let mut problems = Vec::new();
        let instance = log.instance;
        let mut optional = |kind| match open(folder, kind) {
            Ok(opened) if opened.instance == instance => Some(opened),
            Ok(_) => {
                problems.push(Problem::new(folder, kind, "belongs to another process"));
                None
            }
            Err(error) => {
                problems.push(Problem::new(folder, kind, &format!("is left out: {error}")));
                None
            }
        };
        let (calls, sites) = (optional(FileKind::Calls), optional(FileKind::Sites));
        let (slots, timeline) = (optional(FileKind::Threads), optional(FileKind::Timeline));
        for (opened, kind) in [
            (Some(&log), FileKind::Log),
            (calls.as_ref(), FileKind::Calls),
            (sites.as_ref(), FileKind::Sites),
            (slots.as_ref(), FileKind::Threads),
            (timeline.as_ref(), FileKind::Timeline),
        ] {
            if let Some(stopped) = opened
                .map(|opened| opened.stopped)
                .filter(|code| *code != 0)
            {
                let what = format!("could not grow any more (error {stopped})");
                problems.push(Problem::new(folder, kind, &what));
            }
        }
        let unsettled = read_unsettled(slots.as_ref(), timeline.as_ref());
        let blocks = read_blocks(folder, calls.as_ref(), sites.as_ref(), &mut problems);
        let live = read_slots(folder, slots.as_ref(), &mut problems);
        let timeline = timeline.map_or_else(Timeline::empty, |opened| {
            Timeline::open(opened.file, opened.used, opened.length)
        });
        let contents = read_log(folder, &log, &mut problems);
        let live = (live, unsettled);
        Ok(assemble(
            folder, &log, contents, blocks, live, timeline, problems,
        ))
    }

    /// Made, readable and lost timeline events by thread: reads the whole timeline. Threads that
    /// are only known from the timeline are included; the entry of combined threads counts what
    /// they made, its readable events are those of the threads it combines.
    pub fn ledgers(&self) -> (BTreeMap<ThreadNo, Ledger>, Damage) {
        let mut damage = self.timeline.damage();
        let made = |number: &ThreadNo| {
            self.threads
                .get(number)
                .map_or(0, |thread| thread.made_before)
        };
        let mut numbers: Vec<ThreadNo> = self.timeline.threads().collect();
        numbers.extend(self.threads.keys());
        numbers.sort_unstable();
        numbers.dedup();
        let mut ledgers: BTreeMap<ThreadNo, Ledger> = numbers
            .into_iter()
            .map(|number| {
                (
                    number,
                    self.timeline.ledger(number, made(&number), &mut damage),
                )
            })
            .collect();
        self.credit_combined(&mut ledgers);
        (ledgers, damage)
    }

    /// Events of threads whose numbers were combined are made by the combined entry.
    fn credit_combined(&self, ledgers: &mut BTreeMap<ThreadNo, Ledger>) {
        let combined = ThreadNo(COMBINED);
        if self
            .threads
            .get(&combined)
            .is_none_or(|thread| thread.threads == 0)
        {
            return;
        }
        let mut readable = 0;
        ledgers.retain(|number, ledger| {
            let known = self.threads.contains_key(number);
            readable += if known { 0 } else { ledger.readable };
            known
        });
        if let Some(ledger) = ledgers.get_mut(&combined) {
            ledger.readable = readable;
            ledger.made = ledger.made.max(readable);
            ledger.lost = ledger.made - readable;
        }
    }
}

fn open(folder: &Path, kind: FileKind) -> Result<Opened, ReadError> {
    let path = folder.join(kind.name());
    let io = |call: &'static str| {
        let path = path.clone();
        move |source| ReadError::Io { call, path, source }
    };
    let file = File::open(&path).map_err(io("open"))?;
    let length = file.metadata().map_err(io("stat"))?.len();
    let mut page = vec![0; length.min(HEAD_BYTES as u64) as usize];
    file.read_exact_at(&mut page, 0).map_err(io("read"))?;
    let head = Bytes(&page);
    if head.u64(offset_of!(Head, magic)) != u64::from_le_bytes(MAGIC) || page.len() < HEAD_BYTES {
        return Err(ReadError::NotARecording { path });
    }
    let version = head.u32(offset_of!(Head, version));
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(ReadError::Version {
            path,
            found: version,
            known: VERSION,
        });
    }
    let (found, unit) = (
        head.u32(offset_of!(Head, kind)),
        head.u32(offset_of!(Head, unit)),
    );
    if found != kind as u32 || unit as usize != kind.unit() {
        return Err(ReadError::WrongFile {
            path,
            wanted: kind.name(),
            found,
        });
    }
    Ok(Opened {
        length,
        used: head.u32(offset_of!(Head, used)),
        instance: head.u64(offset_of!(Head, instance)),
        stopped: head.u32(offset_of!(Head, stopped)),
        pid: head.u32(offset_of!(Head, pid)),
        version,
        file,
        page,
    })
}

/// Calls `take` with each unit that was handed out.
fn each_unit(
    opened: &Opened,
    kind: FileKind,
    mut take: impl FnMut(Bytes<'_>),
) -> Result<(), String> {
    let unit = kind.unit() as u64;
    let there = opened
        .length
        .min(STATISTICS_LIMIT)
        .saturating_sub(HEAD_BYTES as u64)
        / unit;
    let count = u64::from(opened.used).min(there);
    let mut buffer = vec![0; kind.unit()];
    for index in 0..count {
        opened
            .file
            .read_exact_at(&mut buffer, HEAD_BYTES as u64 + index * unit)
            .map_err(|error| format!("unit {index} could not be read: {error}"))?;
        take(Bytes(&buffer));
    }
    let missing = u64::from(opened.used) - count;
    if missing > 0 {
        Err(format!("is cut off: {missing} units are missing"))
    } else {
        Ok(())
    }
}

type Calls = Vec<(u32, CallId, stats::CallStats)>;
type Sites = Vec<(u32, stats::SiteKey, stats::SiteStats)>;

fn read_blocks(
    folder: &Path,
    calls: Option<&Opened>,
    sites: Option<&Opened>,
    problems: &mut Vec<Problem>,
) -> (Calls, Sites) {
    let (mut call_blocks, mut site_blocks) = (Vec::new(), Vec::new());
    if let Some(opened) = calls {
        let result = each_unit(opened, FileKind::Calls, |block| {
            call_blocks.extend(stats::call_block(block));
        });
        problems.extend(
            result
                .err()
                .map(|what| Problem::new(folder, FileKind::Calls, &what)),
        );
    }
    if let Some(opened) = sites {
        let result = each_unit(opened, FileKind::Sites, |block| {
            site_blocks.extend(stats::site_block(block));
        });
        problems.extend(
            result
                .err()
                .map(|what| Problem::new(folder, FileKind::Sites, &what)),
        );
    }
    (call_blocks, site_blocks)
}

/// Problems with the slots are told by [`read_slots`], those with the timeline by its index.
fn read_unsettled(slots: Option<&Opened>, timeline: Option<&Opened>) -> Vec<Unsettled> {
    let mut unsettled = Vec::new();
    if let (Some(slots), Some(timeline)) = (slots.filter(|slots| slots.version > 1), timeline) {
        let _ = each_unit(slots, FileKind::Threads, |unit| {
            unsettled.extend(Unsettled::read(unit, &timeline.file));
        });
    }
    unsettled
}

fn read_slots(folder: &Path, slots: Option<&Opened>, problems: &mut Vec<Problem>) -> Vec<Thread> {
    let mut threads = Vec::new();
    if let Some(opened) = slots {
        let result = each_unit(opened, FileKind::Threads, |unit| {
            threads.extend(thread::slot(unit))
        });
        problems.extend(
            result
                .err()
                .map(|what| Problem::new(folder, FileKind::Threads, &what)),
        );
    }
    threads
}

fn read_log(folder: &Path, log: &Opened, problems: &mut Vec<Problem>) -> Contents {
    let mut report = |what: &str| problems.push(Problem::new(folder, FileKind::Log, what));
    let length = log.file.metadata().map_or(log.length, |data| data.len());
    if length > LOG_LIMIT {
        report("is longer than a log can be; the rest is left out");
    }
    let mut bytes = vec![0; length.min(LOG_LIMIT) as usize];
    if let Err(error) = log.file.read_exact_at(&mut bytes, 0) {
        report(&format!("could not be read: {error}"));
        return Contents::default();
    }
    let contents = log::parse(&bytes);
    let claimed = Bytes(&log.page).u64(PROCESS_HEAD + offset_of!(ProcessHead, log_bytes));
    if claimed.saturating_add(HEAD_BYTES as u64) > length {
        report("is cut off: names, modules or ended threads are missing");
    }
    if let Some(at) = contents.damaged_at {
        report(&format!("makes no sense from byte {at} on"));
    }
    if contents.unknown > 0 {
        report(&format!(
            "holds {} records of a newer version, skipped",
            contents.unknown
        ));
    }
    contents
}

/// Pairs kept in the process head; those being replaced just now are left out.
fn head_pairs(page: Bytes<'_>) -> Vec<ClockPair> {
    (0..PAIRS)
        .map(|index| PROCESS_HEAD + offset_of!(ProcessHead, pairs) + index * size_of::<Pair>())
        .filter(|at| page.u64(at + offset_of!(Pair, number)) != 0)
        .map(|at| ClockPair {
            ticks: Ticks(page.u64(at + offset_of!(Pair, ticks))),
            nanos: Nanos(page.u64(at + offset_of!(Pair, nanos))),
        })
        .collect()
}

fn assemble(
    folder: &Path,
    log: &Opened,
    contents: Contents,
    blocks: (Calls, Sites),
    (live, unsettled): (Vec<Thread>, Vec<Unsettled>),
    timeline: Timeline,
    mut problems: Vec<Problem>,
) -> Process {
    let page = Bytes(&log.page);
    let head = |offset: usize| PROCESS_HEAD + offset;
    let mut pairs = head_pairs(page);
    pairs.extend(&contents.pairs);
    pairs.extend(&timeline.pairs);
    let start = pairs.iter().map(|pair| pair.ticks).min();
    let last = pairs.iter().map(|pair| pair.ticks).max();
    let rate = page.u64(head(offset_of!(ProcessHead, tick_rate)));
    let wall = page.u64(head(offset_of!(ProcessHead, wall_ns)));
    let losses = (0..LOSSES).map(|kind| page.u64(head(offset_of!(ProcessHead, losses) + 8 * kind)));
    if page.u32(head(offset_of!(ProcessHead, folding))) != 0 {
        let what = "ended while one thread's numbers were being combined: they may count twice";
        problems.push(Problem::new(folder, FileKind::Threads, what));
    }
    let ended = page.u32(head(offset_of!(ProcessHead, ended))) != 0;
    Process {
        folder: folder.to_path_buf(),
        pid: Pid(log.pid),
        number: super::folder_number(folder).map_or(0, |(_, number)| number),
        parent: Pid(page.u32(head(offset_of!(ProcessHead, parent)))),
        forked_from: contents.forked_from,
        program: contents.program,
        arguments: contents.arguments,
        kernel_start: contents.kernel_start,
        wall_start: (wall != 0).then_some(Nanos(wall)),
        start,
        last,
        ending: if ended {
            Ending::Finished
        } else {
            Ending::Open
        },
        clock: ClockMap::new(pairs, (rate != 0).then_some(rate)),
        calls: contents.calls,
        modules: contents.modules,
        unfinished_records: contents.unfinished,
        notes: contents.notes,
        threads: threads(contents.ended, live, blocks, unsettled, log.version),
        losses: thread::losses(losses),
        timeline_bytes: page.u64(head(offset_of!(ProcessHead, timeline_bytes))),
        timeline,
        problems,
    }
}

/// Joins threads with their blocks. What the log says of an ended thread counts alone.
fn threads(
    ended: BTreeMap<u32, Thread>,
    live: Vec<Thread>,
    (calls, sites): (Calls, Sites),
    unsettled: Vec<Unsettled>,
    version: u32,
) -> BTreeMap<ThreadNo, Thread> {
    let mut threads: BTreeMap<u32, Thread> = live
        .into_iter()
        .map(|thread| (thread.number.0, thread))
        .collect();
    for (owner, call, numbers) in calls {
        if let Some(thread) = threads.get_mut(&owner) {
            thread.calls.entry(call).or_default().merge(&numbers);
        }
    }
    for calls in unsettled {
        if let Some(thread) = threads.get_mut(&calls.thread) {
            calls.add_to(thread);
        }
    }
    for thread in threads.values_mut().filter(|_| version == 1) {
        let (call, ticks) = thread.pending;
        if let Some(numbers) = thread.calls.get_mut(&call) {
            numbers.timed.settle(ticks);
        }
    }
    for (owner, key, numbers) in sites {
        if let Some(thread) = threads.get_mut(&owner) {
            thread.sites.insert(key, numbers);
        }
    }
    threads.extend(ended);
    let unused = |thread: &Thread| thread.number.0 == COMBINED && thread.threads == 0;
    threads.retain(|_, thread| !unused(thread));
    threads
        .into_iter()
        .map(|(number, thread)| (ThreadNo(number), thread))
        .collect()
}
