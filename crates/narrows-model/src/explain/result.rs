//! The result of `explain`: the JSON `narrows-explain/1` (docs/json.md).

use super::advice::{Advice, advice};
use super::causal::Slope;
use super::profile::{OpSource, Profile, QueueUse};
use super::scaling::{ScalePoint, points};
use super::term::{Class, Term};
use super::verdict::{Evidence, contest, verdict};
use crate::layers::Layer;
use crate::result::{Lost, OwnCost, Owner, Site, Verdict, WaterfallTerm};
use crate::trace::{Region, Summary, TraceCall, TraceCoverage, TraceWait};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Value of [`Explanation::schema`].
pub const SCHEMA: &str = "narrows-explain/1";

/// Everything that is known after `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of narrows.
    pub tool: String,
    /// The traced command, `{}` unreplaced; `None`: the library was injected by hand.
    pub command: Option<Vec<String>>,
    /// Start of the first run, RFC 3339 in UTC.
    pub started: Option<String>,
    /// Always `None`: a trace does not open a device. Interfaces that were used stand in `calls`.
    pub device: Option<String>,
    /// The machine.
    pub environment: Machine,
    /// One row per N.
    pub points: Vec<ExplainPoint>,
    /// The answer.
    pub verdict: Verdict,
    /// From c(1) to c(N), largest step first; `None`: no two N with ops.
    pub waterfall: Option<Vec<Step>>,
    /// c at the smallest N, thread time per op.
    pub base_ns_per_op: Option<f64>,
    /// c at the largest N.
    pub cost_ns_per_op: Option<f64>,
    /// Exclusive states at each N.
    pub partitions: Vec<PartitionRow>,
    /// Who made others wait at the largest N.
    pub blame: Vec<BlameRow>,
    /// Threads that ops waited for at the largest N.
    pub workers: Vec<WorkerRow>,
    /// Answers of the causal test; `None`: not made.
    pub causal: Option<Vec<Slope>>,
    /// What to try.
    pub advice: Vec<Advice>,
    /// The single runs.
    pub runs: Vec<RunRow>,
    /// Call table of one run at the largest N.
    pub calls: Vec<TraceCall>,
    /// Regions that the program marks, of one run at the largest N.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// Lock table of that run.
    pub waits: Vec<TraceWait>,
    /// What the probe could see in that run.
    pub coverage: Option<TraceCoverage>,
    /// What was not recorded in that run.
    pub lost: Option<Lost>,
    /// The probe's own cost in that run.
    pub own_cost: Option<OwnCost>,
    /// What could not be read, one line each.
    pub damage: Vec<String>,
}

/// The machine, as far as a trace knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores that the runs could use.
    pub cores: Option<u32>,
    /// CPU model.
    pub cpu: Option<String>,
    /// Operating system and kernel.
    pub os: Option<String>,
}

/// One number of threads, in the shape that all narrows results share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainPoint {
    /// Always `program`: the program chooses how it submits.
    pub strategy: String,
    /// Whether its threads share queues or streams, in all runs that tell; `None`: not known.
    pub queue: Option<QueueUse>,
    /// Always `None`.
    pub sync: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub point: ScalePoint,
}

/// One step of the waterfall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Layer, site, ns per op, share.
    #[serde(flatten)]
    pub term: WaterfallTerm,
    /// What kind of time.
    pub class: Class,
    /// The recorded call around it.
    pub call: Option<String>,
    /// Its time per op at the smallest N.
    pub base_ns_per_op: f64,
}

/// One state at one N.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionRow {
    /// N; `None`: a trace without `--scale`.
    pub n: Option<u32>,
    /// Layer.
    pub layer: Layer,
    /// What kind of time.
    pub class: Class,
    /// Where.
    pub site: Site,
    /// The recorded call around it.
    pub call: Option<String>,
    /// Thread time per op.
    pub ns_per_op: f64,
    /// Fraction of the threads' time.
    pub share: f64,
}

/// Who owned what others waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlameRow {
    /// Layer of the wait.
    pub layer: Layer,
    /// Where the others waited.
    pub site: Site,
    /// The call they were in.
    pub call: Option<String>,
    /// How long, all runs at the largest N together.
    pub waited_ns: u64,
    /// For whom, longest first.
    pub owners: Vec<Owner>,
}

