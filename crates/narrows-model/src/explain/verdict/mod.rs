//! The verdict over runs at one thread and at N: which layer, by the rule of two proofs.
//!
//! The order of the questions matters: is there anything to judge, is the machine quiet enough, is
//! there a loss at all, is the device or the processor full (right answers, no fault), and only
//! then where the loss sits. Thresholds are here, in one place, with their reasons.

mod words;

use crate::explain::causal::{Reading, Slope};
use crate::explain::cause::{Cause, causes};
use crate::explain::profile::{Profile, Ready, Worker};
use crate::explain::scaling::ScalePoint;
use crate::explain::term::{Class, Term};
use crate::explain::waterfall::{Waterfall, waterfall};
use crate::layers::Layer;
use crate::result::{Candidate, Proof, Verdict, VerdictKind};
use crate::scan::{CPU_LIMIT, FULL_FROM, SCALES_FROM};
use crate::words::{count, plural, significant};
use words::{
    absorbed_proof, gpu_proof, growth_proof, held, limits, percent, shown, slope_proof,
    waits_proof, worker_proof,
};

/// A cause must explain this share of the loss to be the answer.
pub const MAIN_SHARE: f64 = 0.5;
/// A second cause of the same kind this near to the first (as a fraction of it) makes them equals.
pub const EQUAL_SHARE: f64 = 0.6;
/// A single thread that is ready but without a core for this share of its time shares the machine
/// with others.
pub const BUSY_MACHINE: f64 = 0.10;
/// Mean time in nanoseconds that a thread which comes back waits for a core, from which on other
/// programs have the cores: waking up on an idle core takes some microseconds, the turn of another
/// program a good part of a millisecond or more.
pub const FOREIGN_TURN_NS: f64 = 100_000.0;
/// Repeats at one thread that differ by more than this say nothing about N threads.
pub const WIDEST_BASE: f64 = 0.25;

/// What the verdict is made from.
pub struct Evidence<'a> {
    /// All runs.
    pub profiles: &'a [Profile],
    /// Their points, by N.
    pub points: &'a [ScalePoint],
    /// Answers of the causal test; empty: not made.
    pub slopes: &'a [Slope],
}

/// The largest N against the smallest.
pub(super) struct Contest<'a> {
    pub(super) base: Vec<&'a Profile>,
    pub(super) at_n: Vec<&'a Profile>,
    pub(super) base_point: &'a ScalePoint,
    pub(super) point: &'a ScalePoint,
    pub(super) waterfall: Waterfall,
    pub(super) causes: Vec<Cause>,
    pub(super) slopes: &'a [Slope],
}

/// The contest, where there are two different N with ops.
pub(super) fn contest<'a>(evidence: &Evidence<'a>) -> Option<Contest<'a>> {
    let with_ops: Vec<&ScalePoint> = evidence
        .points
        .iter()
        .filter(|p| p.n.is_some() && p.runs > 0)
        .collect();
    let (base_point, point) = (*with_ops.first()?, *with_ops.last()?);
    if base_point.n == point.n {
        return None;
    }
    let of = |n| {
        evidence
            .profiles
            .iter()
            .filter(move |p| p.n == n && p.ops > 0)
            .collect()
    };
    let (base, at_n): (Vec<_>, Vec<_>) = (of(base_point.n), of(point.n));
    let waterfall = waterfall(&base, &at_n)?;
    let causes = causes(&waterfall);
    Some(Contest {
        base,
        at_n,
        base_point,
        point,
        waterfall,
        causes,
        slopes: evidence.slopes,
    })
}

/// Judges the evidence.
pub fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let Some(contest) = contest(evidence) else {
        return without_baseline(evidence);
    };
    let verdict = too_noisy(&contest)
        .or_else(|| scales(&contest))
        .or_else(|| gpu_full(&contest))
        .or_else(|| cores_full(&contest))
        .unwrap_or_else(|| main_cause(&contest));
    Verdict {
        limits: limits(&contest, verdict.kind),
        ..verdict
    }
}

fn plain(kind: VerdictKind, sentence: String) -> Verdict {
    Verdict {
        kind,
        layer: None,
        site: None,
        share: None,
        proofs: Vec::new(),
        candidates: Vec::new(),
        sentence,
        limits: String::new(),
    }
}

