//! The run: one rung after the other, each in children of its own, each in interleaved pairs.
//!
//! Rungs do not run side by side: two libraries on one device would measure each other. A rung is
//! compared with itself at one thread, pair by pair, so a machine that drifts between two rungs
//! moves neither's efficiency.

use crate::child::Child;
use crate::plan::Plan;
use crate::protocol::{Answer, Job, Order, Ready};
use crate::rungs::{Rung, Runs};
use crate::samples::{End, EndReason, Failure, FailureKind, Line, Opened, Point, RungPair};
use crate::source::{Broken, Source, lost, said};
use crate::{Error, harness};
use narrows_gate::Counters;
use narrows_gpu::Precision;
use narrows_gpu::reference::Inputs;
use narrows_scan::run::{Budget, Event, run as measure};
use narrows_scan::samples::LeftOut;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shortest block.
const BLOCK: Duration = Duration::from_millis(40);
/// No block is longer than this.
const LONGEST_BLOCK: Duration = Duration::from_secs(2);
/// A block holds at least this many ops per thread: its ends cut at most one op each.
const OPS_PER_BLOCK: u32 = 40;
/// Opening may take this many times as long as a block may make no progress.
const OPENING: u32 = 4;

/// What a run stands on, besides its plan.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The command itself: `PROGRAM ladder-rung` runs a rung behind the `Device` trait.
    pub program: PathBuf,
    /// Device number in the API's list.
    pub device: usize,
    /// Its own name; empty where the API's backend lists none.
    pub device_name: String,
    /// Folders with shared libraries of the user's Python environment.
    pub libraries: Vec<PathBuf>,
    /// Seed of the randomised order.
    pub seed: u64,
}

/// What a run tells while it goes on: lines of its file, the share of the time that is used, and
/// the rung that it is at.
pub type Tell<'a> = &'a mut dyn FnMut(Option<Line>, f64, &str);

/// Measures all rungs of `plan`, until the time is used or `stop` is set.
pub fn run(plan: &Plan, ground: &Ground, stop: &AtomicBool, tell: Tell<'_>) -> Result<End, Error> {
    let begin = Instant::now();
    let place = Place::new(plan)?;
    let mut left = plan.time;
    let mut ladder = Climb {
        plan,
        ground,
        place: &place,
        stop,
        begin,
        tell,
        used: 0.0,
    };
    for (index, rung) in plan.rungs.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let share = left / (plan.rungs.len() - index) as u32;
        let spent = ladder.rung(index, rung, share);
        left = left.saturating_sub(spent);
        ladder.used = 1.0 - left.as_secs_f64() / plan.time.as_secs_f64();
    }
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(End {
        reason: if interrupted {
            EndReason::Interrupted
        } else {
            EndReason::Finished
        },
        detail: None,
        elapsed_ns: begin.elapsed().as_nanos() as u64,
        load_after: narrows_scan::environment::load_average(),
    })
}

/// A folder for the page, the inputs and the results, gone at the end.
struct Place {
    folder: PathBuf,
    inputs: Inputs,
}

