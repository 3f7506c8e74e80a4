//! `NARROWS_LOG=1`: a plain summary on standard error when the process ends.
//!
//! Made by reading the trace back, the way the command does it. This is the one place that
//! allocates and prints; it runs once, after the program's own destructors. Names of functions
//! need the command (`narrows report`): here, callers are object + offset.

use super::config::Config;
use super::sys;
use narrows_trace::CallId;
use narrows_trace::reader::{Process, SiteStats, Thread, Trace};
use narrows_trace::writer::Writer;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Rows of a table.
const ROWS: usize = 20;

/// Prints what was recorded of this process, and removes the folder if it is a temporary one that
/// holds nothing else.
pub(crate) fn print(config: &Config, writer: Writer) {
    let folder = Path::new(OsStr::from_bytes(config.folder().to_bytes()));
    let own = folder.join(format!("p{}.{}", sys::getpid(), writer.folder_number()));
    let mut text = String::new();
    match Process::open(&own) {
        Ok(process) => summary(&mut text, &process),
        Err(error) => line(&mut text, format_args!("the trace cannot be read: {error}")),
    }
    let others = Trace::open(folder).map_or(0, |trace| trace.processes.len().saturating_sub(1));
    if config.own_folder && others == 0 && std::fs::remove_dir_all(folder).is_ok() {
        line(&mut text, format_args!("trace: removed (temporary)"));
    } else {
        line(&mut text, format_args!("trace: {}", folder.display()));
    }
    sys::print(text.as_bytes());
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "narrows: {words}");
}

fn summary(text: &mut String, process: &Process) {
    let program = process.program.clone().unwrap_or_default();
    let threads: u32 = process.threads.values().map(|thread| thread.threads).sum();
    line(
        text,
        format_args!(
            "process {} {}, {threads} threads",
            process.pid.0,
            String::from_utf8_lossy(&program)
        ),
    );
    calls(text, process);
    waits(text, process);
    losses(text, process);
    cost(text, process);
}

/// Length of time in ticks as text.
fn time(process: &Process, ticks: u64) -> String {
    let Some(start) = process.start else {
        return format!("{ticks} ticks");
    };
    let end = narrows_trace::Ticks(start.0.saturating_add(ticks));
    let mut clock = process.clock.cursor();
    let nanos = clock.nanos(end).0.saturating_sub(clock.nanos(start).0);
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        _ => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}

fn calls(text: &mut String, process: &Process) {
    let mut sums: BTreeMap<CallId, (u64, u64, u64)> = BTreeMap::new();
    for (call, stats) in process.threads.values().flat_map(|thread| &thread.calls) {
        let sum = sums.entry(*call).or_default();
        sum.0 += stats.count();
        sum.1 += stats.timed.ticks;
        sum.2 += stats.timed.failed;
    }
    let mut rows: Vec<_> = sums.into_iter().filter(|(_, sum)| sum.0 > 0).collect();
    rows.sort_by_key(|(_, (count, ticks, _))| std::cmp::Reverse((*ticks, *count)));
    line(text, format_args!("calls: {}", rows.len()));
    for (call, (count, ticks, failed)) in rows.into_iter().take(ROWS) {
        let name = match process.calls.get(&call) {
            Some(info) => info.name.as_str(),
            None if call == CallId::OP => "(op)",
            None => "(other)",
        };
        let failed = if failed > 0 {
            format!(", {failed} failed")
        } else {
            String::new()
        };
        let time = time(process, ticks);
        line(
            text,
            format_args!("  {name}: {count} calls, {time}{failed}"),
        );
    }
}

fn waits(text: &mut String, process: &Process) {
    let mut sums: BTreeMap<_, SiteStats> = BTreeMap::new();
    for (key, stats) in process.threads.values().flat_map(|thread| &thread.sites) {
        let sum = sums.entry((key.kind, key.site, key.lock)).or_default();
        sum.waits.merge(&stats.waits);
        sum.owners.extend(stats.owners.iter().copied());
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.waits.ticks));
    line(text, format_args!("waits: {} sites and locks", rows.len()));
    for ((kind, site, lock), stats) in rows.into_iter().take(ROWS) {
        let lock = lock.map_or_else(|| "several".to_owned(), |lock| format!("{:#x}", lock.0));
        line(
            text,
            format_args!(
                "  {} at {}: lock {lock}, {} waits, {}, longest {}{}",
                kind.word(),
                place(process, site.0),
                stats.waits.count,
                time(process, stats.waits.ticks),
                time(process, stats.waits.longest.unwrap_or(0)),
                owners(&stats)
            ),
        );
    }
    let acquired: u64 = process
        .threads
        .values()
        .flat_map(|thread| &thread.acquires)
        .map(|acquire| acquire.count)
        .sum();
    line(
        text,
        format_args!("locks taken without waiting: {acquired}"),
    );
}

fn owners(stats: &SiteStats) -> String {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for owner in &stats.owners {
        if let Some(tid) = owner.tid {
            *sums.entry(tid.0).or_default() += owner.count;
        }
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rows.iter()
        .take(3)
        .map(|(tid, count)| format!(", held by {tid} in {count}"))
        .collect()
}

fn place(process: &Process, address: u64) -> String {
    let module = process
        .modules
        .iter()
        .rev()
        .find(|module| (module.base.0..module.end.0).contains(&address));
    match module {
        Some(module) => {
            let path = String::from_utf8_lossy(&module.path);
            let name = path.rsplit('/').next().unwrap_or_default();
            format!("{name}+{:#x}", address.wrapping_sub(module.bias))
        }
        None => format!("{address:#x}"),
    }
}

fn losses(text: &mut String, process: &Process) {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let by_thread = process
        .threads
        .values()
        .flat_map(|thread: &Thread| &thread.losses);
    for (why, count) in by_thread.chain(&process.losses) {
        *sums.entry(why.word()).or_default() += count;
    }
    if sums.is_empty() {
        line(text, format_args!("lost: nothing"));
    }
    for (why, count) in sums {
        line(text, format_args!("lost: {count} {why}"));
    }
}

fn cost(text: &mut String, process: &Process) {
    for (key, value) in &process.notes {
        if key.starts_with("cost.") {
            line(text, format_args!("own {key}: {value}"));
        }
    }
}