/// One N only, or no ops: the partition and the waits stand in the tables, the loss is unknown.
fn without_baseline(evidence: &Evidence<'_>) -> Verdict {
    let ops = evidence.points.iter().any(|p| p.runs > 0);
    let sentence = if ops {
        "Without a run at another number of threads there is no loss to explain: the baseline is \
         missing. What threads did and waited for stands in the tables."
    } else {
        "No op was seen: no thread marks ops, submits work or waits for it, or no two of them \
         worked at the same time."
    };
    let mut verdict = plain(VerdictKind::Ambiguous, sentence.into());
    verdict.limits = "Run with --scale 1,N to compare numbers of threads.".into();
    if let Some(profile) = evidence.profiles.iter().find(|p| p.ops > 0) {
        verdict.candidates = waits_of(profile);
    }
    verdict
}

/// The longest waits of a single run.
fn waits_of(profile: &Profile) -> Vec<Candidate> {
    let all = profile
        .window_ns
        .saturating_mul(u64::from(profile.op_threads))
        .max(1);
    let mut waits: Vec<(&Term, &u64)> = profile
        .terms
        .iter()
        .filter(|(t, _)| t.class == Class::Lock)
        .collect();
    waits.sort_by_key(|(_, ns)| std::cmp::Reverse(**ns));
    let candidate = |(term, ns): (&Term, &u64)| Candidate {
        layer: Some(term.layer),
        site: Some(term.site.clone()),
        what: format!("{} in {}", term.class.words(), term.place()),
        sentence: format!("{} of the threads' time", percent(*ns as f64 / all as f64)),
    };
    waits.into_iter().take(3).map(candidate).collect()
}

fn too_noisy(contest: &Contest<'_>) -> Option<Verdict> {
    let mut reasons = Vec::new();
    let base = contest.base_point;
    if let (Some(x), Some(ci)) = (base.ops_per_s, base.ci)
        && ci.relative_width(x) > WIDEST_BASE
    {
        reasons.push(format!(
            "repeats at {} range over {} of their median",
            plural(base.threads, "thread"),
            percent(ci.relative_width(x))
        ));
    }
    for (point, profiles) in [(base, &contest.base), (contest.point, &contest.at_n)] {
        // The median: in a single repeat the program's own threads may have met on one core.
        let mut shares: Vec<f64> = profiles.iter().map(|p| without_core(p)).collect();
        shares.sort_by(f64::total_cmp);
        let ready = shares.get(shares.len() / 2).copied().unwrap_or(0.0);
        let cores = contest.cores().unwrap_or(u32::MAX);
        // Else the program itself may have them.
        let spare = point.threads < cores
            && point
                .cores_used
                .is_none_or(|used| used < CPU_LIMIT * f64::from(cores));
        if spare && ready > BUSY_MACHINE {
            reasons.push(format!(
                "{} waited {} of the time for a core that other programs had",
                plural(point.threads, "thread"),
                percent(ready)
            ));
        }
    }
    if let Some(ci) = contest.point.efficiency_ci
        && ci.contains(SCALES_FROM)
        && ci.high - ci.low > 1.0 - SCALES_FROM
    {
        reasons.push(format!(
            "the efficiency lies anywhere in {}",
            shown(Some(ci))
        ));
    }
    (!reasons.is_empty()).then(|| {
        let sentence = format!(
            "Too noisy for a verdict: {}. A quieter machine or more --repeat narrows it.",
            reasons.join("; ")
        );
        plain(VerdictKind::TooNoisy, sentence)
    })
}

/// Share of the threads' time in which they were ready and other programs had the cores. A thread
/// that sleeps in every op loses its time when it wakes up, inside its waits, so the time outside
/// them is not all.
fn without_core(profile: &Profile) -> f64 {
    let outside = profile
        .terms
        .get(&Term::bare(Layer::Scheduler, Class::Scheduler));
    let long = |r: &Ready| r.ns as f64 > FOREIGN_TURN_NS * r.times.max(1) as f64;
    let in_turns = profile.ready.filter(long).map_or(0, |r| r.ns);
    let all = profile.window_ns as f64 * f64::from(profile.op_threads);
    in_turns.max(outside.copied().unwrap_or(0)) as f64 / all.max(1.0)
}

fn scales(contest: &Contest<'_>) -> Option<Verdict> {
    let efficiency = contest.point.efficiency?;
    let low = contest.point.efficiency_ci.map_or(efficiency, |ci| ci.low);
    (low >= SCALES_FROM || efficiency >= 1.0).then(|| {
        let sentence = format!("{} Submission scales.", contest.headline());
        plain(VerdictKind::Scales, sentence)
    })
}

