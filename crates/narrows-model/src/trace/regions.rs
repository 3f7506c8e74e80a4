//! The table of the regions that the program marks.

use super::calls::name_of;
use super::{Recording, Region, Times};
use narrows_trace::CallKind;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// One row per name over all threads and processes, longest total first.
pub(super) fn table(recording: &Recording) -> Vec<Region> {
    let mut sums: BTreeMap<String, (Times, u64)> = BTreeMap::new();
    for process in &recording.processes {
        for thread in &process.threads {
            for row in &thread.calls {
                let call = name_of(process, row.call);
                if call.kind != CallKind::Mark || row.times.count == 0 {
                    continue;
                }
                let (times, threads) = sums.entry(call.name).or_default();
                times.add(&row.times);
                *threads += u64::from(thread.threads);
            }
        }
    }
    let mut rows: Vec<Region> = sums.into_iter().map(region).collect();
    rows.sort_by_key(|row| Reverse(row.total_ns));
    rows
}

fn region((name, (times, threads)): (String, (Times, u64))) -> Region {
    Region {
        name,
        threads,
        count: times.count,
        total_ns: times.total.0,
        mean_ns: times.mean_ns(),
        p50_ns: times.quantile(0.5).map(|ns| ns.0),
        p99_ns: times.quantile(0.99).map(|ns| ns.0),
        max_ns: times.longest.map(|ns| ns.0),
    }
}
