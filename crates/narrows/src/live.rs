//! A look at a running recording: what changed between two readings of its files.
//!
//! The program is neither stopped nor touched; a number may be a moment older than its neighbour.

use crate::recorded;
use narrows_model::layers::{Layer, Rules};
use narrows_model::result::Site;
use narrows_model::trace::{Input, Places, Summary, recording, summarise};
use narrows_symbols::names;
use narrows_trace::CallId;
use narrows_trace::reader::{Ending, Process, Trace};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of the JSON.
const SCHEMA: &str = "narrows-top/1";
/// Rows of each table.
const ROWS: usize = 12;

/// One look.
#[derive(Debug, Serialize)]
pub(crate) struct Frame {
    schema: &'static str,
    /// Seconds that the rates cover: since the frame before, or since the start.
    pub(crate) over_s: f64,
    /// Processes that still run.
    pub(crate) running: usize,
    /// Processes in the trace.
    pub(crate) processes: usize,
    /// Threads in the trace that have not ended.
    pub(crate) threads_alive: usize,
    /// Calls per second, all threads.
    pub(crate) calls_per_s: f64,
    /// Busiest threads.
    pub(crate) threads: Vec<ThreadRow>,
    /// Locks with the longest waits.
    pub(crate) locks: Vec<LockRow>,
}

/// One thread.
#[derive(Debug, Serialize)]
pub(crate) struct ThreadRow {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) calls_per_s: f64,
    /// Share of the time in calls, waits inside them included.
    pub(crate) in_calls: f64,
    /// Share of the time in waits.
    pub(crate) waiting: f64,
    /// The call that it is in now.
    pub(crate) inside: Option<String>,
}

/// One lock.
#[derive(Debug, Serialize)]
pub(crate) struct LockRow {
    pub(crate) pid: u32,
    pub(crate) layer: Layer,
    pub(crate) site: Site,
    pub(crate) waits_per_s: f64,
    /// Thread-seconds waited per second.
    pub(crate) waited: f64,
    /// Longest wait since the start.
    pub(crate) longest_ns: Option<u64>,
    /// Main owner since the start.
    pub(crate) owner: Option<String>,
}

/// Looks again and again at one trace folder.
pub(crate) struct Live {
    folder: PathBuf,
    /// Only this process, if one was named.
    pid: Option<u32>,
    rules: Rules,
    before: Option<(Instant, Totals)>,
    names: HashMap<(String, u64), Option<String>>,
}

/// Numbers that only grow, by what they belong to.
#[derive(Default)]
struct Totals {
    threads: HashMap<(u32, Option<u32>), (u64, u64, u64)>,
    locks: HashMap<(u32, Site), (u64, u64)>,
}

impl Live {
    /// Looks at the trace in `folder`, or at process `pid` of it alone.
    pub(crate) fn new(folder: PathBuf, pid: Option<u32>, rules: Rules) -> Live {
        Live {
            folder,
            pid,
            rules,
            before: None,
            names: HashMap::new(),
        }
    }

    /// Reads the files once.
    pub(crate) fn look(&mut self) -> anyhow::Result<Frame> {
        let mut trace = Trace::open(&self.folder).map_err(recorded::input)?;
        if let Some(pid) = self.pid {
            trace.processes.retain(|process| process.pid.0 == pid);
            let missing = format!("process {pid} is not in {}", self.folder.display());
            anyhow::ensure!(!trace.processes.is_empty(), recorded::input(missing));
        }
        let now = Instant::now();
        let recording = recording(&trace, &[]);
        let places = Places::default();
        let input = Input {
            recording: &recording,
            run: None,
            rules: &self.rules,
            places: &places,
        };
        let summary = summarise(input);
        let totals = Totals::of(&summary);
        let since_start = summary.wall_ns.map_or(0.0, |ns| ns as f64 / 1e9);
        let none = Totals::default();
        let (over, before) = match &self.before {
            Some((then, totals)) => (now.duration_since(*then).as_secs_f64(), totals),
            None => (since_start, &none),
        };
        let mut frame = frame(&trace, &summary, &totals, before, over.max(1e-3));
        for row in &mut frame.locks {
            row.site.symbol = name(&mut self.names, &row.site);
        }
        self.before = Some((now, totals));
        Ok(frame)
    }
}

impl Totals {
    fn of(summary: &Summary) -> Totals {
        let threads = summary.threads.iter().map(|thread| {
            let numbers = (thread.calls, thread.call_ns, thread.wait_ns);
            ((thread.pid, thread.tid), numbers)
        });
        let locks = summary.waits.iter().map(|row| {
            (
                (row.pid, row.wait.site.clone()),
                (row.wait.count, row.wait.total_ns),
            )
        });
        Totals {
            threads: threads.collect(),
            locks: locks.collect(),
        }
    }
}