fn gpu_full(contest: &Contest<'_>) -> Option<Verdict> {
    let busy = contest.point.gpu_busy.filter(|b| *b >= FULL_FROM)?;
    let mut verdict = plain(
        VerdictKind::GpuSaturated,
        format!(
            "{} The device works {} of the time: it is full, and more threads cannot help.",
            contest.headline(),
            percent(busy)
        ),
    );
    verdict.layer = Some(Layer::Gpu);
    verdict.proofs = vec![gpu_proof(busy)];
    Some(verdict)
}

fn cores_full(contest: &Contest<'_>) -> Option<Verdict> {
    let cores = contest.cores()?;
    let used = contest.point.cores_used?;
    let running = contest.waterfall.of_class(Class::Running)
        + contest.waterfall.of_class(Class::Scheduler)
        + contest.waterfall.of_class(Class::Unseen);
    let share = contest.waterfall.share(running)?;
    let full = used >= CPU_LIMIT * f64::from(cores) && share >= MAIN_SHARE;
    // With a core to spare per thread, running longer per op is not a lack of cores.
    let crowded = contest.point.threads >= cores;
    let ready = contest.waterfall.of_class(Class::Scheduler);
    let waits_for_cores = contest
        .waterfall
        .share(ready)
        .is_some_and(|s| s >= MAIN_SHARE / 2.0);
    (full && crowded && waits_for_cores).then(|| {
        let sentence = format!(
            "{} The program keeps {} of {} busy: cores are the limit, and {} of the loss is time \
             spent ready without one.",
            contest.headline(),
            significant(used),
            plural(cores, "core"),
            percent(contest.waterfall.share(ready).unwrap_or(0.0)),
        );
        plain(VerdictKind::CpuLimited, sentence)
    })
}

/// Where the loss sits.
fn main_cause(contest: &Contest<'_>) -> Verdict {
    let Some(first) = contest.causes.first() else {
        return ambiguous(contest, "No recorded state explains the loss.");
    };
    if first.share < MAIN_SHARE {
        let scattered = "No single cause explains half of the loss.";
        return one_layer(contest, first).unwrap_or_else(|| ambiguous(contest, scattered));
    }
    let rivals = rivals(contest, first);
    if !rivals.is_empty() {
        return equals(contest, first, &rivals);
    }
    match first.class {
        Class::Submission => back_pressure(contest, first),
        Class::Completion => completion(contest, first),
        Class::Lock | Class::Running => serialised(contest, first, first.layer),
        Class::Scheduler | Class::Unseen | Class::Other => ambiguous(
            contest,
            &format!("{} of the loss is {}.", percent(first.share), first.name()),
        ),
    }
}

/// Locks and running time of one layer that only together explain the loss: a spin that turns into
/// a sleep is both. Needs a lock of the layer whose delay costs every op all of it.
fn one_layer(contest: &Contest<'_>, first: &Cause) -> Option<Verdict> {
    let own =
        |c: &&Cause| c.layer == first.layer && matches!(c.class, Class::Lock | Class::Running);
    let parts: Vec<&Cause> = contest.causes.iter().filter(own).collect();
    let share: f64 = parts.iter().map(|c| c.share).sum();
    let lock = parts.iter().find(|c| c.class == Class::Lock)?;
    let slope = slope_of(contest, lock).filter(|s| s.reading() == Reading::Serial)?;
    if share < MAIN_SHARE {
        return None;
    }
    let proofs = vec![waits_proof(contest, lock), slope_proof(slope)];
    let names: Vec<String> = parts
        .iter()
        .map(|c| format!("{} ({})", c.name(), percent(c.share)))
        .collect();
    let words: Vec<String> = proofs.iter().map(|p| p.sentence.clone()).collect();
    let mut verdict = plain(
        VerdictKind::Serialised,
        format!(
            "{} {} of the loss is in the {}: {}. Proofs: {}.",
            contest.headline(),
            percent(share),
            first.layer,
            names.join(" and "),
            words.join("; ")
        ),
    );
    verdict.layer = Some(first.layer);
    verdict.site = lock.site();
    verdict.share = Some(share);
    verdict.proofs = proofs;
    Some(verdict)
}

/// Other causes of the same class that are nearly as large, unless the causal test separates them.
fn rivals<'a>(contest: &'a Contest<'_>, first: &Cause) -> Vec<&'a Cause> {
    let near = |c: &&Cause| c.class == first.class && c.share >= EQUAL_SHARE * first.share;
    let others: Vec<&Cause> = contest.causes[1..].iter().filter(near).collect();
    let serial = |c: &Cause| slope_of(contest, c).map(Slope::reading) == Some(Reading::Serial);
    if serial(first) && !others.iter().any(|c| serial(c)) {
        return Vec::new();
    }
    others
}

