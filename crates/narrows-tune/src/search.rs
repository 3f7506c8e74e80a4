//! The search itself, as a state machine that asks for one pair after the other.
//!
//! 1. *Screen*: every setting once against the naive one, then the best quarter twice as often,
//!    and so on (successive halving, Jamieson and Talwalkar, 2016). Settings on the front of
//!    throughput against latency stay in too. Where the time does not carry all settings, a random
//!    part is tried, and neighbours of the leaders follow.
//! 2. *Duel*: the leaders against each other, until they are separated or equal.
//! 3. *Confirm*: fresh pairs of the chosen settings against the naive one, and of the chosen one
//!    against itself with one change taken back.

use crate::decide::{Decision, Duel, FINALISTS, decide, well_measured};
use crate::samples::{EndReason, LeftOut, Pair, Purpose};
use crate::standing::{Standing, front, lead, ranking, standings};
use crate::{Goal, Space};
use narrows_model::stats::{Estimate, MIN_COUNT};
use std::collections::{BTreeSet, VecDeque};

/// One of this many stays after a rung.
const KEPT: usize = 4;
/// Of each other goal, and of the front, this many stay at most.
const ALSO_KEPT: usize = 2;
const FRONT: usize = 6;
/// Neighbours of leaders that are tried after a rung that could not try all.
const NEIGHBOURS: usize = 24;
/// Screening pairs that a finalist has at least.
const FINAL_PAIRS: usize = 8;

/// Which shares of the budget the phases may use, and how many fresh pairs follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The first rung stops here, tried all or not.
    pub first_rung: f64,
    /// Screening stops here.
    pub screen: f64,
    /// Duels stop here.
    pub duel: f64,
    /// Pairs of the naive setting with itself.
    pub self_checks: usize,
    /// Fresh pairs of the chosen setting against the naive one.
    pub confirm: usize,
    /// Fresh pairs of each change.
    pub effect: usize,
    /// A rung with more settings than this measures each one's pairs in one visit: making a setting
    /// ready costs time. Smaller rungs go round.
    pub ready: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            first_rung: 0.35,
            screen: 0.6,
            duel: 0.75,
            self_checks: MIN_COUNT,
            confirm: 20,
            effect: 8,
            ready: 12,
        }
    }
}

impl Limits {
    /// For programs that run for seconds: few pairs, and none are lost to making things ready.
    pub const PROGRAM: Limits = Limits {
        first_rung: 0.35,
        screen: 0.6,
        duel: 0.75,
        self_checks: 2,
        confirm: 12,
        effect: MIN_COUNT,
        ready: usize::MAX,
    };
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Measure a setting and its reference back to back.
    Pair {
        /// Why.
        purpose: Purpose,
        /// The setting.
        setting: usize,
        /// What it is compared with.
        reference: usize,
    },
    /// Nothing more.
    Done(EndReason),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Screen { rung: u32 },
    Duel,
    Confirm,
    Done,
}

/// A search under way. It reads no clock: the caller says how much of the budget is used.
pub struct Search<'a> {
    space: &'a Space,
    goal: Goal,
    limits: Limits,
    random: fastrand::Rng,
    phase: Phase,
    queue: VecDeque<(Purpose, usize, usize)>,
    /// Settings that were in a rung.
    entered: BTreeSet<usize>,
    pairs: Vec<Pair>,
    left_out: Vec<LeftOut>,
    /// The chosen setting, once it is.
    leader: Option<usize>,
    reason: EndReason,
}

