//! From what the user asked for to the rungs and numbers of threads that are measured.

use crate::Error;
use crate::rungs::{APIS, Rung, rungs};
use crate::samples::RungInfo;
use narrows_gpu::{LaneOptions, Precision, Work};
use narrows_scan::samples::{Arm, Mps, Point, Strategy};
use std::path::PathBuf;
use std::time::Duration;

/// Largest number of threads or processes that is accepted: more is a typing error.
const MOST_THREADS: u32 = 256;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// `cuda`, `opencl`, `vulkan`, `metal` or `soft`.
    pub api: String,
    /// Names of rungs; `None`: all, or with `quick` the short list.
    pub rungs: Option<Vec<String>>,
    /// Numbers of threads and sizes of process pools; 1 is always measured.
    pub threads: Vec<u32>,
    /// A matmul.
    pub work: Work,
    /// Time for the measuring, all rungs together; starting them comes on top.
    pub time: Duration,
    /// How long a rung may make no progress. Opening may take four times as long.
    pub limit: Duration,
    /// Fewer rungs.
    pub quick: bool,
    /// The interpreter of the Python rungs.
    pub python: PathBuf,
}

/// What will be measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// API.
    pub api: String,
    /// Rungs, lowest first.
    pub rungs: Vec<&'static Rung>,
    /// Ascending, from 1.
    pub threads: Vec<u32>,
    /// What each op does.
    pub work: Work,
    /// Rows and columns of the matrices.
    pub n: u32,
    /// Their elements.
    pub precision: Precision,
    /// Time for the measuring.
    pub time: Duration,
    /// How long a rung may make no progress.
    pub limit: Duration,
    /// The interpreter.
    pub python: PathBuf,
}

impl Plan {
    /// Rows of `rung`, its self-check first.
    pub fn points(&self, rung: &Rung) -> Vec<Point> {
        let strategy = Strategy {
            work: self.work,
            queue: rung.queue,
            sync: rung.sync,
            depth: 1,
            batch: 1,
            options: LaneOptions::default(),
            pool: rung.pool,
            mps: Mps::default(),
        };
        self.threads
            .iter()
            .map(|&count| Point {
                strategy,
                threads: if rung.pool { 1 } else { count },
                processes: if rung.pool { count } else { 1 },
                arm: if count == 1 {
                    Arm::SelfCheck
                } else {
                    Arm::Scaling
                },
            })
            .collect()
    }

    /// The rungs as the file has them. A rung whose support is not in the plan stands on the next
    /// lower one that is.
    pub fn infos(&self) -> Vec<RungInfo> {
        let all = rungs(&self.api).unwrap_or_default();
        let planned = |id: &str| self.rungs.iter().any(|r| r.id == id);
        let lower = |id: &'static str| all.iter().find(|r| r.id == id).and_then(|r| r.on);
        self.rungs
            .iter()
            .map(|rung| {
                let mut on = rung.on;
                while let Some(id) = on.filter(|id| !planned(id)) {
                    on = lower(id);
                }
                RungInfo {
                    id: rung.id.into(),
                    title: rung.title.into(),
                    layer: rung.layer.into(),
                    on: on.map(str::to_owned),
                    beside: rung.beside.filter(|id| planned(id)).map(str::to_owned),
                    pool: rung.pool,
                    package: rung.package().map(str::to_owned),
                }
            })
            .collect()
    }

    /// Whether any rung needs the interpreter.
    pub fn needs_python(&self) -> bool {
        self.rungs.iter().any(|r| r.package().is_some())
    }
}