fn equals(contest: &Contest<'_>, first: &Cause, rivals: &[&Cause]) -> Verdict {
    let all: Vec<String> = std::iter::once(first)
        .chain(rivals.iter().copied())
        .map(|c| format!("{} ({})", c.name(), percent(c.share)))
        .collect();
    ambiguous(contest, &format!("Equal causes: {}.", all.join(" and ")))
}

fn back_pressure(contest: &Contest<'_>, cause: &Cause) -> Verdict {
    let mut proofs = vec![waits_proof(contest, cause)];
    proofs.extend(contest.busiest_worker().map(worker_proof));
    proofs.extend(
        contest
            .point
            .gpu_busy
            .filter(|b| *b >= FULL_FROM)
            .map(gpu_proof),
    );
    let full = proofs.len() > 1;
    let mut verdict = plain(
        if full {
            VerdictKind::BackPressure
        } else {
            VerdictKind::Ambiguous
        },
        format!(
            "{} {} of the loss is {}: the queue in front of the device is full{}.",
            contest.headline(),
            percent(cause.share),
            cause.name(),
            if full {
                ""
            } else {
                ", as far as one proof goes"
            }
        ),
    );
    verdict.share = Some(cause.share);
    verdict.proofs = proofs;
    if full {
        verdict.layer = Some(cause.layer);
        verdict.site = cause.site();
    } else {
        verdict.candidates = candidates(contest);
    }
    verdict
}

/// Ops wait for something that is not a lock: a worker thread, or the device.
fn completion(contest: &Contest<'_>, cause: &Cause) -> Verdict {
    let Some(worker) = contest.busiest_worker() else {
        let hint = match contest.point.gpu_busy {
            Some(busy) => format!("the device works {} of the time", percent(busy)),
            None => "whether the device is full was not measured (--gpu-times)".into(),
        };
        let why = format!(
            "{} of the loss is {}; {hint}.",
            percent(cause.share),
            cause.name()
        );
        return ambiguous(contest, &why);
    };
    let term = worker.idle_term.as_ref();
    let layer = term.map_or(cause.layer, |t| t.layer);
    let mut verdict = plain(
        VerdictKind::Serialised,
        format!(
            "{} {} of the loss is waiting for one worker thread, {}, of the {layer}{}, which is \
             busy {} of the time.",
            contest.headline(),
            percent(cause.share),
            worker.name,
            term.map(|t| format!(" ({})", t.place()))
                .unwrap_or_default(),
            percent(worker.busy),
        ),
    );
    verdict.layer = Some(layer);
    verdict.site = term.map(|t| t.site.clone());
    verdict.share = Some(cause.share);
    verdict.proofs = vec![waits_proof(contest, cause), worker_proof(worker)];
    verdict
}

/// A lock, or a call in which threads run longer without any wait that was seen.
fn serialised(contest: &Contest<'_>, cause: &Cause, layer: Layer) -> Verdict {
    if layer == Layer::Unseen {
        let why = "it is taken in an object that only passes calls on, by a caller nobody recorded";
        let words = format!(
            "{} of the loss is {}; {why}.",
            percent(cause.share),
            cause.name()
        );
        return ambiguous(contest, &words);
    }

    let slope = slope_of(contest, cause);
    let mut proofs = Vec::new();
    if cause.class == Class::Lock {
        proofs.push(waits_proof(contest, cause));
    }
    let reading = slope.map(Slope::reading);
    match (cause.class, slope, reading) {
        (_, Some(slope), Some(Reading::Serial)) => proofs.push(slope_proof(slope)),
        // No hook sees a spin lock. But a delay just before it is absorbed in the time that is
        // spun, which only a full serial stage behind the delay can do.
        (Class::Running, Some(slope), Some(Reading::Hidden)) => proofs.push(absorbed_proof(slope)),
        _ => {}
    }
    if cause.class == Class::Running && !proofs.is_empty() {
        proofs.push(growth_proof(cause));
    }
    if let Some(busy) = contest.point.gpu_busy.filter(|b| *b < MAIN_SHARE) {
        proofs.push(gpu_proof(busy));
    }
    let contradicted = match cause.class {
        Class::Running => reading == Some(Reading::Parallel),
        _ => matches!(reading, Some(Reading::Hidden | Reading::Parallel)),
    };
    if proofs.len() < 2 || contradicted {
        return one_proof(contest, cause, proofs, slope, contradicted);
    }
    let words: Vec<String> = proofs.iter().map(|p| p.sentence.clone()).collect();
    let mut verdict = plain(
        VerdictKind::Serialised,
        format!(
            "{} {} of the loss is {}{}. Proofs: {}.",
            contest.headline(),
            percent(cause.share),
            cause.name(),
            held(contest, cause)
                .map(|h| format!(", {h}"))
                .unwrap_or_default(),
            words.join("; ")
        ),
    );
    verdict.layer = Some(layer);
    verdict.site = cause.site();
    verdict.share = Some(cause.share);
    verdict.proofs = proofs;
    verdict
}

