//! From the samples of a scan to its result: points, gate, fits, best strategy, verdict.
//!
//! [`analyse`] is the only entry. How the result is shown lives in `narrows-report`; the formulas
//! in [`crate::stats`] and [`crate::fits`].

mod best;
mod candidates;
mod explained;
mod fit;
mod full;
mod gate;
mod table;
mod types;
mod verdict;

pub use explained::{Target, to_explain};
pub use full::FULL_FROM;
pub(crate) use gate::self_check;
pub use table::{CPU_LIMIT, WIDEST_INTERVAL, strategy_name};
pub(crate) use table::{is_baseline, log_ratio, throughput};
pub use types::*;
pub use verdict::SCALES_FROM;

use narrows_scan::samples::{Calibration, End, Header, LeftOut, Samples};

/// The result of a scan. Ends for any samples, also for none at all.
pub fn analyse(samples: &Samples) -> ScanResult {
    let header = &samples.header;
    let groups = table::groups(samples);
    let fits = (0u64..)
        .zip(&groups)
        .filter_map(|(i, g)| fit::fit(g, header.seed, i))
        .collect();
    let mut points: Vec<PointResult> = groups
        .into_iter()
        .flat_map(|g| g.rows)
        .map(|r| r.result)
        .collect();
    let best = best::mark(&mut points);
    let self_check = self_check(samples);
    let left_out: Vec<LeftOutResult> = samples
        .left_out
        .iter()
        .filter_map(|l| left_out(header, l))
        .collect();
    let end = samples.end.as_ref().map(end_result);
    let held = SamplesResult {
        pairs: samples.pairs.len() as u64,
        skipped_lines: samples.skipped_lines,
        truncated: samples.truncated,
    };
    let facts = verdict::Facts {
        header,
        points: &points,
        self_check: &self_check,
        end: end.as_ref(),
        samples: held,
        left_out: &left_out,
    };
    let mut verdict = verdict::verdict(&facts);
    let tables = explained::tables(&facts, samples.explained.as_ref(), &mut verdict);
    ScanResult {
        schema: SCHEMA.into(),
        tool: header.tool.clone(),
        started: header.started.clone(),
        command: header.command.clone(),
        seed: header.seed,
        block_ns: header.block_ns,
        simulated: header.simulated,
        device: header.device.clone(),
        device_choice: header.device_choice.clone(),
        environment: header.environment.clone(),
        calibration: header.preparation.calibration.map(calibration),
        max_relative_error: header.preparation.max_relative_error,
        verdict,
        best,
        points,
        fits,
        self_check,
        left_out,
        end,
        samples: held,
        waterfall: tables.waterfall,
        calls: tables.calls,
        waits: tables.waits,
        coverage: tables.coverage,
        lost: tables.lost,
        own_cost: tables.own_cost,
        explained: tables.explained,
        reference: None,
    }
}

/// The rows of a table alone, without fits and verdict: baseline first, then ascending.
pub(crate) fn rows(samples: &Samples) -> Vec<PointResult> {
    let groups = table::groups(samples);
    groups
        .into_iter()
        .flat_map(|g| g.rows)
        .map(|r| r.result)
        .collect()
}

pub(crate) fn end_result(end: &End) -> EndResult {
    EndResult {
        reason: end.reason,
        detail: end.detail.clone(),
        elapsed_ns: end.elapsed_ns,
        load_after: end.load_after,
    }
}

fn calibration(c: Calibration) -> CalibrationResult {
    let ns = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    CalibrationResult {
        wanted_ns: ns(c.wanted),
        iterations: c.iterations,
        measured_ns: ns(c.measured),
    }
}

fn left_out(header: &Header, left_out: &LeftOut) -> Option<LeftOutResult> {
    let point = header.points.get(left_out.point)?;
    Some(LeftOutResult {
        strategy: strategy_name(&point.strategy),
        work: point.strategy.work.to_string(),
        threads: point.threads,
        processes: point.processes,
        why: left_out.why.clone(),
    })
}
