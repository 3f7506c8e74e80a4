//! From a samples file to the result. Pure: the same file gives the same result.

use crate::decide::{Duel, decide, well_measured};
use crate::result::{Choice, Counts, Effect, Ended, Missing, Ratio, Row, SCHEMA, TuneResult};
use crate::samples::{EndReason, Header, Pair, Purpose, Samples};
use crate::standing::{front, log_p99, log_throughput, p99, standings, throughput};
use crate::{Goal, Space};
use narrows_model::stats::Estimate;
use narrows_model::words::{count, interval, plural, significant};
use narrows_scan::samples::Block;
use std::collections::{BTreeMap, BTreeSet};

const LIMITS: &str = "Holds for this work on this machine and driver. The gain is from fresh pairs, \
    measured after the choice. Settings that fell out early were measured once or a few times: \
    one among them may be as good as the chosen one.";

/// The result of `samples`.
pub fn analyse(samples: &Samples) -> TuneResult {
    let header = &samples.header;
    let measured = Measured { samples };
    let best: Vec<Choice> = Goal::ALL
        .into_iter()
        .filter_map(|goal| measured.choice(goal))
        .collect();
    let chosen = best.iter().find(|c| c.goal == header.goal).cloned();
    let mut result = TuneResult {
        schema: SCHEMA.into(),
        tool: header.tool.clone(),
        started: header.started.clone(),
        command: header.command.clone(),
        seed: header.seed,
        simulated: header.simulated,
        goal: header.goal,
        time_ns: header.time_ns,
        subject: header.subject.clone(),
        environment: header.environment.clone(),
        dimensions: header.space.dimensions.clone(),
        naive: measured.row(header.space.naive),
        self_check: measured.self_check(),
        chosen,
        best,
        effects: measured.effects(),
        pareto: measured.pareto(),
        settings: measured.counts(),
        left_out: measured.left_out(),
        end: samples.end.as_ref().map(|end| Ended {
            reason: end.reason,
            detail: end.detail.clone(),
            elapsed_ns: end.elapsed_ns,
        }),
        pairs: samples.pairs.len() as u64,
        ops: samples
            .pairs
            .iter()
            .map(|p| p.measured.ops + p.compared.ops)
            .sum(),
        skipped_lines: samples.skipped_lines,
        truncated: samples.truncated,
        sentence: String::new(),
        limits: LIMITS.into(),
    };
    result.sentence = sentence(&result);
    result
}

/// The samples, with the questions that the result asks of them.
struct Measured<'a> {
    samples: &'a Samples,
}

impl Measured<'_> {
    fn header(&self) -> &Header {
        &self.samples.header
    }

    fn space(&self) -> &Space {
        &self.header().space
    }

    fn pairs(&self, purpose: Purpose) -> impl Iterator<Item = &Pair> {
        let all = self.samples.pairs.iter();
        all.filter(move |p| p.purpose == purpose)
    }

    /// All blocks of a setting.
    fn blocks(&self, setting: usize) -> Vec<&Block> {
        let mut found = Vec::new();
        for pair in &self.samples.pairs {
            if pair.setting == setting {
                found.push(&pair.measured);
            }
            if pair.reference == setting {
                found.push(&pair.compared);
            }
        }
        found
    }

    fn row(&self, setting: usize) -> Row {
        let space = self.space();
        let blocks = self.blocks(setting);
        let of = |f: fn(&Block) -> Option<f64>| {
            let values: Vec<f64> = blocks.iter().filter_map(|b| f(b)).collect();
            Estimate::of(&values)
        };
        let (ops, latency) = (of(throughput), of(p99));
        let values = space.dimensions.iter().enumerate();
        Row {
            words: space.words(setting),
            values: values
                .map(|(at, d)| (d.name.clone(), space.word(setting, at).to_owned()))
                .collect(),
            width: space.widths.get(setting).copied().unwrap_or(1),
            ops_per_s: ops.map(|e| e.value),
            ops_ci: ops.and_then(|e| e.interval),
            p99_ns: latency.map(|e| e.value),
            p99_ci: latency.and_then(|e| e.interval),
            blocks: blocks.len() as u64,
        }
    }

    fn self_check(&self) -> Option<Ratio> {
        let naive = self.space().naive;
        let own = |p: &&Pair| p.setting == naive && p.reference == naive;
        ratio(self.pairs(Purpose::Screen).filter(own), log_throughput)
    }

    fn choice(&self, goal: Goal) -> Option<Choice> {
        let space = self.space();
        let decision = decide(space, &self.samples.pairs, goal)?;
        let setting = decision.leader;
        let of = |purpose, f| {
            let mine = |p: &&Pair| p.setting == setting && p.reference == space.naive;
            ratio(self.pairs(purpose).filter(mine), f)
        };
        let names = |wanted: &[Duel]| {
            let others = decision.others.iter();
            others
                .filter(|(_, duel)| wanted.contains(duel))
                .map(|(i, _)| space.words(*i))
                .collect()
        };
        Some(Choice {
            goal,
            setting: self.row(setting),
            is_naive: setting == space.naive,
            gain: of(Purpose::Confirm, log_throughput),
            p99_ratio: of(Purpose::Confirm, log_p99),
            gain_when_chosen: of(Purpose::Screen, log_throughput),
            ties: names(&[Duel::Equal, Duel::Unparted]),
            undecided: names(&[Duel::Open]),
        })
    }

    fn effects(&self) -> Vec<Effect> {
        let space = self.space();
        let mut by_change: BTreeMap<(usize, usize), Vec<&Pair>> = BTreeMap::new();
        let chosen = decide(space, &self.samples.pairs, self.header().goal).map(|d| d.leader);
        let of_chosen = |p: &&Pair| Some(p.setting) == chosen;
        for pair in self.pairs(Purpose::Effect).filter(of_chosen) {
            let key = (pair.setting, pair.reference);
            by_change.entry(key).or_default().push(pair);
        }
        let mut found: Vec<(usize, Effect)> = Vec::new();
        for ((setting, reference), pairs) in by_change {
            let differs = (0..space.dimensions.len())
                .find(|at| space.word(setting, *at) != space.word(reference, *at));
            let gain = ratio(pairs.iter().copied(), log_throughput);
            if let Some((at, gain)) = differs.zip(gain) {
                let effect = Effect {
                    dimension: space.dimensions[at].name.clone(),
                    chosen: space.word(setting, at).to_owned(),
                    instead: space.word(reference, at).to_owned(),
                    gain,
                    p99_ratio: ratio(pairs.iter().copied(), log_p99),
                };
                found.push((at, effect));
            }
        }
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, effect)| effect).collect()
    }

    fn pareto(&self) -> Option<Vec<Row>> {
        let standings = standings(self.space(), &self.samples.pairs);
        let front = front(&standings, &well_measured(&standings));
        let rows: Vec<Row> = front.into_iter().map(|i| self.row(i)).collect();
        (!rows.is_empty()).then_some(rows)
    }

    fn counts(&self) -> Counts {
        let standings = standings(self.space(), &self.samples.pairs);
        let mut tried: BTreeSet<usize> = BTreeSet::new();
        for pair in &self.samples.pairs {
            tried.extend([pair.setting, pair.reference]);
        }
        Counts {
            all: self.space().settings.len() as u64,
            tried: tried.len() as u64,
            well_measured: well_measured(&standings).len() as u64,
        }
    }

    fn left_out(&self) -> Vec<Missing> {
        let all = self.samples.left_out.iter();
        all.map(|l| Missing {
            setting: self.space().words(l.setting),
            why: l.why.clone(),
        })
        .collect()
    }
}