impl<'a> Search<'a> {
    /// A search for `goal`; the same seed asks for the same pairs.
    pub fn new(space: &'a Space, goal: Goal, limits: Limits, seed: u64) -> Search<'a> {
        let mut search = Search {
            space,
            goal,
            limits,
            random: fastrand::Rng::with_seed(seed),
            phase: Phase::Screen { rung: 0 },
            queue: VecDeque::new(),
            entered: BTreeSet::new(),
            pairs: Vec::new(),
            left_out: Vec::new(),
            leader: None,
            reason: EndReason::TimeUp,
        };
        let others = (0..space.settings.len()).filter(|i| *i != space.naive);
        search.ask_screen(others.collect(), 1);
        // Spread over the rung, so that drift shows.
        for check in 0..limits.self_checks {
            let at = search.queue.len() * check / limits.self_checks;
            let pair = (Purpose::Screen, space.naive, space.naive);
            search.queue.insert(at, pair);
        }
        search
    }

    /// What comes next when `used` (0 to 1, or above) of the budget is used.
    pub fn step(&mut self, used: f64) -> Step {
        loop {
            self.cut(used);
            if let Some((purpose, setting, reference)) = self.queue.pop_front() {
                if self.is_out(setting) || self.is_out(reference) {
                    continue;
                }
                if purpose == Purpose::Screen {
                    self.entered.insert(setting);
                }
                return Step::Pair {
                    purpose,
                    setting,
                    reference,
                };
            }
            match self.phase {
                Phase::Screen { rung } => self.next_rung(rung + 1, used),
                Phase::Duel => self.next_duels(used),
                Phase::Confirm => self.follow_effects(used),
                Phase::Done => return Step::Done(self.reason),
            }
        }
    }

    /// Takes a measured pair.
    pub fn add(&mut self, pair: Pair) {
        self.pairs.push(pair);
    }

    /// A setting cannot be measured; it is not asked for again.
    pub fn leave_out(&mut self, left_out: LeftOut) {
        self.left_out.push(left_out);
    }

    /// Settings that a number of threads, processes or the device forbids, so far.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// The setting that everything is compared with.
    pub fn naive(&self) -> usize {
        self.space.naive
    }

    /// Pairs so far.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    fn is_out(&self, setting: usize) -> bool {
        self.left_out.iter().any(|l| l.setting == setting)
    }

    /// Throws away what the budget no longer carries.
    fn cut(&mut self, used: f64) {
        let limit = match self.phase {
            Phase::Screen { rung: 0 } => self.limits.first_rung,
            Phase::Screen { .. } => self.limits.screen,
            Phase::Duel => self.limits.duel,
            // Enough for an interval is measured even if it takes longer.
            Phase::Confirm if self.confirmed() >= MIN_COUNT => 1.0,
            Phase::Confirm | Phase::Done => f64::INFINITY,
        };
        if used >= limit {
            self.queue.clear();
        }
    }

    /// Fresh pairs of the chosen setting; enough of them where it needs none.
    fn confirmed(&self) -> usize {
        let fresh = |p: &&Pair| p.purpose == Purpose::Confirm && Some(p.setting) == self.leader;
        match self.leader {
            Some(leader) if leader != self.space.naive => self.pairs.iter().filter(fresh).count(),
            _ => MIN_COUNT,
        }
    }

    fn ask_screen(&mut self, mut settings: Vec<usize>, pairs: usize) {
        self.random.shuffle(&mut settings);
        let naive = self.space.naive;
        if settings.len() > self.limits.ready {
            let each = settings.into_iter();
            let all = each.flat_map(|s| (0..pairs).map(move |_| s));
            self.queue.extend(all.map(|s| (Purpose::Screen, s, naive)));
        } else {
            for _ in 0..pairs {
                self.random.shuffle(&mut settings);
                let all = settings.iter().map(|s| (Purpose::Screen, *s, naive));
                self.queue.extend(all);
            }
        }
    }

