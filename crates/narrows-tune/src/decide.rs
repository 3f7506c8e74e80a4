//! Who won, from screening pairs and duels alone: the same function chooses during the search and
//! when a report is made again from the file.

use crate::samples::{Pair, Purpose};
use crate::standing::{Standing, lead, ranking, standings};
use crate::{Goal, Space};
use narrows_model::result::Interval;
use narrows_model::stats::{Estimate, MIN_COUNT};
use std::collections::HashMap;

/// Settings that duel.
pub(crate) const FINALISTS: usize = 5;
/// Two settings closer than this are equal for all that matters.
pub(crate) const TIE: f64 = 0.02;
/// Numbers of pairs after which a duel is looked at. Few looks: looking after every pair would
/// find a difference too often.
const LOOKS: [usize; 4] = [8, 16, 32, MOST_PAIRS];
/// A duel gets no more pairs than these.
const MOST_PAIRS: usize = 64;

/// How a challenger stands against the leader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Duel {
    /// Worse, with its whole interval.
    Beaten,
    /// The whole interval lies within [`TIE`].
    Equal,
    /// Better, with its whole interval.
    Ahead,
    /// Not told apart by as many pairs as a duel gets.
    Unparted,
    /// Not known yet.
    Open,
}

/// Who leads and how the others stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// The best setting.
    pub(crate) leader: usize,
    /// The other finalists against it.
    pub(crate) others: Vec<(usize, Duel)>,
}

impl Decision {
    /// Whether nothing is open.
    pub(crate) fn is_final(&self) -> bool {
        self.others.iter().all(|(_, d)| *d != Duel::Open)
    }
}

/// Settings with enough screening pairs for an interval.
pub(crate) fn well_measured(standings: &[Standing]) -> Vec<usize> {
    let all = standings.iter().enumerate();
    all.filter(|(_, s)| s.pairs() >= MIN_COUNT)
        .map(|(i, _)| i)
        .collect()
}

/// The best for `goal`; `None`: nothing was measured well enough for it.
pub(crate) fn decide(space: &Space, pairs: &[Pair], goal: Goal) -> Option<Decision> {
    let standings = standings(space, pairs);
    let measured = well_measured(&standings);
    // The naive one alone is no choice: nothing was measured beside it.
    if measured.iter().all(|i| *i == space.naive) && space.settings.len() > 1 {
        return None;
    }
    let mut finalists = ranking(space, &standings, &measured, goal);
    finalists.truncate(FINALISTS);
    let leads = duels(space, pairs, goal);
    let mut leader = *finalists.first()?;
    let mut led = vec![leader];
    let stands = |leader: usize, other: usize| judge(&leads, other, leader);
    loop {
        let ahead = finalists
            .iter()
            .find(|f| !led.contains(f) && stands(leader, **f) == Duel::Ahead);
        match ahead {
            Some(next) => {
                leader = *next;
                led.push(leader);
            }
            None => break,
        }
    }
    let others = finalists
        .iter()
        .filter(|f| **f != leader)
        .map(|f| match stands(leader, *f) {
            // It led before and lost; a circle of three is not followed round.
            Duel::Ahead => (*f, Duel::Equal),
            duel => (*f, duel),
        })
        .collect();
    Some(Decision { leader, others })
}

type Leads = HashMap<(usize, usize), Vec<f64>>;

/// Leads of the first over the second, by the order in which they were measured.
fn duels(space: &Space, pairs: &[Pair], goal: Goal) -> Leads {
    let mut found = Leads::new();
    for pair in pairs.iter().filter(|p| p.purpose == Purpose::Duel) {
        if let Some(lead) = lead(pair, goal, space) {
            let (a, b) = (pair.setting, pair.reference);
            found.entry((a, b)).or_default().push(lead);
            found.entry((b, a)).or_default().push(-lead);
        }
    }
    found
}

fn judge(leads: &Leads, setting: usize, against: usize) -> Duel {
    let none = Vec::new();
    let all = leads.get(&(setting, against)).unwrap_or(&none);
    let look = LOOKS.iter().rev().find(|n| **n <= all.len());
    let interval = look
        .and_then(|n| all.get(..*n))
        .and_then(Estimate::of)
        .and_then(|e| e.interval);
    match interval.map_or(Duel::Open, judge_interval) {
        Duel::Open if all.len() >= MOST_PAIRS => Duel::Unparted,
        duel => duel,
    }
}

