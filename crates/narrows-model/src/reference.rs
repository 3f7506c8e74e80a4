//! Numbers quoted from elsewhere, shown beside a measurement and never mixed with it.

use serde::{Deserialize, Serialize};

/// Names that [`named`] knows.
pub const NAMES: &[&str] = &["m4-max-2025-12"];

/// What every reference says of itself.
pub const LABEL: &str = "quoted, not measured here";

/// A quoted table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The name on the command line.
    pub name: String,
    /// [`LABEL`].
    pub label: String,
    /// Machine it was measured on.
    pub machine: String,
    /// Day it was measured.
    pub date: String,
    /// Rows.
    pub rows: Vec<ReferenceRow>,
}

/// One quoted number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceRow {
    /// Group the row belongs to.
    pub group: String,
    /// Threads; 1 for a process pool.
    pub threads: u32,
    /// Processes.
    pub processes: u32,
    /// Throughput; `None`: not quoted.
    pub ops_per_s: Option<f64>,
    /// Ratio to the group's single thread.
    pub speedup: Option<f64>,
    /// Speedup over threads x processes.
    pub efficiency: Option<f64>,
}

/// The quoted table of that name.
pub fn named(name: &str) -> Option<Reference> {
    (name == NAMES[0]).then(m4_max_2025_12)
}

const OPS: &str = "empty command buffers";

fn m4_max_2025_12() -> Reference {
    let own = format!("own queues, {OPS}");
    let shared = format!("shared queue, {OPS}");
    let mut rows = Vec::new();
    curve(
        &mut rows,
        &own,
        &[
            (1, 65_179.0),
            (2, 114_548.0),
            (4, 165_172.0),
            (8, 203_897.0),
        ],
    );
    curve(
        &mut rows,
        &shared,
        &[
            (1, 65_179.0),
            (2, 125_903.0),
            (4, 202_540.0),
            (8, 311_936.0),
        ],
    );
    curve(
        &mut rows,
        "PyTorch MPS, 512x512 f16 matmul, device sync",
        &[(1, 5_906.0), (2, 6_981.0), (4, 6_473.0), (8, 6_418.0)],
    );
    curve(
        &mut rows,
        "PyTorch MPS, 512x512 f16 matmul, event sync",
        &[(1, 6_187.0), (2, 13_870.0), (4, 14_683.0), (8, 17_502.0)],
    );
    rows.push(ReferenceRow {
        group: "process pool".into(),
        threads: 1,
        processes: 8,
        ops_per_s: None,
        speedup: None,
        efficiency: Some(0.96),
    });
    Reference {
        name: NAMES[0].into(),
        label: LABEL.into(),
        machine: "Apple M4 Max".into(),
        date: "2025-12-20".into(),
        rows,
    }
}

/// Rows of one group; the first is its single thread. Ratios follow from the quoted throughputs.
fn curve(rows: &mut Vec<ReferenceRow>, group: &str, quoted: &[(u32, f64)]) {
    let Some(&(_, single)) = quoted.first() else {
        return;
    };
    rows.extend(quoted.iter().map(|&(threads, ops)| ReferenceRow {
        group: group.into(),
        threads,
        processes: 1,
        ops_per_s: Some(ops),
        speedup: Some(ops / single),
        efficiency: Some(ops / single / f64::from(threads)),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_founding_table_has_its_published_efficiencies() {
        let table = named("m4-max-2025-12").unwrap();
        let at_8 = |group: &str| {
            let row = table
                .rows
                .iter()
                .find(|r| r.group.starts_with(group) && r.threads == 8);
            (row.unwrap().efficiency.unwrap() * 1000.0).round() / 10.0
        };
        assert_eq!(at_8("own queues"), 39.1);
        assert_eq!(at_8("shared queue"), 59.8);
        assert_eq!(
            at_8("PyTorch MPS, 512x512 f16 matmul, device").floor(),
            13.0
        );
        assert!(named("m4").is_none());
    }
}
