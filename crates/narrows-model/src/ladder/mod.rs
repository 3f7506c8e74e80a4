//! From a ladder's file to its result: rungs, steps between them, the step where efficiency
//! collapses.
//!
//! A rung's points come from the same pairs and intervals as a scan's ([`crate::scan`]). A step
//! compares the efficiency of a rung with that of the rung it stands on, at the same number of
//! threads: both are ratios to the rung's own single thread, so a step tells whether the upper
//! software loses threads, not whether it is slow.

mod steps;
mod types;
mod verdict;

pub use steps::{COLLAPSE_BELOW, LOSS_BELOW};
pub use types::*;

use crate::scan::{self, SamplesResult, end_result};
use narrows_ladder::samples::{Failure, Ladder, Opened, RungInfo};
use narrows_scan::samples::{
    DeviceInfo, FORMAT, Header as ScanHeader, Pair, Preparation, Samples, VERSION,
};

/// The result of a ladder. Ends for any file, also for one without a rung that ran.
pub fn analyse(ladder: &Ladder) -> LadderResult {
    let header = &ladder.header;
    let rungs: Vec<RungResult> = header
        .rungs
        .iter()
        .enumerate()
        .map(|(index, info)| rung(ladder, index, info))
        .collect();
    let (steps, isolation) = steps::steps(&rungs, &header.threads, header.environment.cores);
    let self_check = scan::self_check(&all_pairs(ladder));
    let held = SamplesResult {
        pairs: ladder.pairs.len() as u64,
        skipped_lines: ladder.skipped_lines,
        truncated: ladder.truncated,
    };
    let verdict = verdict::verdict(&verdict::Facts {
        rungs: &rungs,
        steps: &steps,
        isolation: &isolation,
        self_check: &self_check,
        cores: header.environment.cores,
        whole: ladder.end.is_some(),
    });
    LadderResult {
        schema: SCHEMA.into(),
        tool: header.tool.clone(),
        started: header.started.clone(),
        command: header.command.clone(),
        seed: header.seed,
        api: header.api.clone(),
        work: header.work.to_string(),
        threads: header.threads.clone(),
        environment: header.environment.clone(),
        python: header.python.clone(),
        verdict,
        rungs,
        steps,
        isolation,
        self_check,
        end: ladder.end.as_ref().map(end_result),
        samples: held,
    }
}

fn rung(ladder: &Ladder, index: usize, info: &RungInfo) -> RungResult {
    let opened = ladder.opened.iter().find(|o| o.rung == index);
    let failed: Vec<&Failure> = ladder.failures.iter().filter(|f| f.rung == index).collect();
    let whole = failed.iter().find(|f| f.threads.is_none());
    RungResult {
        id: info.id.clone(),
        title: info.title.clone(),
        layer: info.layer.clone(),
        on: info.on.clone(),
        beside: info.beside.clone(),
        pool: info.pool,
        package: info.package.clone(),
        device: opened.map(|o| o.device.clone()),
        software_stack: opened.map(|o| o.software_stack.clone()),
        software: opened.is_some_and(|o| o.software),
        stand_in: opened.is_some_and(|o| o.stand_in),
        max_relative_error: opened.and_then(|o| o.max_relative_error),
        block_ns: opened.map(|o| o.block_ns),
        notes: opened.map(|o| o.notes.clone()).unwrap_or_default(),
        failure: whole.map(|f| failure(f)),
        points: points(ladder, opened, index, info.pool, &failed),
    }
}

/// One row for every number of threads that was asked for, measured or not.
fn points(
    ladder: &Ladder,
    opened: Option<&Opened>,
    index: usize,
    pool: bool,
    failed: &[&Failure],
) -> Vec<RungPoint> {
    let rows = opened.map_or_else(Vec::new, |o| scan::rows(&samples(ladder, &[(index, o)])));
    ladder
        .header
        .threads
        .iter()
        .map(|&n| {
            let row = rows.iter().find(|r| r.threads * r.processes == n);
            RungPoint {
                n,
                threads: if pool { 1 } else { n },
                processes: if pool { n } else { 1 },
                baseline: n == 1,
                pairs: row.map_or(0, |r| r.pairs),
                ops_per_s: row.and_then(|r| r.ops_per_s),
                ci: row.and_then(|r| r.ci),
                speedup: row.and_then(|r| r.speedup),
                speedup_ci: row.and_then(|r| r.speedup_ci),
                efficiency: row.and_then(|r| r.efficiency),
                efficiency_ci: row.and_then(|r| r.efficiency_ci),
                cores_used: row.and_then(|r| r.cores_used),
                flags: row.map(|r| r.flags.clone()).unwrap_or_default(),
                notes: row.map(|r| r.notes.clone()).unwrap_or_default(),
                failure: failed
                    .iter()
                    .find(|f| f.threads == Some(n))
                    .map(|f| failure(f)),
            }
        })
        .collect()
}

fn failure(failure: &Failure) -> FailureResult {
    FailureResult {
        kind: failure.kind,
        signal: failure.signal,
        detail: failure.detail.clone(),
    }
}

/// Everybody's pairs as one table, for what is true of all of them: the A/A gate.
fn all_pairs(ladder: &Ladder) -> Samples {
    let rungs: Vec<_> = ladder.opened.iter().map(|o| (o.rung, o)).collect();
    samples(ladder, &rungs)
}

/// The pairs of some rungs as the samples of a scan; points are numbered on.
fn samples(ladder: &Ladder, rungs: &[(usize, &Opened)]) -> Samples {
    let header = &ladder.header;
    let mut samples = Samples::new(ScanHeader {
        format: FORMAT.into(),
        version: VERSION,
        tool: header.tool.clone(),
        started: header.started.clone(),
        command: Vec::new(),
        environment: header.environment.clone(),
        device: DeviceInfo {
            backend: header.api.clone(),
            index: 0,
            name: String::new(),
            driver: String::new(),
            api_version: String::new(),
            software: false,
            stand_in: false,
            max_queues: None,
            f16: false,
            layers: Vec::new(),
        },
        device_choice: String::new(),
        preparation: Preparation::default(),
        seed: header.seed,
        block_ns: 0,
        simulated: false,
        points: Vec::new(),
    });
    for (rung, opened) in rungs {
        let first = samples.header.points.len();
        samples.header.points.extend(opened.points.iter().cloned());
        let its = ladder.pairs.iter().filter(|p| p.rung == *rung);
        samples.pairs.extend(its.map(|p| Pair {
            point: first + p.pair.point,
            ..p.pair.clone()
        }));
    }
    samples
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