impl Place {
    fn new(plan: &Plan) -> Result<Place, Error> {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() {
            shared.to_owned()
        } else {
            std::env::temp_dir()
        };
        let name = format!(
            "narrows-ladder-{}-{:016x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let place = Place {
            folder: parent.join(name),
            inputs: Inputs::new(plan.n, plan.precision),
        };
        let (a, b) = place.inputs.bytes();
        std::fs::create_dir(&place.folder)
            .and_then(|()| std::fs::write(place.file("inputs"), [a, b].concat()))
            .map_err(|source| Error::System {
                what: format!("writing into {}", place.folder.display()),
                source,
            })?;
        Ok(place)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The run's state.
struct Climb<'a, 'b> {
    plan: &'a Plan,
    ground: &'a Ground,
    place: &'a Place,
    stop: &'a AtomicBool,
    begin: Instant,
    tell: Tell<'b>,
    used: f64,
}

impl Climb<'_, '_> {
    /// Measures one rung for about `share`; what it spent on pairs.
    fn rung(&mut self, index: usize, rung: &Rung, share: Duration) -> Duration {
        let points = self.plan.points(rung);
        let mut skip: Vec<LeftOut> = Vec::new();
        let (mut spent, mut opened) = (Duration::ZERO, false);
        (self.tell)(None, self.used, rung.id);
        // Every turn but the last leaves out at least one more number of threads.
        while skip.len() < points.len() && spent < share && !self.stopped() {
            let (mut source, ready) = match self.open(rung) {
                Ok(open) => open,
                Err(broken) => {
                    self.failed(index, rung, None, broken);
                    return spent;
                }
            };
            if let Err((width, broken)) = warm_up(&mut source, &points, &skip) {
                self.broken(index, rung, &points, width, broken, &mut skip);
                continue;
            }
            if !opened {
                let line = opening(index, ready, &source, &points);
                (self.tell)(Some(line), self.used, rung.id);
                opened = true;
            }
            let begin = Instant::now();
            self.pairs(index, rung, &points, &skip, &mut source, share - spent);
            spent += begin.elapsed();
            let Some((width, broken)) = source.broken.take() else {
                return spent;
            };
            self.broken(index, rung, &points, width, broken, &mut skip);
        }
        spent
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pairs(
        &mut self,
        index: usize,
        rung: &Rung,
        points: &[Point],
        skip: &[LeftOut],
        source: &mut Source,
        time: Duration,
    ) {
        let plan = narrows_scan::plan::Plan {
            points: points.to_vec(),
            time,
        };
        let whole = self.plan.time.as_secs_f64();
        let (used, tell) = (self.used, &mut self.tell);
        let seed = self.ground.seed.wrapping_add(index as u64);
        let budget = Budget::Time(time);
        measure(&plan, skip, source, budget, seed, self.stop, &mut |event| {
            if let Event::Pair(pair, part) = event {
                let line = Line::RungPair(RungPair {
                    rung: index,
                    pair: pair.clone(),
                });
                let used = used + part * time.as_secs_f64() / whole;
                tell(Some(line), used, rung.id);
            }
        });
    }

    /// A failure while `width` threads ran: larger numbers are not tried.
    fn broken(
        &mut self,
        index: usize,
        rung: &Rung,
        points: &[Point],
        width: u32,
        broken: Broken,
        skip: &mut Vec<LeftOut>,
    ) {
        if self.stopped() {
            // A signal reaches the children too: what breaks after it is its echo.
            return;
        }
        let what = if rung.pool { "processes" } else { "threads" };
        let why = format!("not tried, since it failed with fewer {what} ({width})");
        self.failed(index, rung, Some(width), broken);
        for (at, point) in points.iter().enumerate() {
            let count = point.threads.max(point.processes);
            if count < width || skip.iter().any(|s| s.point == at) {
                continue;
            }
            skip.push(LeftOut {
                point: at,
                why: why.clone(),
            });
            if count > width {
                let not_tried = Broken {
                    kind: FailureKind::NotTried,
                    signal: None,
                    detail: why.clone(),
                };
                self.failed(index, rung, Some(count), not_tried);
            }
        }
    }

    fn failed(&mut self, index: usize, rung: &Rung, threads: Option<u32>, broken: Broken) {
        if self.stopped() {
            return;
        }
        let line = Line::Failed(Failure {
            rung: index,
            threads,
            kind: broken.kind,
            signal: broken.signal,
            detail: broken.detail.replace('\n', " "),
        });
        (self.tell)(Some(line), self.used, rung.id);
    }

    /// Starts the children of a rung, all at once, and checks the first one's result.
    fn open(&self, rung: &Rung) -> Result<(Source, Ready), Broken> {
        let most = self.plan.threads.last().copied().unwrap_or(1);
        let (count, threads) = if rung.pool { (most, 1) } else { (1, most) };
        let error = |detail: String| Broken {
            kind: FailureKind::Error,
            signal: None,
            detail,
        };
        let page_file = self.place.file(&format!("page-{:016x}", fastrand::u64(..)));
        let page = Counters::create(&page_file, most as usize).map_err(|e| error(e.to_string()))?;
        let mut children = Vec::new();
        for at in 0..count {
            let mut child = Child::start(&mut self.command(rung)).map_err(|detail| Broken {
                kind: FailureKind::Missing,
                signal: None,
                detail,
            })?;
            let result = (at == 0).then(|| self.place.file("result"));
            let job = self.job(rung, &page_file, result, at as usize, threads);
            child.tell(&Order::Open(Box::new(job)));
            children.push(child);
        }
        let mut first = None;
        for child in &mut children {
            let limit = self.plan.limit * OPENING;
            match child.hear(limit).map_err(|l| lost(child, l))? {
                Answer::Ready(ready) => first.get_or_insert(ready),
                other => return Err(said(other)),
            };
        }
        let mut ready = first.unwrap_or_default();
        // A device checks by itself; the soft one computes nothing and has nothing to check.
        if rung.package().is_some() {
            ready.max_relative_error = Some(self.check()?);
        }
        let source = Source {
            children,
            page,
            length: BLOCK,
            limit: self.plan.limit,
            begin: self.begin,
            broken: None,
        };
        Ok((source, ready))
    }

    fn command(&self, rung: &Rung) -> Command {
        match rung.runs {
            Runs::Backend | Runs::Library(_) => {
                let mut command = Command::new(&self.ground.program);
                command.arg("ladder-rung");
                command
            }
            Runs::Python(_) => harness::command(&self.plan.python),
        }
    }

    fn job(
        &self,
        rung: &Rung,
        page: &Path,
        result: Option<PathBuf>,
        slot: usize,
        threads: u32,
    ) -> Job {
        let precision = match self.plan.precision {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        };
        let kernel = match self.plan.api.as_str() {
            "opencl" => narrows_gpu::opencl::KERNELS,
            _ => "",
        };
        Job {
            api: self.plan.api.clone(),
            rung: rung.id.into(),
            device: self.ground.device,
            device_name: self.ground.device_name.clone(),
            n: self.plan.n,
            precision: precision.into(),
            inputs: self.place.file("inputs"),
            result,
            page: page.to_owned(),
            slot,
            threads,
            libraries: self.ground.libraries.clone(),
            kernel: kernel.into(),
        }
    }

    /// Compares what the child left in the result file with the CPU reference.
    fn check(&self) -> Result<f64, Broken> {
        let wrong = |detail: String| Broken {
            kind: FailureKind::WrongResult,
            signal: None,
            detail,
        };
        let file = self.place.file("result");
        let bytes = std::fs::read(&file).map_err(|e| wrong(format!("no result: {e}")))?;
        drop(std::fs::remove_file(&file));
        self.place
            .inputs
            .check("ladder", &bytes)
            .map_err(|e| match e {
                narrows_gpu::Error::WrongResult { detail, .. } => wrong(detail),
                other => wrong(other.to_string()),
            })
    }
}

fn opening(index: usize, ready: Ready, source: &Source, points: &[Point]) -> Line {
    Line::Opened(Box::new(Opened {
        rung: index,
        device: ready.device,
        software_stack: ready.software_stack,
        software: ready.software,
        stand_in: ready.stand_in,
        max_relative_error: ready.max_relative_error,
        notes: ready.notes,
        block_ns: source.length.as_nanos() as u64,
        points: points.to_vec(),
    }))
}

/// Runs each number of threads once and takes the length of a block from the slowest.
fn warm_up(source: &mut Source, points: &[Point], skip: &[LeftOut]) -> Result<(), (u32, Broken)> {
    let mut longest = BLOCK;
    for (at, point) in points.iter().enumerate() {
        if skip.iter().any(|s| s.point == at) {
            continue;
        }
        let width = point.threads.max(point.processes);
        source.length = BLOCK;
        let block = loop {
            let block = source
                .run(width, point.strategy.pool)
                .map_err(|broken| (width, broken))?;
            if block.ops > u64::from(width) || source.length >= LONGEST_BLOCK {
                break block;
            }
            source.length = (source.length * 4).min(LONGEST_BLOCK);
        };
        let per_op = Duration::from_nanos(block.wall_ns * u64::from(width) / block.ops.max(1));
        longest = longest.max((per_op * OPS_PER_BLOCK).min(LONGEST_BLOCK));
    }
    source.length = longest;
    Ok(())
}