/// A thread that ops waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its name.
    pub name: String,
    /// Layer of the place where it waits for work.
    pub layer: Option<Layer>,
    /// That place.
    pub site: Option<Site>,
    /// Share of the time in which it was not waiting for work.
    pub busy: f64,
    /// Time that op threads waited for it.
    pub waited_for_ns: u64,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// N.
    pub n: Option<u32>,
    /// Position among the repeats.
    pub repeat: u32,
    /// Threads that did ops.
    pub op_threads: u32,
    /// Ops in the window.
    pub ops: u64,
    /// How ops were told.
    pub op_source: OpSource,
    /// Length of the window in which all those threads worked.
    pub window_ns: u64,
    /// Timeline events that were overwritten or dropped.
    pub lost_events: u64,
    /// Spans that overlapped without nesting, and were trimmed.
    pub trimmed: u64,
    /// Whether the window was shortened because older events had been overwritten.
    pub cut_by_loss: bool,
}

/// What an explanation is made from.
pub struct Input<'a> {
    /// One per run.
    pub profiles: &'a [Profile],
    /// Answers of the causal test; `None`: not made.
    pub slopes: Option<&'a [Slope]>,
    /// Tables of one run at the largest N.
    pub summary: &'a Summary,
    /// The machine.
    pub machine: Machine,
    /// The command as the user gave it.
    pub command: Option<Vec<String>>,
}

/// Puts the explanation together.
pub fn explain(input: &Input<'_>) -> Explanation {
    let points = points(input.profiles);
    let slopes = input.slopes.unwrap_or(&[]);
    let evidence = Evidence {
        profiles: input.profiles,
        points: &points,
        slopes,
    };
    let verdict = verdict(&evidence);
    let contest = contest(&evidence);
    let last = points.last().and_then(|p| p.n);
    let at_n: Vec<&Profile> = input.profiles.iter().filter(|p| p.n == last).collect();
    let summary = input.summary;
    let causes = contest
        .as_ref()
        .map(|c| c.causes.as_slice())
        .unwrap_or_default();
    Explanation {
        schema: SCHEMA.into(),
        tool: env!("CARGO_PKG_VERSION").into(),
        command: input.command.clone().or_else(|| summary.command.clone()),
        started: summary.started.clone(),
        device: None,
        environment: input.machine.clone(),
        advice: advice(
            &verdict,
            causes,
            &summary.calls,
            queues(input.profiles, last),
        ),
        waterfall: contest.as_ref().map(|c| steps(&c.waterfall)),
        base_ns_per_op: contest.as_ref().map(|c| c.waterfall.base_ns),
        cost_ns_per_op: contest.as_ref().map(|c| c.waterfall.cost_ns),
        partitions: partitions(input.profiles, &points),
        blame: blame(&at_n),
        workers: at_n.first().map(|p| workers(p)).unwrap_or_default(),
        causal: input.slopes.map(<[Slope]>::to_vec),
        runs: input.profiles.iter().map(run_row).collect(),
        calls: summary.calls.clone(),
        regions: summary.regions.clone(),
        waits: summary.waits.clone(),
        coverage: Some(summary.coverage.clone()),
        lost: Some(summary.lost.clone()),
        own_cost: summary.own_cost.clone(),
        damage: summary.damage.clone(),
        points: points
            .into_iter()
            .map(|p| point(queues(input.profiles, p.n), p))
            .collect(),
        verdict,
    }
}

/// What the runs at `n` say of queues; `None`: nothing, or not the same.
fn queues(profiles: &[Profile], n: Option<u32>) -> Option<QueueUse> {
    let mut told = profiles.iter().filter(|p| p.n == n).map(|p| p.queues);
    let first = told.next()?;
    told.all(|other| other == first).then_some(first)?
}

fn point(queue: Option<QueueUse>, point: ScalePoint) -> ExplainPoint {
    ExplainPoint {
        strategy: "program".into(),
        queue,
        sync: None,
        point,
    }
}

fn site(term: &Term) -> Option<Site> {
    (term.site != Site::default()).then(|| term.site.clone())
}

