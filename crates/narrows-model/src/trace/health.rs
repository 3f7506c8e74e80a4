//! What the probe could see, what it lost, what it cost.
//!
//! The probe leaves notes in the recording; their keys are listed here.

use super::{CallRow, ProcessRecord, Recording, TraceCoverage};
use crate::result::{Lost, OwnCost};
use narrows_trace::{Api, Loss};
use std::collections::{BTreeMap, BTreeSet};

/// `cost.event_ns`: calibrated cost of one timed event in nanoseconds.
const COST_EVENT: &str = "cost.event_ns";
/// `cost.count_ns`: calibrated cost of one counted acquisition in nanoseconds.
const COST_COUNT: &str = "cost.count_ns";
/// Note with the cost of a call that is counted and now and then timed, in nanoseconds.
const COST_QUERY: &str = "cost.query_ns";
/// `API.functions` and `API.functions.WAY`: functions that are wrapped, those of all ways together.
const FUNCTIONS: &str = "functions";
/// `API.functions.unwrapped`: functions that were asked for and could not be wrapped.
const UNWRAPPED: &str = "unwrapped";
/// `API.uncovered`: what cannot be seen of the interface.
const UNCOVERED: &str = "uncovered";
/// `API.gpu-times`: how GPU times were taken, or why not.
const GPU_TIMES: &str = "gpu-times";

/// What the probe could see, over all processes.
pub(super) fn coverage(recording: &Recording) -> TraceCoverage {
    let mut hooked: BTreeMap<String, u64> = BTreeMap::new();
    let (mut unseen, mut gpu_times) = (BTreeSet::new(), BTreeSet::new());
    for process in &recording.processes {
        let mut own: BTreeMap<&str, u64> = BTreeMap::new();
        for (key, value) in &process.notes {
            let mut words = key.split('.');
            let (api, what, way) = (words.next().unwrap_or_default(), words.next(), words.next());
            match (what, way, value.parse::<u64>()) {
                (Some(FUNCTIONS), Some(UNWRAPPED), Ok(count)) => {
                    unseen.insert(format!("{api}: {count} functions could not be wrapped"));
                }
                (Some(FUNCTIONS), _, Ok(count)) => *own.entry(api).or_default() += count,
                (Some(GPU_TIMES), ..) => {
                    gpu_times.insert(format!("{api}: {value}"));
                }
                (Some(UNCOVERED), ..) => {
                    unseen.insert(format!("{api}: {value}"));
                }
                _ => {}
            }
        }
        for (api, count) in own {
            let most = hooked.entry(api.to_owned()).or_default();
            *most = count.max(*most);
        }
    }
    let called: BTreeSet<&str> = recording.processes.iter().flat_map(called).collect();
    TraceCoverage {
        hooked,
        called: u64::try_from(called.len()).unwrap_or(u64::MAX),
        unseen: unseen.into_iter().collect(),
        gpu_times: gpu_times.into_iter().collect(),
        stand_ins: stand_ins(recording),
    }
}

/// The stand-ins of this project's tests have the word in their file names.
fn stand_ins(recording: &Recording) -> Vec<String> {
    let modules = recording.processes.iter().flat_map(|p| &p.modules);
    let files = modules.filter_map(|m| m.path.rsplit('/').next());
    let found: BTreeSet<&str> = files.filter(|f| f.contains("-stand-in")).collect();
    found.into_iter().map(str::to_owned).collect()
}

fn called(process: &ProcessRecord) -> BTreeSet<&str> {
    let rows = process.threads.iter().flat_map(|thread| &thread.calls);
    let made = rows.filter(|row| row.times.count + row.untimed > 0);
    made.filter_map(|row| process.calls.get(&row.call))
        .map(|call| call.name.as_str())
        .collect()
}