    /// The best of the rung before, twice as often; or, when few are left, the duels.
    fn next_rung(&mut self, rung: u32, used: f64) {
        let standings = standings(self.space, &self.pairs);
        let entered: Vec<usize> = self.entered.iter().copied().collect();
        let least = 1usize << (rung - 1);
        let alive: Vec<usize> = entered
            .iter()
            .copied()
            .filter(|i| standings.get(*i).is_some_and(|s| s.pairs() >= least))
            .collect();
        let ranked = ranking(self.space, &standings, &alive, self.goal);
        let quota = ranked.len().div_ceil(KEPT).max(FINALISTS);
        let kept = self.kept(&standings, &alive, &ranked, quota);
        if quota <= FINALISTS || used >= self.limits.screen {
            let kept = self.affordable(kept, &ranked, used);
            self.last_rung(&standings, kept);
            return;
        }
        let fresh = self.untried_neighbours(&ranked);
        self.phase = Phase::Screen { rung };
        self.ask_screen(kept, 1usize << rung);
        self.ask_screen(fresh, (1usize << rung) + least);
    }

    /// Of those who would be in the last rung, as many as the time carries to enough pairs; the
    /// best for the goal first, one at least.
    fn affordable(&self, kept: Vec<usize>, ranked: &[usize], used: f64) -> Vec<usize> {
        let per_pair = used / self.pairs.len().max(1) as f64;
        // Duels need some of it too.
        let left = (self.limits.duel - used).max(0.0) * 0.7;
        let pairs = if per_pair > 0.0 {
            left / per_pair
        } else {
            f64::INFINITY
        };
        let most = ((pairs / FINAL_PAIRS as f64) as usize).max(1);
        if kept.len() <= most {
            return kept;
        }
        let naive = self.space.naive;
        let mut few: Vec<usize> = ranked.iter().copied().filter(|i| *i != naive).collect();
        few.truncate(most.min(FINALISTS));
        few
    }

    /// Brings every survivor to the pairs that an interval needs, then the duels begin.
    fn last_rung(&mut self, standings: &[Standing], kept: Vec<usize>) {
        let naive = self.space.naive;
        let missing = |i: usize| {
            let has = standings.get(i).map_or(0, Standing::pairs);
            FINAL_PAIRS.saturating_sub(has)
        };
        let rounds = kept.iter().map(|i| missing(*i)).max().unwrap_or(0);
        for round in 0..rounds {
            let mut due: Vec<usize> = kept
                .iter()
                .copied()
                .filter(|i| missing(*i) > round)
                .collect();
            self.random.shuffle(&mut due);
            let all = due.into_iter().map(|i| (Purpose::Screen, i, naive));
            self.queue.extend(all);
        }
        self.phase = Phase::Duel;
    }

    /// Who stays: the best for the goal, a few for the other goals, the front.
    fn kept(
        &self,
        standings: &[Standing],
        alive: &[usize],
        ranked: &[usize],
        quota: usize,
    ) -> Vec<usize> {
        let mut kept: BTreeSet<usize> = ranked.iter().copied().take(quota).collect();
        for goal in Goal::ALL.into_iter().filter(|g| *g != self.goal) {
            let ranked = ranking(self.space, standings, alive, goal);
            kept.extend(ranked.into_iter().take(ALSO_KEPT));
        }
        let front = front(standings, alive);
        let step = front.len().div_ceil(FRONT).max(1);
        kept.extend(front.into_iter().step_by(step));
        kept.into_iter().collect()
    }

    fn untried_neighbours(&self, ranked: &[usize]) -> Vec<usize> {
        let leaders = ranked.iter().take(FINALISTS);
        let near: BTreeSet<usize> = leaders
            .flat_map(|leader| self.space.neighbours(*leader))
            .filter(|i| !self.entered.contains(i) && !self.is_out(*i))
            .collect();
        near.into_iter().take(NEIGHBOURS).collect()
    }

