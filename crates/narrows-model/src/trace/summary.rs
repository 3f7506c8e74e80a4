//! Puts the tables together.

use super::run::Run;
use super::{
    LayerTime, Origin, Places, Process, ProcessRecord, Recording, SCHEMA, Summary, TraceCall,
    TraceWait, calls, health, regions, waits,
};
use crate::layers::{Layer, Rules};
use narrows_trace::Pid;
use std::collections::BTreeMap;

/// What a summary is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The tables.
    pub recording: &'a Recording,
    /// What the launcher knows; `None`: the library was injected by hand.
    pub run: Option<&'a Run>,
    /// Layer rules.
    pub rules: &'a Rules,
    /// Names of the code addresses in the tables.
    pub places: &'a Places,
}

/// The summary of a recording.
pub fn summarise(input: Input<'_>) -> Summary {
    let Input {
        recording,
        run,
        rules,
        places,
    } = input;
    let calls = calls::table(recording, rules);
    let waits::Tables { waits, idle } = waits::tables(recording, rules, places);
    Summary {
        schema: SCHEMA.into(),
        narrows: run.map(|run| run.narrows.clone()),
        command: run.map(|run| run.command.clone()),
        started: run.map(|run| run.started.clone()),
        ended: run.and_then(|run| run.ended),
        wall_ns: run
            .and_then(|run| run.wall_ns)
            .or_else(|| longest(recording)),
        cores: run.and_then(|run| run.cores),
        layers: layers(&calls, &waits),
        calls,
        regions: regions::table(recording),
        waits,
        idle,
        processes: processes(recording),
        threads: calls::threads(recording),
        coverage: health::coverage(recording),
        lost: health::lost(recording),
        device: None,
        own_cost: health::own_cost(recording),
        damage: recording.damage.clone(),
    }
}

fn longest(recording: &Recording) -> Option<u64> {
    recording
        .processes
        .iter()
        .filter_map(|process| process.wall)
        .map(|wall| wall.0)
        .max()
}

fn layers(calls: &[TraceCall], waits: &[TraceWait]) -> Vec<LayerTime> {
    let none = |layer| LayerTime {
        layer,
        calls: 0,
        call_ns: 0,
        waits: 0,
        wait_ns: 0,
    };
    let mut rows: Vec<LayerTime> = Layer::ALL.into_iter().map(none).collect();
    let mut with = |layer: Layer, change: &dyn Fn(&mut LayerTime)| {
        rows.iter_mut()
            .filter(|row| row.layer == layer)
            .for_each(change);
    };
    // Units of work are spans around calls; their share is None.
    for row in calls.iter().filter(|row| row.kind != "op") {
        with(row.call.layer, &|sum| {
            sum.calls += row.call.count;
            sum.call_ns += row.call.total_ns;
        });
    }
    for row in waits {
        with(row.wait.layer, &|sum| {
            sum.waits += row.wait.count;
            sum.wait_ns += row.wait.total_ns;
        });
    }
    rows.retain(|row| row.calls > 0 || row.waits > 0);
    rows
}

/// Parents before their children, each family together.
fn processes(recording: &Recording) -> Vec<Process> {
    let records = &recording.processes;
    let known = |pid: Option<Pid>| pid.filter(|pid| records.iter().any(|r| r.pid == *pid));
    // An image that follows another one in the same process is shown beside it, not below.
    let mut above: BTreeMap<Pid, Option<Pid>> = BTreeMap::new();
    let mut children: BTreeMap<Option<Pid>, Vec<&ProcessRecord>> = BTreeMap::new();
    for record in records {
        let parent = known(record.origin.parent()).filter(|&parent| parent != record.pid);
        let parent = match record.origin {
            Origin::Exec(_) => above.get(&record.pid).copied().flatten(),
            _ => parent,
        };
        above.insert(record.pid, parent);
        children.entry(parent).or_default().push(record);
    }
    let mut rows = Vec::with_capacity(records.len());
    let mut open: Vec<(Option<Pid>, u32)> = vec![(None, 0)];
    while let Some((parent, depth)) = open.pop() {
        for record in children.remove(&parent).unwrap_or_default() {
            rows.push(process(record, parent, depth));
            open.push((Some(record.pid), depth + 1));
        }
    }
    // Numbers are reused: a ring of parents has no root and is shown flat.
    for record in children.into_values().flatten() {
        rows.push(process(record, None, 0));
    }
    in_tree_order(rows)
}

fn process(record: &ProcessRecord, parent: Option<Pid>, depth: u32) -> Process {
    let calls = record
        .threads
        .iter()
        .map(|thread| calls::totals(record, thread).0)
        .sum();
    Process {
        pid: record.pid.0,
        parent: parent.map(|pid| pid.0),
        origin: match record.origin {
            Origin::Exec(_) => "exec".into(),
            Origin::Fork(_) => "fork".into(),
            Origin::Child(_) => "child".into(),
            Origin::Root => "root".into(),
        },
        depth,
        program: record.program.clone(),
        arguments: record.arguments.clone(),
        wall_ns: record.wall.map(|wall| wall.0),
        finished: record.finished,
        threads: record
            .threads
            .iter()
            .map(|thread| u64::from(thread.threads))
            .sum(),
        calls,
    }
}

/// Each child behind its parent instead of behind its whole generation.
fn in_tree_order(rows: Vec<Process>) -> Vec<Process> {
    let mut ordered: Vec<Process> = Vec::with_capacity(rows.len());
    for row in rows {
        let parent = |at: &Process| row.depth > 0 && Some(at.pid) == row.parent;
        let behind = ordered.iter().rposition(parent).map(|at| {
            let depth = ordered[at].depth;
            let family = ordered[at + 1..]
                .iter()
                .take_while(|next| next.depth > depth)
                .count();
            at + 1 + family
        });
        ordered.insert(behind.unwrap_or(ordered.len()), row);
    }
    ordered
}
