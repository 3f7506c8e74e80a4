//! The causal test on a live run: delays one point for a block, then not, many times, while the
//! program goes on, and counts ops beside it.
//!
//! The program runs once more with a control page (`narrows_trace::control`); nothing stops it.
//! The recorder's counters are read at the ends of each block, so a block's length and its ops
//! belong together. The first blocks find out how often an op meets the point, so that the delays
//! are a fixed part of an op's time whatever that number is.

use super::read::watch;
use super::scale::Scale;
use crate::{launch, recorded};
use anyhow::Context;
use narrows_model::explain::causal::{CausalBlock, CausalPair, DELAYS, Slope, slope};
use narrows_model::explain::observe::{Observed, Spot};
use narrows_model::explain::profile::OpSource;
use narrows_model::explain::result::Explanation;
use narrows_model::explain::term::{Class, Term};
use narrows_trace::control::{Controller, Point};
use narrows_trace::reader::Process;
use narrows_trace::{CallId, CallKind, Nanos, Pid, Ticks};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A block; long against the reading of counters at its ends.
const BLOCK: Duration = Duration::from_millis(50);
/// Delays, as parts of the time that one op takes (1/X).
const PARTS: [f64; DELAYS] = [0.15, 0.3, 0.6];
/// Points that are tried.
const MOST_POINTS: usize = 4;
/// Pairs per point after which the test ends.
const ENOUGH_PAIRS: usize = 60;
/// Runs of a program that ends too soon.
const MOST_RUNS: u32 = 6;
/// Timeline of a run that is only counted.
const TIMELINE: u64 = 8 << 20;
/// The program is given this long to get going.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to test.
pub(crate) struct Experiment<'a> {
    /// How the program is run.
    pub(crate) scale: &'a Scale,
    /// What the runs without delays said.
    pub(crate) explanation: &'a Explanation,
    /// Time for the blocks.
    pub(crate) time: Duration,
}

/// What was measured at one point, over all runs.
struct Series {
    /// Where the delay was, in words.
    point: String,
    /// Delays per hit, in nanoseconds; the same in all runs.
    delays: [u64; DELAYS],
    pairs: Vec<CausalPair>,
}

type Pairs = HashMap<Term, Series>;

/// Runs the test at the largest N and gives a slope for each point that was met.
pub(crate) fn test(experiment: &Experiment<'_>) -> anyhow::Result<Vec<Slope>> {
    let terms = points_to_try(experiment.explanation);
    let Some(n) = experiment
        .scale
        .ns
        .last()
        .copied()
        .filter(|_| !terms.is_empty())
    else {
        return Ok(Vec::new());
    };
    let mut pairs: Pairs = HashMap::new();
    let (mut threads, mut left) = (n, experiment.time);
    for run in 0..MOST_RUNS {
        let out = experiment.scale.out.join(format!("causal-n{n}-r{run}"));
        eprintln!("narrows: causal test, run {} with delays: N = {n}", run + 1);
        let begin = Instant::now();
        let seen = one_run(experiment, n, &out, &terms, left, &mut pairs)?;
        threads = seen.unwrap_or(threads);
        left = left.saturating_sub(begin.elapsed());
        let enough = |t: &Term| pairs.get(t).is_some_and(|s| s.pairs.len() >= ENOUGH_PAIRS);
        if left.is_zero() || terms.iter().all(enough) {
            break;
        }
    }
    let found = terms.iter().filter_map(|term| {
        let series = pairs.get(term)?;
        slope(term, &series.point, threads, &series.pairs)
    });
    Ok(found.collect())
}

/// The largest growing terms that a delay can be put at.
fn points_to_try(explanation: &Explanation) -> Vec<Term> {
    let steps = explanation.waterfall.as_deref().unwrap_or_default();
    let term = |step: &narrows_model::explain::result::Step| Term {
        layer: step.term.layer,
        class: step.class,
        site: step.term.site.clone().unwrap_or_default(),
        call: step.call.clone(),
    };
    let can = |t: &Term| match t.class {
        Class::Lock => t.site.offset.is_some(),
        Class::Running | Class::Completion | Class::Submission => t.call.is_some(),
        Class::Other | Class::Scheduler | Class::Unseen => false,
    };
    steps
        .iter()
        .filter(|s| s.term.ns_per_op > 0.0 && s.term.share >= 0.05)
        .map(term)
        .filter(can)
        .take(MOST_POINTS)
        .collect()
}