fn judge_interval(interval: Interval) -> Duel {
    match interval {
        Interval { high, .. } if high < 0.0 => Duel::Beaten,
        Interval { low, .. } if low > 0.0 => Duel::Ahead,
        Interval { low, high, .. } if low > -TIE && high < TIE => Duel::Equal,
        _ => Duel::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dimension, Setting};
    use narrows_scan::samples::Block;

    fn space() -> Space {
        let values = ["a", "b", "c"].map(str::to_owned).to_vec();
        let name = "x".to_owned();
        Space::new(vec![Dimension { name, values }], &Setting(vec![0]), |_| {
            Some(1)
        })
        .unwrap()
    }

    fn block(ops: u64) -> Block {
        Block {
            start_ns: 0,
            wall_ns: 1_000_000_000,
            ops,
            cpu_ns: None,
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency: vec![(1_000_000 / ops, ops)],
            max_latency_ns: 0,
        }
    }

    fn pairs(
        purpose: Purpose,
        (setting, a): (usize, u64),
        (reference, b): (usize, u64),
        n: u64,
    ) -> Vec<Pair> {
        (0..n)
            .map(|i| Pair {
                purpose,
                setting,
                reference,
                setting_first: i % 2 == 0,
                measured: block(a + i % 3),
                compared: block(b),
            })
            .collect()
    }

    fn screened() -> Vec<Pair> {
        let mut all = pairs(Purpose::Screen, (0, 1000), (0, 1000), 6);
        all.extend(pairs(Purpose::Screen, (1, 2000), (0, 1000), 6));
        all.extend(pairs(Purpose::Screen, (2, 2010), (0, 1000), 6));
        all
    }

    #[test]
    fn only_well_measured_settings_lead_and_nobody_without_any() {
        let few = pairs(Purpose::Screen, (1, 2000), (0, 1000), 5);
        assert_eq!(decide(&space(), &few, Goal::Throughput), None);
        let slow = pairs(Purpose::Screen, (1, 900), (0, 1000), 6);
        let found = decide(&space(), &slow, Goal::Throughput).unwrap();
        assert_eq!(found.leader, 0, "the naive one is better");
    }

    #[test]
    fn a_duel_is_judged_at_its_looks_and_turns_the_lead() {
        let mut all = screened();
        let first = decide(&space(), &all, Goal::Throughput).unwrap();
        assert_eq!(first.leader, 2);
        assert_eq!(first.others, [(1, Duel::Open), (0, Duel::Open)]);
        all.extend(pairs(Purpose::Duel, (1, 2300), (2, 2000), 7));
        assert_eq!(decide(&space(), &all, Goal::Throughput).unwrap().leader, 2);
        all.extend(pairs(Purpose::Duel, (1, 2300), (2, 2000), 1));
        let turned = decide(&space(), &all, Goal::Throughput).unwrap();
        assert_eq!(turned.leader, 1);
        assert_eq!(turned.others[0], (2, Duel::Beaten));
        let latency = decide(&space(), &all, Goal::P99).unwrap();
        assert_eq!(latency.leader, 1, "its ops are as much shorter");
    }

    #[test]
    fn equals_are_equal_and_an_endless_duel_ends() {
        let mut all = screened();
        all.extend(pairs(Purpose::Duel, (1, 2000), (2, 2001), 8));
        let others = decide(&space(), &all, Goal::Throughput).unwrap().others;
        assert_eq!(others[0], (1, Duel::Equal));
        let leads = |low: f64, n: usize| {
            let values = (0..n)
                .map(|i| if i % 2 == 0 { low } else { -low })
                .collect();
            Leads::from([((1, 2), values)])
        };
        assert_eq!(judge(&leads(0.2, 63), 1, 2), Duel::Open);
        assert_eq!(judge(&leads(0.2, 64), 1, 2), Duel::Unparted);
    }
}
