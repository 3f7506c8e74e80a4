//! The second pass of `scan`: the same submissions again for a few seconds, in a process of their
//! own with the probe inside, so that the verdict can name a layer. No number of the table comes
//! from here, and nothing that goes wrong here costs the table: it becomes the reason that is said.

use super::Args;
use crate::explain::{Experiment, Scale, explanation, read, run_all, test};
use crate::launch::{self, Settings};
use anyhow::Context;
use narrows_gpu::Chosen;
use narrows_model::scan::{analyse, to_explain};
use narrows_model::trace::run::Ended;
use narrows_scan::pass::{Pass, run as submit};
use narrows_scan::samples::{EndReason, Explained, ExplainedPass, Line, Point, Samples};
use narrows_trace::mark::OpMark;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The pass's share of the time for measuring.
const SHARE: f64 = 0.2;
/// Shortest run: long against the start of its threads.
const SHORTEST: Duration = Duration::from_millis(250);
/// Most runs of each number of threads.
const MOST_REPEATS: u32 = 3;
/// Timeline of one run.
const TIMELINE: u64 = 32 << 20;
/// Shortest causal test that has enough pairs.
const CAUSAL: Duration = Duration::from_secs(4);

/// Arguments of the hidden command that submits.
#[derive(clap::Args)]
pub(crate) struct PassArgs {
    /// An [`Order`] as JSON
    order: String,
    /// Threads
    threads: u32,
}

/// What one run does.
#[derive(Serialize, Deserialize)]
struct Order {
    pass: Pass,
    /// Length of a run with delays.
    tested: Duration,
}