fn one_proof(
    contest: &Contest<'_>,
    cause: &Cause,
    proofs: Vec<Proof>,
    slope: Option<&Slope>,
    contradicted: bool,
) -> Verdict {
    let why = match (contradicted, slope) {
        (true, Some(slope)) => format!(
            "but a delay there says otherwise: slope {} {}",
            significant(slope.slope),
            shown(slope.slope_ci)
        ),
        (_, Some(slope)) => format!(
            "but the causal test does not settle it: slope {} {}",
            significant(slope.slope),
            shown(slope.slope_ci)
        ),
        (_, None) => "with one proof of two (--causal makes the second)".into(),
    };
    let held = held(contest, cause)
        .map(|h| format!(", {h}"))
        .unwrap_or_default();
    let sentence = format!(
        "{} of the loss is {}{held}, {why}.",
        percent(cause.share),
        cause.name()
    );
    let mut verdict = ambiguous(contest, &sentence);
    verdict.share = Some(cause.share);
    verdict.proofs = proofs;
    verdict
}

fn ambiguous(contest: &Contest<'_>, why: &str) -> Verdict {
    let mut verdict = plain(
        VerdictKind::Ambiguous,
        format!("{} {why}", contest.headline()),
    );
    verdict.candidates = candidates(contest);
    verdict
}

fn candidates(contest: &Contest<'_>) -> Vec<Candidate> {
    let candidate = |c: &Cause| {
        let slope = slope_of(contest, c)
            .map(|s| format!("; slope {} {}", significant(s.slope), shown(s.slope_ci)))
            .unwrap_or_default();
        Candidate {
            layer: Some(c.layer),
            site: c.site(),
            what: c.name(),
            sentence: format!("{} of the loss{slope}", percent(c.share)),
        }
    };
    contest
        .causes
        .iter()
        .filter(|c| c.share >= 0.05)
        .take(5)
        .map(candidate)
        .collect()
}

/// The causal test's answer for any place of the cause; a serial one first.
pub(super) fn slope_of<'a>(contest: &Contest<'a>, cause: &Cause) -> Option<&'a Slope> {
    let mut found: Vec<&Slope> = contest
        .slopes
        .iter()
        .filter(|s| cause.steps.iter().any(|step| step.term == s.term))
        .collect();
    found.sort_by(|a, b| b.slope.total_cmp(&a.slope));
    found.first().copied()
}

impl Contest<'_> {
    fn cores(&self) -> Option<u32> {
        self.at_n.iter().find_map(|p| p.cores)
    }

    /// `8 threads run 0.44x [0.41, 0.47] as fast as 1 (efficiency 5.5 %).`
    fn headline(&self) -> String {
        let speedup = self.point.speedup.unwrap_or(f64::NAN);
        let ci = self
            .point
            .speedup_ci
            .map(|_| format!(" {}", shown(self.point.speedup_ci)));
        format!(
            "{} run {}x{} as fast as {} ({} ops/s; efficiency {}).",
            plural(self.point.threads, "thread"),
            significant(speedup),
            ci.unwrap_or_default(),
            self.base_point.threads,
            count(self.point.ops_per_s.unwrap_or(f64::NAN)),
            percent(self.point.efficiency.unwrap_or(f64::NAN)),
        )
    }

    /// The worker that ops wait for most, if it has no time left, in every run at N.
    fn busiest_worker(&self) -> Option<&Worker> {
        let most = |p: &Profile| p.workers.first().is_some_and(|w| w.busy >= CPU_LIMIT);
        self.at_n
            .iter()
            .all(|p| most(p))
            .then(|| self.at_n.first()?.workers.first())
            .flatten()
    }
}

#[cfg(test)]
mod tests;