    /// One round of duels that are not decided; none, or no time: the choice is made.
    fn next_duels(&mut self, used: f64) {
        let decision = decide(self.space, &self.pairs, self.goal);
        let Some(decision) = decision else {
            self.phase = Phase::Done;
            return;
        };
        if decision.is_final() {
            self.reason = EndReason::Separated;
            self.ask_fresh(&decision);
        } else if used >= self.limits.duel {
            self.reason = EndReason::TimeUp;
            self.ask_fresh(&decision);
        } else {
            let open = decision.others.iter().filter(|(_, d)| *d == Duel::Open);
            let mut open: Vec<usize> = open.map(|(i, _)| *i).collect();
            self.random.shuffle(&mut open);
            let all = open
                .into_iter()
                .map(|i| (Purpose::Duel, i, decision.leader));
            self.queue.extend(all);
        }
    }

    /// A single change of the chosen setting that did better in its fresh pairs, with the whole
    /// interval, and that fell out early: it is screened as a finalist is, and may duel.
    fn follow_effects(&mut self, used: f64) {
        self.phase = Phase::Done;
        let Some(leader) = self.leader.filter(|_| used < self.limits.screen) else {
            return;
        };
        let standings = standings(self.space, &self.pairs);
        let known = well_measured(&standings);
        let better: Vec<usize> = (0..self.space.dimensions.len())
            .filter_map(|at| self.space.without(leader, at))
            .filter(|i| !known.contains(i) && self.does_better(*i, leader))
            .collect();
        if !better.is_empty() {
            self.last_rung(&standings, better);
        }
    }

    /// By the pairs of the chosen setting's changes.
    fn does_better(&self, setting: usize, leader: usize) -> bool {
        let of = |p: &&Pair| {
            p.purpose == Purpose::Effect && (p.setting, p.reference) == (leader, setting)
        };
        let pairs = self.pairs.iter().filter(of);
        let leads: Vec<f64> = pairs
            .filter_map(|p| lead(p, self.goal, self.space))
            .collect();
        let interval = Estimate::of(&leads).and_then(|e| e.interval);
        interval.is_some_and(|i| i.high < 0.0)
    }

    /// Fresh pairs of what was chosen.
    fn ask_fresh(&mut self, decision: &Decision) {
        if self.leader == Some(decision.leader) {
            // What followed its changes did not beat it.
            self.phase = Phase::Done;
            return;
        }
        self.phase = Phase::Confirm;
        let naive = self.space.naive;
        let mut chosen: Vec<usize> = Goal::ALL
            .into_iter()
            .filter(|g| *g != self.goal)
            .filter_map(|g| decide(self.space, &self.pairs, g))
            .map(|d| d.leader)
            .collect();
        chosen.push(decision.leader);
        chosen.sort_unstable();
        chosen.dedup();
        chosen.retain(|i| *i != naive);
        let effects: Vec<usize> = (0..self.space.dimensions.len())
            .filter_map(|at| self.space.without(decision.leader, at))
            .filter(|i| !self.is_out(*i))
            .collect();
        let leader = decision.leader;
        self.leader = Some(leader);
        // The chosen setting's interval comes first: the time may be up after it.
        let first = chosen.iter().filter(|i| **i == leader);
        let first: Vec<_> = first.map(|i| (Purpose::Confirm, *i, naive)).collect();
        (0..MIN_COUNT).for_each(|_| self.queue.extend(first.iter().copied()));
        for round in 0..self.limits.confirm.max(self.limits.effect) {
            let mut due: Vec<(Purpose, usize, usize)> = Vec::new();
            if round < self.limits.confirm {
                let due_now = |i: &&usize| **i != leader || round + MIN_COUNT < self.limits.confirm;
                let all = chosen.iter().filter(due_now);
                due.extend(all.map(|i| (Purpose::Confirm, *i, naive)));
            }
            if round < self.limits.effect {
                due.extend(effects.iter().map(|i| (Purpose::Effect, leader, *i)));
            }
            self.random.shuffle(&mut due);
            self.queue.extend(due);
        }
    }

    /// Settings with enough pairs for an interval, so far.
    pub fn well_measured(&self) -> usize {
        well_measured(&standings(self.space, &self.pairs)).len()
    }
}