/// What was made and not recorded.
pub(super) fn lost(recording: &Recording) -> Lost {
    let mut reasons: BTreeMap<Loss, u64> = BTreeMap::new();
    let (mut made, mut kept) = (0_u64, 0_u64);
    for process in &recording.processes {
        let threads = process.threads.iter();
        made += threads.clone().map(|thread| thread.made).sum::<u64>();
        kept += threads.clone().map(|thread| thread.kept).sum::<u64>();
        for &(why, count) in process
            .lost
            .iter()
            .chain(threads.flat_map(|thread| &thread.lost))
        {
            *reasons.entry(why).or_default() += count;
        }
    }
    let events = made.saturating_sub(kept);
    let dropped: u64 = reasons
        .iter()
        .filter(|(why, _)| is_event(**why))
        .map(|(_, n)| n)
        .sum();
    let mut lines = Vec::new();
    if events > dropped {
        lines.push(format!(
            "{} timeline events made room for newer ones",
            events - dropped
        ));
    }
    lines.extend(
        reasons
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(why, n)| words(*why, *n)),
    );
    Lost {
        events,
        recorded: kept,
        reasons: lines,
    }
}

/// Losses of timeline events; the others are losses of detail (names, sites) or of hooks' calls.
fn is_event(why: Loss) -> bool {
    matches!(why, Loss::NoChunk | Loss::DiskFull)
}

fn words(why: Loss, count: u64) -> String {
    let what = match why {
        Loss::NoChunk => "timeline events: no chunk was free",
        Loss::DiskFull => "timeline events: the disk was full",
        Loss::NoThreadSlot => "threads had no room of their own",
        Loss::CallTable => "calls had no room of their own",
        Loss::LogFull => "names, modules or notes: the log was full",
        Loss::Reentered => "calls from inside the recorder",
        Loss::NotReady => "calls before the recorder was ready or after it was off",
        Loss::SiteTable => "sites or locks had no room of their own, counted together",
        Loss::GpuTime => "GPU times could not be read",
        _ => "of an unknown kind",
    };
    format!("{count} {what}")
}

/// The probe's own cost: events and counted acquisitions times what each was measured to cost
/// when the probe started. `None` without that calibration.
pub(super) fn own_cost(recording: &Recording) -> Option<OwnCost> {
    let (mut total, mut events, mut time, mut calibrated) = (0.0, 0_u64, 0_u64, false);
    for process in &recording.processes {
        let Some(per_event) = number(process, COST_EVENT) else {
            continue;
        };
        calibrated = true;
        let per_count = number(process, COST_COUNT).unwrap_or(per_event);
        let per_query = number(process, COST_QUERY).unwrap_or(per_event);
        for thread in &process.threads {
            let calls: u64 = thread.calls.iter().map(|row| row.times.count).sum();
            let (queries, untimed) = untimed(process, &thread.calls);
            let waits: u64 = thread.sites.iter().map(|row| row.times.count).sum();
            let counted: u64 = thread.acquired.iter().map(|row| row.count).sum();
            total += (calls + waits) as f64 * per_event
                + queries as f64 * per_query
                + (untimed + counted) as f64 * per_count;
            events += calls + waits + queries + untimed + counted;
            time += thread.alive.map_or(0, |alive| alive.0);
        }
    }
    if !calibrated {
        return None;
    }
    Some(OwnCost {
        ns_per_event: if events > 0 {
            total / events as f64
        } else {
            0.0
        },
        events,
        total_ns: total.round() as u64,
        share: if time > 0 { total / time as f64 } else { 0.0 },
    })
}

/// Calls that were counted only: those of a GPU interface, which went through a whole hook, and
/// the others.
fn untimed(process: &ProcessRecord, rows: &[CallRow]) -> (u64, u64) {
    let of_gpu = |row: &&CallRow| {
        let call = process.calls.get(&row.call);
        call.is_some_and(|call| call.api != Api::Libc)
    };
    let (gpu, others): (Vec<_>, Vec<_>) = rows.iter().partition(of_gpu);
    let sum = |rows: Vec<&CallRow>| rows.iter().map(|row| row.untimed).sum();
    (sum(gpu), sum(others))
}

fn number(process: &ProcessRecord, key: &str) -> Option<f64> {
    let (_, value) = process.notes.iter().find(|(name, _)| name == key)?;
    value
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}