/// The program that is watched.
pub(crate) fn run_pass(args: &PassArgs) -> anyhow::Result<ExitCode> {
    let order: Order = serde_json::from_str(&args.order).context("scan-pass: the order")?;
    let mut pass = order.pass;
    if std::env::var_os("NARROWS_CONTROL").is_some() {
        pass.length = order.tested;
    }
    let mark = OpMark::find();
    submit(&pass, args.threads, &|| {
        if let Some(mark) = mark {
            mark.done();
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Explains the points that are worth it. `None`: the user wants none, or the run did not finish.
pub(super) fn explain(
    args: &Args,
    chosen: &Chosen,
    samples: &Samples,
    stop: &AtomicBool,
) -> Option<Explained> {
    let finished = samples
        .end
        .as_ref()
        .is_some_and(|e| e.reason == EndReason::Finished);
    if args.no_explain || !finished {
        return None;
    }
    let mut explained = Explained::default();
    let points = points(samples);
    if points.is_empty() {
        let why = "no strategy has more than one thread";
        explained.skipped = Some(why.into());
    }
    let bench = match Bench::new(args, chosen, points.len()) {
        Ok(bench) => bench,
        Err(error) => {
            explained.skipped = Some(words(&error));
            return Some(explained);
        }
    };
    for (index, point) in points {
        if stop.load(Ordering::Relaxed) {
            explained.skipped = Some("stopped by Ctrl-C".into());
            break;
        }
        match bench.watch(index, &samples.header.points[index]) {
            Ok(explanation) => explained.passes.push(ExplainedPass {
                point: index,
                explanation,
            }),
            Err(error) => explained.skipped = Some(format!("{point}: {}", words(&error))),
        }
    }
    as_in_the_file(explained)
}

/// A number that was written and read may differ in its last digit: the result must be the one that
/// `report` makes from the file.
fn as_in_the_file(explained: Explained) -> Option<Explained> {
    let text = serde_json::to_string(&Line::Explained(explained)).ok()?;
    match serde_json::from_str(&text).ok()? {
        Line::Explained(explained) => Some(explained),
        _ => None,
    }
}

/// One line without the prefix of other commands.
fn words(error: &anyhow::Error) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    let text = chain.join(": ").replace('\n', " ");
    text.strip_prefix("trace: ")
        .map_or(text.clone(), str::to_owned)
}

/// Indices into the header's points, with their names.
fn points(samples: &Samples) -> Vec<(usize, String)> {
    let result = analyse(samples);
    let of = |target: usize| {
        let row = result.points.get(target)?;
        let same = |p: &Point| {
            narrows_model::scan::strategy_name(&p.strategy) == row.strategy
                && p.strategy.work.to_string() == row.work
                && (p.threads, p.processes) == (row.threads, row.processes)
        };
        let index = samples.header.points.iter().position(same)?;
        Some((index, row.strategy.clone()))
    };
    to_explain(&result)
        .iter()
        .filter_map(|t| of(t.point))
        .collect()
}

/// Where the runs go, how long and how often.
struct Bench<'a> {
    chosen: &'a Chosen,
    folder: Folder,
    program: PathBuf,
    length: Duration,
    repeat: u32,
    /// Time for the causal test of one point; `None`: not asked for.
    causal: Option<Duration>,
}

impl<'a> Bench<'a> {
    fn new(args: &Args, chosen: &'a Chosen, points: usize) -> anyhow::Result<Bench<'a>> {
        let program = std::env::current_exe().context("narrows cannot find itself")?;
        // A build that cannot be injected into says so here, before anything runs.
        launch::find(program.as_os_str())?;
        let budget = args.time().mul_f64(SHARE);
        let runs_each = budget.div_duration_f64(SHORTEST) / (2 * points.max(1)) as f64;
        let repeat = (runs_each as u32).clamp(1, MOST_REPEATS);
        let runs = repeat * 2 * points.max(1) as u32;
        Ok(Bench {
            chosen,
            folder: Folder::new()?,
            program,
            length: (budget / runs).max(SHORTEST),
            repeat,
            causal: args.causal.then(|| budget.max(CAUSAL)),
        })
    }

    /// Runs the point at one thread and at its own number, and explains the difference.
    fn watch(&self, index: usize, point: &Point) -> anyhow::Result<serde_json::Value> {
        eprintln!(
            "narrows: with the probe inside: {}, 1 and {} threads",
            narrows_model::scan::strategy_name(&point.strategy),
            point.threads
        );
        let scale = self.scale(index, point)?;
        if let Some(ended) = run_all(&scale)?.filter(|ended| *ended != Ended::Exit(0)) {
            anyhow::bail!("a run {ended}");
        }
        let runs = read(&scale.out, None)?;
        let first = explanation(&runs, None);
        let slopes = match self.causal {
            None => None,
            Some(time) => Some(test(&Experiment {
                scale: &scale,
                explanation: &first,
                time,
            })?),
        };
        let mut found = match &slopes {
            Some(slopes) => explanation(&runs, Some(slopes)),
            None => first,
        };
        // The order is ours; the table says what ran.
        found.command = None;
        anyhow::ensure!(
            found.points.iter().any(|p| p.point.runs > 0),
            "the probe saw no op"
        );
        Ok(serde_json::to_value(found)?)
    }

    fn scale(&self, index: usize, point: &Point) -> anyhow::Result<Scale> {
        let order = Order {
            pass: Pass {
                backend: self.chosen.info.backend.clone(),
                device: self.chosen.index,
                strategy: point.strategy,
                length: self.length,
            },
            tested: self.causal.unwrap_or_default() + Duration::from_secs(2),
        };
        let order = serde_json::to_string(&order)?;
        let mut scale = Scale {
            ns: vec![1, point.threads],
            repeat: self.repeat,
            command: vec![
                self.program.clone().into(),
                "scan-pass".into(),
                order.into(),
                "{}".into(),
            ],
            out: self.folder.path.join(format!("point-{index}")),
            settings: Settings {
                timeline_bytes: TIMELINE,
                gpu_times: true,
                // The pass makes none; without this the probe takes NARROWS_* out of its
                // environment, and with them the soft device's settings.
                children: true,
                ..Settings::default()
            },
            rules: None,
            output_aside: true,
            quiet: true,
        };
        scale.check()?;
        Ok(scale)
    }
}

/// A folder for the traces that goes away with it.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> anyhow::Result<Folder> {
        let name = format!(
            "narrows-pass-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .with_context(|| format!("{} cannot be made", Path::display(&path)))?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