/// Median ratio over pairs; `None`: none can be used.
fn ratio<'a>(
    pairs: impl Iterator<Item = &'a Pair>,
    log: fn(&Pair) -> Option<f64>,
) -> Option<Ratio> {
    let logs: Vec<f64> = pairs.filter_map(log).collect();
    let estimate = Estimate::of(&logs)?.map_increasing(f64::exp);
    Some(Ratio {
        value: estimate.value,
        ci: estimate.interval,
        pairs: logs.len() as u64,
    })
}

/// The answer.
fn sentence(result: &TuneResult) -> String {
    let Some(chosen) = &result.chosen else {
        let why = match result.end.as_ref().map(|e| e.reason) {
            Some(EndReason::Failed) => "the measurement failed",
            Some(EndReason::Interrupted) => "the search was stopped",
            _ => "the time was too short: no setting was measured often enough; give more --time",
        };
        return format!("Nothing was chosen: {why}.");
    };
    let goal = match result.goal {
        Goal::Throughput => "most ops per second",
        Goal::P99 => "shortest 99th percentile without loss of throughput",
        Goal::Efficiency => "least thread time per op without loss of throughput",
    };
    let mut text = if chosen.is_naive {
        format!(
            "The naive setting ({}) is the best one found for {goal}: nothing was better.",
            chosen.setting.words
        )
    } else {
        format!(
            "Best for {goal}: {}. {}",
            chosen.setting.words,
            gain(chosen)
        )
    };
    text.push(' ');
    text.push_str(&stop(result, chosen));
    text
}

fn gain(chosen: &Choice) -> String {
    let Some(gain) = &chosen.gain else {
        return "Its gain was not measured in fresh pairs.".into();
    };
    let mut text = format!(
        "In {} after the choice it does {}x {} the naive setting's ops per second",
        plural(gain.pairs, "fresh pair"),
        significant(gain.value),
        interval(gain.ci, significant),
    );
    if let Some(ops) = chosen.setting.ops_per_s {
        text.push_str(&format!(" ({} ops/s)", count(ops)));
    }
    if let Some(p99) = &chosen.p99_ratio {
        text.push_str(&format!(
            ", with {}x its 99th percentile of latency",
            significant(p99.value)
        ));
    }
    text.push('.');
    text
}

/// `a and 3 more`; empty for none.
fn few(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    }
}

/// Why it ended, and who is as good.
fn stop(result: &TuneResult, chosen: &Choice) -> String {
    let equal = match few(&chosen.ties) {
        none if none.is_empty() => none,
        some => format!(" As good within 2 %, or not to be told from it: {some}."),
    };
    let why = match result.end.as_ref().map(|e| e.reason) {
        Some(EndReason::Separated) => "The search ended because the leaders are separated.".into(),
        Some(EndReason::TimeUp) if chosen.undecided.is_empty() => {
            "The search ended because the time was up.".into()
        }
        Some(EndReason::TimeUp) => format!(
            "The search ended because the time was up; not separated from it: {}.",
            few(&chosen.undecided)
        ),
        Some(EndReason::Interrupted) => "The search was stopped before its end.".into(),
        Some(EndReason::Failed) => "The search ended because a measurement failed.".into(),
        None => "The samples file has no end: the search was cut off.".into(),
    };
    format!("{why}{equal}")
}