/// Checks `request`.
pub fn plan(request: &Request) -> Result<Plan, Error> {
    let Some(all) = rungs(&request.api) else {
        let known = APIS.join(", ");
        let api = &request.api;
        return Err(Error::Request(format!(
            "no ladder '{api}'; there are {known}"
        )));
    };
    let Work::Matmul { n, precision } = request.work else {
        return Err(Error::Request(format!(
            "--work {}: a ladder runs the same matmul on every rung; use matmul:N or matmul:N:f16",
            request.work
        )));
    };
    let chosen = match &request.rungs {
        None => all.iter().filter(|r| r.quick || !request.quick).collect(),
        Some(names) => named(all, names, &request.api)?,
    };
    let mut threads = request.threads.clone();
    if let Some(bad) = threads.iter().find(|n| **n == 0 || **n > MOST_THREADS) {
        return Err(Error::Request(format!(
            "--threads {bad}: use numbers from 1 to {MOST_THREADS}"
        )));
    }
    threads.push(1);
    threads.sort_unstable();
    threads.dedup();
    if threads.len() < 2 {
        return Err(Error::Request(
            "--threads: give a number above 1, as in --threads 1,2,4".into(),
        ));
    }
    Ok(Plan {
        api: request.api.clone(),
        rungs: chosen,
        threads,
        work: request.work,
        n,
        precision,
        time: request.time,
        limit: request.limit,
        python: request.python.clone(),
    })
}

/// The named rungs in the ladder's order.
fn named(all: &'static [Rung], names: &[String], api: &str) -> Result<Vec<&'static Rung>, Error> {
    if let Some(wrong) = names.iter().find(|n| all.iter().all(|r| r.id != **n)) {
        let known: Vec<_> = all.iter().map(|r| r.id).collect();
        return Err(Error::Request(format!(
            "--rungs {wrong}: the {api} ladder has {}",
            known.join(", ")
        )));
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|r| names.iter().any(|n| n == r.id))
        .collect();
    if chosen.is_empty() {
        return Err(Error::Request("--rungs: name at least one".into()));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            api: "cuda".into(),
            rungs: None,
            threads: vec![4, 2, 2],
            work: Work::Matmul {
                n: 512,
                precision: Precision::F32,
            },
            time: Duration::from_secs(1),
            limit: Duration::from_secs(1),
            quick: false,
            python: "python3".into(),
        }
    }

    #[test]
    fn rungs_keep_the_ladders_order_and_one_thread_comes_first() {
        let mut request = request();
        request.rungs = Some(vec!["jax".into(), "raw".into()]);
        let plan = plan(&request).unwrap();
        let ids: Vec<_> = plan.rungs.iter().map(|r| r.id).collect();
        assert_eq!(ids, ["raw", "jax"]);
        let points = plan.points(plan.rungs[0]);
        assert_eq!(
            points.iter().map(|p| p.threads).collect::<Vec<_>>(),
            [1, 2, 4]
        );
        assert_eq!(points[0].arm, Arm::SelfCheck);
    }

    #[test]
    fn a_pool_varies_processes() {
        let mut request = request();
        request.rungs = Some(vec!["raw-pool".into()]);
        let plan = plan(&request).unwrap();
        let points = plan.points(plan.rungs[0]);
        assert!(points.iter().all(|p| p.threads == 1 && p.strategy.pool));
        assert_eq!(points[2].processes, 4);
        assert!(!plan.needs_python());
    }

    #[test]
    fn a_rung_stands_on_the_next_lower_one_that_is_there() {
        let mut request = request();
        request.rungs = Some(vec!["raw".into(), "jax".into(), "torch-pool".into()]);
        let infos = plan(&request).unwrap().infos();
        assert_eq!(infos[0].on, None);
        assert_eq!(
            (infos[1].id.as_str(), infos[1].on.as_deref()),
            ("torch-pool", None)
        );
        assert_eq!(infos[1].beside, None);
        assert_eq!(infos[2].on.as_deref(), Some("raw"));
    }

    #[test]
    fn wrong_words_are_refused_by_name() {
        type Change = fn(&mut Request);
        let cases: [(Change, &str); 5] = [
            (|r| r.api = "direct3d".into(), "direct3d"),
            (|r| r.work = Work::Noop, "noop"),
            (|r| r.rungs = Some(vec!["torhc".into()]), "torhc"),
            (|r| r.threads = vec![0, 2], "--threads 0"),
            (|r| r.threads = vec![1], "above 1"),
        ];
        for (change, word) in cases {
            let mut request = request();
            change(&mut request);
            let said = plan(&request).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