fn frame(trace: &Trace, summary: &Summary, totals: &Totals, before: &Totals, over: f64) -> Frame {
    let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / over;
    let mut calls_per_s = 0.0;
    let mut threads: Vec<ThreadRow> = Vec::new();
    for thread in &summary.threads {
        let key = (thread.pid, thread.tid);
        let now = totals.threads.get(&key).copied().unwrap_or_default();
        let then = before.threads.get(&key).copied().unwrap_or_default();
        calls_per_s += rate(now.0, then.0);
        let (Some(tid), Some(live)) = (thread.tid, live_thread(trace, thread.pid, thread.tid))
        else {
            continue;
        };
        threads.push(ThreadRow {
            pid: thread.pid,
            tid,
            name: thread.name.clone().unwrap_or_default(),
            calls_per_s: rate(now.0, then.0),
            in_calls: rate(now.1, then.1) / 1e9,
            waiting: rate(now.2, then.2) / 1e9,
            inside: live,
        });
    }
    let threads_alive = threads.len();
    threads.sort_by(|a, b| {
        let key = |row: &ThreadRow| row.in_calls + row.waiting + row.calls_per_s / 1e9;
        key(b).total_cmp(&key(a))
    });
    threads.truncate(ROWS);
    let mut locks: Vec<LockRow> = summary
        .waits
        .iter()
        .map(|row| {
            let key = (row.pid, row.wait.site.clone());
            let (count, ns) = totals.locks.get(&key).copied().unwrap_or_default();
            let then = before.locks.get(&key).copied().unwrap_or_default();
            LockRow {
                pid: row.pid,
                layer: row.wait.layer,
                site: row.wait.site.clone(),
                waits_per_s: rate(count, then.0),
                waited: rate(ns, then.1) / 1e9,
                longest_ns: row.max_ns,
                owner: row.wait.owners.first().map(|owner| owner.thread.clone()),
            }
        })
        .collect();
    locks.sort_by(|a, b| b.waited.total_cmp(&a.waited));
    locks.truncate(ROWS);
    let running = trace
        .processes
        .iter()
        .filter(|process| runs(process))
        .count();
    Frame {
        schema: SCHEMA,
        over_s: over,
        running,
        processes: trace.processes.len(),
        threads_alive,
        calls_per_s,
        threads,
        locks,
    }
}

/// The thread, if it has not ended: the call that it is in.
fn live_thread(trace: &Trace, pid: u32, tid: Option<u32>) -> Option<Option<String>> {
    let of_pid = |process: &&Process| process.pid.0 == pid && runs(process);
    let process = trace.processes.iter().rev().find(of_pid)?;
    let same = |thread: &&narrows_trace::reader::Thread| {
        thread.end.is_none() && thread.tid.map(|tid| tid.0) == tid
    };
    let thread = process.threads.values().find(same)?;
    let call = Some(thread.current_call).filter(|&call| call != CallId::NONE);
    Some(
        call.and_then(|call| process.calls.get(&call))
            .map(|call| call.name.clone()),
    )
}

/// Does the recorded process still run? A number may be somebody else's by now.
fn runs(process: &Process) -> bool {
    if process.ending == Ending::Finished {
        return false;
    }
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", process.pid.0)) else {
        return false;
    };
    // Behind the name in parentheses: state, and 19 fields later the start time.
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let started = fields.get(19).and_then(|text| text.parse::<u64>().ok());
    fields.first() != Some(&"Z")
        && process
            .kernel_start
            .is_none_or(|start| started == Some(start))
}

/// The function at a site; each one is looked up once.
fn name(known: &mut HashMap<(String, u64), Option<String>>, site: &Site) -> Option<String> {
    let (object, offset) = site.object.clone().zip(site.offset)?;
    let found = known.entry((object.clone(), offset)).or_insert_with(|| {
        let inside = offset.saturating_sub(1);
        let names = names::name(Path::new(&object), None, &[inside]).ok()?;
        names.into_iter().next().flatten().map(|name| name.function)
    });
    found.clone()
}

/// The trace folder that a running process records into.
pub(crate) fn folder_of(pid: u32) -> anyhow::Result<PathBuf> {
    let environment = std::fs::read(format!("/proc/{pid}/environ"))
        .map_err(|error| recorded::input(format!("process {pid} cannot be looked at: {error}")))?;
    let variable = environment
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(b"NARROWS_TRACE="));
    let Some(folder) = variable else {
        return Err(recorded::input(format!(
            "process {pid} was not started by narrows trace"
        )));
    };
    Ok(PathBuf::from(String::from_utf8_lossy(folder).into_owned()))
}

/// The least time between two looks: reading costs the reader, not the program.
pub(crate) const LEAST_INTERVAL: Duration = Duration::from_millis(100);