/// One run of the program with the experimenter beside it. Gives the threads that did ops.
fn one_run(
    experiment: &Experiment<'_>,
    n: u32,
    out: &Path,
    terms: &[Term],
    time: Duration,
    pairs: &mut Pairs,
) -> anyhow::Result<Option<u32>> {
    let mut plan = experiment.scale.plan(n, out.to_owned())?;
    plan.settings.timeline_bytes = plan.settings.timeline_bytes.min(TIMELINE);
    plan.variables.push(("NARROWS_CONTROL".into(), "1".into()));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bench = scope.spawn(|| {
            let mut bench = Bench::find(out, terms, &ended)?;
            bench.measure(time, pairs, &ended);
            Some(bench.threads)
        });
        let result = launch::run(&plan);
        ended.store(true, Ordering::Relaxed);
        let seen = bench.join().ok().flatten();
        result.map(|_| seen).context("causal test")
    })
}

/// A live program: its counters and its control page.
struct Bench {
    folder: PathBuf,
    pid: Pid,
    controller: Controller,
    source: OpSource,
    threads: u32,
    /// Points of this process, by term.
    points: Vec<(Term, Point, String)>,
    ticks_per_ns: f64,
    random: fastrand::Rng,
}

impl Bench {
    /// Waits until the program does ops and one process has a point to delay.
    fn find(out: &Path, terms: &[Term], ended: &AtomicBool) -> Option<Bench> {
        let begin = Instant::now();
        while !ended.load(Ordering::Relaxed) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(300));
            let Ok(recorded) = recorded::open(out, None) else {
                continue;
            };
            let observed = watch(&recorded);
            if observed.profile.ops < 10 {
                continue;
            }
            if let Some(bench) = Bench::of(out, &recorded, &observed, terms) {
                return Some(bench);
            }
        }
        None
    }

    fn of(
        out: &Path,
        recorded: &recorded::Recorded,
        observed: &Observed,
        terms: &[Term],
    ) -> Option<Bench> {
        let spots = |term: &Term| observed.points.get(term).into_iter().flatten().copied();
        let pid = terms.iter().flat_map(spots).map(pid_of).next()?;
        let process = recorded
            .trace
            .processes
            .iter()
            .rev()
            .find(|p| p.pid == pid)?;
        let mut points = Vec::new();
        for term in terms {
            let own = spots(term).find(|s| pid_of(*s) == pid);
            // A wait for completion is delayed in the call around it, a lock while it is held.
            let point = match own {
                Some(Spot::Call(_, call)) => Some((Point::Call(call), term.place())),
                Some(Spot::Site(_, site)) if term.class == Class::Lock => {
                    Some((Point::Site(site), format!("while held, {}", term.place())))
                }
                Some(Spot::Site(..)) => call_named(process, term.call.as_deref())
                    .map(|call| (Point::Call(call), term.call.clone().unwrap_or_default())),
                None => None,
            };
            if let Some((point, words)) = point {
                points.push((term.clone(), point, words));
            }
        }
        let folder = CString::new(out.as_os_str().as_bytes()).ok()?;
        let controller = Controller::open(&folder, pid).ok()?;
        (!points.is_empty()).then(|| Bench {
            folder: process.folder.clone(),
            pid,
            controller,
            source: observed.profile.op_source,
            threads: observed.profile.op_threads,
            points,
            ticks_per_ns: ticks_per_ns(),
            random: fastrand::Rng::new(),
        })
    }

    /// Pairs of blocks, all points and delays once per round in random order.
    fn measure(&mut self, time: Duration, pairs: &mut Pairs, ended: &AtomicBool) {
        let begin = Instant::now();
        let mut order: Vec<(usize, usize)> = (0..self.points.len())
            .flat_map(|p| (0..DELAYS).map(move |d| (p, d)))
            .collect();
        loop {
            self.random.shuffle(&mut order);
            for &(point, delay) in &order {
                if ended.load(Ordering::Relaxed) || begin.elapsed() > time {
                    return;
                }
                let term = self.points[point].0.clone();
                if !pairs.contains_key(&term) {
                    let Some(delays) = self.find_delays(point) else {
                        continue;
                    };
                    let point = self.points[point].2.clone();
                    pairs.insert(
                        term.clone(),
                        Series {
                            point,
                            delays,
                            pairs: Vec::new(),
                        },
                    );
                }
                let Some(series) = pairs.get_mut(&term) else {
                    continue;
                };
                series.pairs.extend(self.pair(point, series.delays[delay]));
            }
        }
    }

    /// A block with the delay and one without, in random order.
    fn pair(&mut self, point: usize, delay_ns: u64) -> Option<CausalPair> {
        let (delayed, free);
        if self.random.bool() {
            delayed = self.block(Some((point, delay_ns)))?;
            free = self.block(None)?;
        } else {
            free = self.block(None)?;
            delayed = self.block(Some((point, delay_ns)))?;
        }
        Some(CausalPair {
            delay_ns,
            delayed,
            free,
        })
    }

    /// A tiny delay counts hits; delays are then parts of an op's time over hits per op.
    fn find_delays(&mut self, point: usize) -> Option<[u64; DELAYS]> {
        let probe = self.block(Some((point, 1)))?;
        if probe.ops == 0 || probe.hits == 0 {
            return None;
        }
        let per_op = probe.wall_ns as f64 / probe.ops as f64;
        let hits = probe.hits as f64 / probe.ops as f64;
        Some(PARTS.map(|part| ((part * per_op / hits) as u64).clamp(50, 50_000_000)))
    }

    fn block(&self, delay: Option<(usize, u64)>) -> Option<CausalBlock> {
        if let Some((point, ns)) = delay {
            let ticks = (ns as f64 * self.ticks_per_ns) as u64;
            self.controller.arm(self.points[point].1, ticks.max(1));
        }
        // What is in flight when the delay starts or ends belongs to neither block.
        std::thread::sleep(BLOCK / 10);
        let (hits_before, spent_before) = (self.controller.hits(), self.controller.spent());
        let (ops_before, begin) = (self.ops()?, Instant::now());
        std::thread::sleep(BLOCK);
        let (ops, wall) = (self.ops()?, begin.elapsed());
        let spent = self.controller.spent().saturating_sub(spent_before);
        self.controller.disarm();
        Some(CausalBlock {
            wall_ns: wall.as_nanos() as u64,
            ops: ops.checked_sub(ops_before)?,
            hits: self.controller.hits().saturating_sub(hits_before),
            spent_ns: (spent as f64 / self.ticks_per_ns) as u64,
        })
    }

    /// Ops so far, by the recorder's counters.
    fn ops(&self) -> Option<u64> {
        let process = Process::open(&self.folder)
            .ok()
            .filter(|p| p.pid == self.pid)?;
        let kind = match self.source {
            OpSource::Marks => CallKind::Op,
            OpSource::SubmitAndWait => CallKind::Sync,
            OpSource::Submissions => CallKind::Submit,
            OpSource::None => return None,
        };
        let is_op = |call: CallId| {
            (kind == CallKind::Op && call == CallId::OP)
                || process.calls.get(&call).is_some_and(|c| c.kind == kind)
        };
        let calls = process.threads.values().flat_map(|t| &t.calls);
        Some(
            calls
                .filter(|(c, _)| is_op(**c))
                .map(|(_, s)| s.timed.count + s.untimed)
                .sum(),
        )
    }
}

fn pid_of(spot: Spot) -> Pid {
    match spot {
        Spot::Site(pid, _) | Spot::Call(pid, _) => pid,
    }
}

fn call_named(process: &Process, name: Option<&str>) -> Option<CallId> {
    let name = name?;
    process
        .calls
        .iter()
        .find(|(_, c)| c.name == name)
        .map(|(id, _)| *id)
}

/// The counter's rate, over a few milliseconds.
fn ticks_per_ns() -> f64 {
    let (ticks, nanos) = (Ticks::now(), Nanos::now());
    std::thread::sleep(Duration::from_millis(20));
    let (ticks, nanos) = (Ticks::now().since(ticks), Nanos::now().0 - nanos.0);
    ticks as f64 / nanos.max(1) as f64
}