fn steps(waterfall: &super::waterfall::Waterfall) -> Vec<Step> {
    let step = |s: &super::waterfall::Step| Step {
        term: WaterfallTerm {
            layer: s.term.layer,
            site: site(&s.term),
            ns_per_op: s.delta_ns,
            share: waterfall.share(s.delta_ns).unwrap_or(0.0),
        },
        class: s.term.class,
        call: s.term.call.clone(),
        base_ns_per_op: s.base_ns,
    };
    waterfall.steps.iter().map(step).collect()
}

/// Sums over the repeats of each N, largest first within it.
fn partitions(profiles: &[Profile], points: &[ScalePoint]) -> Vec<PartitionRow> {
    let mut rows = Vec::new();
    for point in points {
        let runs: Vec<&Profile> = profiles
            .iter()
            .filter(|p| p.n == point.n && p.ops > 0)
            .collect();
        let ops: u64 = runs.iter().map(|r| r.ops).sum();
        let mut sums: BTreeMap<&Term, u64> = BTreeMap::new();
        for (term, ns) in runs.iter().flat_map(|r| &r.terms) {
            *sums.entry(term).or_default() += ns;
        }
        let all: u64 = sums.values().sum();
        let mut of_n: Vec<PartitionRow> = sums
            .into_iter()
            .map(|(term, ns)| PartitionRow {
                n: point.n,
                layer: term.layer,
                class: term.class,
                site: term.site.clone(),
                call: term.call.clone(),
                ns_per_op: ns as f64 / ops.max(1) as f64,
                share: ns as f64 / all.max(1) as f64,
            })
            .collect();
        of_n.sort_by(|a, b| b.ns_per_op.total_cmp(&a.ns_per_op));
        rows.extend(of_n);
    }
    rows
}

/// Thread and call of an owner.
type OwnerKey<'a> = (Option<&'a str>, Option<&'a str>);

/// Per waiting place; owners are named per run, so those of several repeats stand side by side
/// only by what they were doing.
fn blame(at_n: &[&Profile]) -> Vec<BlameRow> {
    let mut sums: BTreeMap<&Term, BTreeMap<OwnerKey<'_>, u64>> = BTreeMap::new();
    for (term, rows) in at_n.iter().flat_map(|p| &p.blame) {
        for row in rows {
            let key = (
                row.owner.as_deref().filter(|_| at_n.len() == 1),
                row.call.as_deref(),
            );
            *sums.entry(term).or_default().entry(key).or_default() += row.ns;
        }
    }
    let mut rows: Vec<BlameRow> = sums
        .into_iter()
        .filter(|(term, _)| term.class == Class::Lock)
        .map(|(term, owners)| {
            let waited_ns: u64 = owners.values().sum();
            let mut owners: Vec<Owner> = owners
                .into_iter()
                .map(|((thread, call), total_ns)| Owner {
                    thread: thread.unwrap_or("any").to_owned(),
                    layer: None,
                    call: call.map(str::to_owned),
                    total_ns,
                    share: total_ns as f64 / waited_ns.max(1) as f64,
                })
                .collect();
            owners.sort_by_key(|o| std::cmp::Reverse(o.total_ns));
            owners.truncate(8);
            BlameRow {
                layer: term.layer,
                site: term.site.clone(),
                call: term.call.clone(),
                waited_ns,
                owners,
            }
        })
        .collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.waited_ns));
    rows
}

fn workers(profile: &Profile) -> Vec<WorkerRow> {
    let row = |w: &super::profile::Worker| WorkerRow {
        name: w.name.clone(),
        layer: w.idle_term.as_ref().map(|t| t.layer),
        site: w.idle_term.as_ref().map(|t| t.site.clone()),
        busy: w.busy,
        waited_for_ns: w.waited_for_ns,
    };
    profile.workers.iter().take(16).map(row).collect()
}

fn run_row(profile: &Profile) -> RunRow {
    RunRow {
        n: profile.n,
        repeat: profile.repeat,
        op_threads: profile.op_threads,
        ops: profile.ops,
        op_source: profile.op_source,
        window_ns: profile.window_ns,
        lost_events: profile.lost_events,
        trimmed: profile.trimmed,
        cut_by_loss: profile.cut_by_loss,
    }
}
