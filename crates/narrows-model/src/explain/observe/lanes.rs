//! Streams the events of a trace into the [`Timeline`]: once into bins, and once more for the exact
//! states of a short stretch. Memory goes with lanes and bins, not with the length of the trace.

use super::super::partition::{State, Window};
use super::super::term::{Class, Term};
use super::super::timeline::{
    Bins, Exact, LEVELS, Lane, LaneKind, MOST_LANES, MOST_TERMS, Pieces, Timeline,
};
use super::Source;
use super::naming::Names;
use super::ops::{self, Plan, Scan};
use super::threads::worker_name;
use crate::layers::Layer;
use crate::trace::thread_name;
use narrows_trace::reader::What;
use narrows_trace::{CallId, CallKind, Nanos, ObjectId, ThreadNo, Ticks, Tid};
use std::collections::{BTreeMap, HashMap};

/// Bins of the finest level, all lanes together; a lane has a power of two of them.
const BINS: usize = 1 << 16;
/// Most bins of one lane.
const BINS_OF_LANE: usize = 1 << 12;
/// Exact states that the stretch is chosen for.
const EXACT: u64 = 6000;
/// Exact states after which it is cut.
const MOST_EXACT: usize = 3 * EXACT as usize;

/// One thread that is drawn.
struct Drawn {
    process: usize,
    thread: ThreadNo,
    kind: LaneKind,
}

/// Threads that do ops come first, then those with most events.
fn drawn(source: &Source<'_>, plan: Option<&Plan>) -> (Vec<Drawn>, u64) {
    let is_op = |process, thread| {
        plan.is_some_and(|plan| {
            plan.threads
                .iter()
                .any(|t| t.process == process && t.thread == thread)
        })
    };
    let mut all = Vec::new();
    for (index, process) in source.trace.processes.iter().enumerate() {
        let record = &source.recording.processes[index];
        for number in process.timeline.threads() {
            let kept = record
                .threads
                .iter()
                .find(|t| t.no == number)
                .map_or(0, |t| t.kept);
            let kind = match is_op(index, number) {
                true => LaneKind::Ops,
                false => LaneKind::Other,
            };
            let drawn = Drawn {
                process: index,
                thread: number,
                kind,
            };
            all.push((kind, std::cmp::Reverse(kept), drawn));
        }
    }
    all.sort_by_key(|(kind, kept, d)| (*kind, *kept, d.process, d.thread));
    let left_out = all.len().saturating_sub(MOST_LANES);
    let mut drawn: Vec<Drawn> = all.into_iter().take(MOST_LANES).map(|a| a.2).collect();
    drawn.sort_by_key(|d| (d.kind, d.process, d.thread));
    (drawn, left_out as u64)
}

/// Draws the whole trace.
pub fn timeline(source: Source<'_>) -> Timeline {
    let scan = ops::scan(&source);
    let plan = ops::plan(&scan);
    let (drawn, left_out) = drawn(&source, plan.as_ref());
    let Some(start) = drawn.iter().filter_map(|d| first_instant(&source, d)).min() else {
        return Timeline {
            left_out,
            ..Timeline::default()
        };
    };
    let nobody = Plan {
        source: super::super::profile::OpSource::None,
        threads: Vec::new(),
        window: Window {
            start: Nanos(0),
            end: Nanos(0),
        },
        cut_by_loss: false,
    };
    let mut names = Names::new(&source, &scan, plan.as_ref().unwrap_or(&nobody));
    let mut drawing = Drawing {
        source: &source,
        scan: &scan,
        start: start.0,
        terms: Terms::default(),
        devices: BTreeMap::new(),
        most: (BINS / drawn.len().max(1).next_power_of_two()).min(BINS_OF_LANE),
    };
    let mut threads: Vec<Bins> = drawn.iter().map(|d| drawing.bins(d, &mut names)).collect();
    let devices = std::mem::take(&mut drawing.devices);
    let (keys, mut queues): (Vec<_>, Vec<Bins>) = devices.into_iter().unzip();
    let all = || threads.iter().chain(&queues);
    let shift = all().map(Bins::shift).max().unwrap_or(0);
    let length_ns = all()
        .filter_map(|b| b.range())
        .map(|r| r.1)
        .max()
        .unwrap_or(0);
    threads
        .iter_mut()
        .chain(&mut queues)
        .for_each(|b| b.coarsen_to(shift));
    let window = plan.as_ref().map(|p| {
        let within = |at: Nanos| at.0.saturating_sub(start.0).min(length_ns);
        (within(p.window.start), within(p.window.end))
    });
    let outside = drawing.terms.id(Term::bare(Layer::App, Class::Running));
    let stretch = stretch(&threads, shift, window.unwrap_or((0, length_ns)));
    let mut exact: Vec<Vec<Exact>> = Vec::new();
    let mut until = stretch.map_or(0, |s| s.1);
    if let Some(stretch) = stretch {
        for d in &drawn {
            let (found, cut) = drawing.exact(d, &mut names, stretch, MOST_EXACT / drawn.len());
            until = until.min(cut);
            exact.push(found);
        }
    }
    let (terms, rename) = drawing.terms.named(threads.iter().chain(&queues));
    let of = |bins: &Bins, outside: Option<u32>| {
        LEVELS
            .iter()
            .map(|width| bins.level(*width, outside, |t| rename[t as usize]))
            .collect()
    };
    let mut lanes: Vec<Lane> = Vec::with_capacity(drawn.len() + queues.len());
    let mut exact = exact.into_iter();
    for (d, bins) in drawn.iter().zip(&threads) {
        let mut states = exact.next().unwrap_or_default();
        states.retain(|e| e.start_ns < until);
        for state in &mut states {
            state.term = rename[usize::from(state.term)];
        }
        lanes.push(Lane {
            name: worker_name(&source, d.process, d.thread),
            pid: source.recording.processes[d.process].pid.0,
            kind: d.kind,
            levels: of(bins, Some(outside)),
            exact: states,
        });
    }
    for ((process, queue), bins) in keys.iter().zip(&queues) {
        lanes.push(Lane {
            name: format!("device queue {:#x}", queue.0),
            pid: source.recording.processes[*process].pid.0,
            kind: LaneKind::Device,
            levels: of(bins, None),
            exact: Vec::new(),
        });
    }
    Timeline {
        length_ns,
        window,
        terms,
        bin_ns: LEVELS.iter().map(|width| width << shift).collect(),
        lanes,
        left_out,
        exact: stretch.map(|s| (s.0, until)).filter(|s| s.0 < s.1),
    }
}

/// Start of a thread's first event; those of its later events that began before are cut there.
fn first_instant(source: &Source<'_>, drawn: &Drawn) -> Option<Nanos> {
    let process = &source.trace.processes[drawn.process];
    let mut events = process.timeline.thread(drawn.thread);
    let first = events.find_map(|event| match event.what {
        What::Call { start, .. } => Some(start),
        What::Wait { wait, .. } => Some(wait.start),
        what => what.at(),
    })?;
    Some(process.clock.nanos(first))
}

/// What is needed for every lane.
struct Drawing<'a> {
    source: &'a Source<'a>,
    scan: &'a Scan,
    start: u64,
    terms: Terms,
    /// Queues of devices, filled while threads are read.
    devices: BTreeMap<(usize, ObjectId), Bins>,
    most: usize,
}

/// A span of a thread's time.
struct Span {
    start: Nanos,
    end: Nanos,
    state: State,
    owner: Option<Tid>,
}

impl Drawing<'_> {
    /// Gives the spans of a thread and, in between, any other event.
    fn spans(&self, drawn: &Drawn, mut span: impl FnMut(Span), mut other: impl FnMut(&What, u64)) {
        let process = &self.source.trace.processes[drawn.process];
        let mut clock = process.clock.cursor();
        let mut since = |at: Ticks| Nanos(clock.nanos(at).0.saturating_sub(self.start));
        for event in process.timeline.thread(drawn.thread) {
            match event.what {
                What::Call {
                    call, start, end, ..
                } => {
                    let kind = process.calls.get(&call).map(|c| c.kind);
                    if call != CallId::OP && !matches!(kind, Some(CallKind::Op | CallKind::Mark)) {
                        span(Span {
                            start: since(start),
                            end: since(end),
                            state: State::In(call),
                            owner: None,
                        });
                    }
                }
                What::Wait { wait, call, .. } => span(Span {
                    start: since(wait.start),
                    end: since(wait.end),
                    state: State::Waiting {
                        kind: wait.kind,
                        site: wait.site,
                        lock: wait.lock,
                        call,
                    },
                    owner: wait.owner,
                }),
                what => other(&what, what.at().map_or(0, |at| since(at).0)),
            }
        }
    }

    /// First pass over a thread.
    fn bins(&mut self, drawn: &Drawn, names: &mut Names<'_>) -> Bins {
        let (mut bins, mut pieces) = (Bins::new(self.most), Pieces::default());
        let mut terms = std::mem::take(&mut self.terms);
        let mut devices = std::mem::take(&mut self.devices);
        let mut known: HashMap<State, u32> = HashMap::new();
        let mut ends: Option<(u64, u64)> = None;
        let mut seen = |from: u64, to: u64| {
            ends = Some(ends.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
        };
        let mut instants: Option<(u64, u64)> = None;
        self.spans(
            drawn,
            |span| {
                let id = *known
                    .entry(span.state)
                    .or_insert_with(|| terms.id(names.term(drawn.process, span.state)));
                seen(span.start.0, span.end.0);
                pieces.add(span.start, span.end, |from, to| bins.add(from, to, id));
            },
            |what, at| match what {
                What::GpuSpan(gpu) => {
                    let queue = (drawn.process, gpu.queue);
                    if let Some((from, to)) = self.on_our_clock(queue, gpu.begin, gpu.end) {
                        let lane = devices.entry(queue).or_insert_with(|| Bins::new(self.most));
                        lane.add(from, to, DEVICE);
                    }
                }
                What::GpuClock { .. } => {}
                _ => {
                    instants = Some(instants.map_or((at, at), |(a, b)| (a.min(at), b.max(at))));
                }
            },
        );
        for (from, to) in ends.into_iter().chain(instants) {
            bins.alive(from, to);
        }
        (self.terms, self.devices) = (terms, devices);
        bins
    }

    /// Second pass: states within `stretch`, and the instant up to which all of them are there.
    fn exact(
        &mut self,
        drawn: &Drawn,
        names: &mut Names<'_>,
        stretch: (u64, u64),
        most: usize,
    ) -> (Vec<Exact>, u64) {
        let record = &self.source.recording.processes[drawn.process];
        let mut terms = std::mem::take(&mut self.terms);
        let (mut pieces, mut found) = (Pieces::default(), Vec::new());
        self.spans(
            drawn,
            |span| {
                pieces.add(span.start, span.end, |from, to| {
                    let (from, to) = (from.max(stretch.0), to.min(stretch.1));
                    if from < to {
                        let id = terms.id(names.term(drawn.process, span.state));
                        found.push(Exact {
                            start_ns: from,
                            length_ns: to - from,
                            // Re-named with the bins; there are never this many states.
                            term: u16::try_from(id).unwrap_or(0),
                            owner: span.owner.map(|tid| thread_name(record, tid)),
                        });
                        // A long stretch of few bins can hold more than its bins promised.
                        if found.len() > 4 * most {
                            found.sort_by_key(|e| e.start_ns);
                            found.truncate(most + 1);
                        }
                    }
                });
            },
            |_, _| {},
        );
        self.terms = terms;
        found.sort_by_key(|e| e.start_ns);
        let cut = found.get(most).map_or(stretch.1, |e| e.start_ns);
        found.truncate(most);
        (found, cut)
    }

    /// A span of the device's clock, from the pair of instants before its start.
    fn on_our_clock(
        &self,
        queue: (usize, ObjectId),
        begin: Nanos,
        end: Nanos,
    ) -> Option<(u64, u64)> {
        let pairs = self.scan.clocks.get(&queue)?;
        let before = pairs.partition_point(|p| p.0 <= begin).saturating_sub(1);
        let (theirs, ours) = *pairs.get(before)?;
        let at = |gpu: Nanos| {
            let moved = ours.0.saturating_add(gpu.0).saturating_sub(theirs.0);
            moved.saturating_sub(self.start)
        };
        Some((at(begin), at(end)))
    }
}

/// Where exact states are kept: around the middle of the window, as long as they are not too many.
fn stretch(lanes: &[Bins], shift: u32, window: (u64, u64)) -> Option<(u64, u64)> {
    let mut counts: Vec<u64> = Vec::new();
    for bins in lanes {
        for (at, pieces) in bins.pieces().enumerate() {
            if counts.len() <= at {
                counts.resize(at + 1, 0);
            }
            counts[at] += pieces;
        }
    }
    let middle = ((window.0 + window.1) / 2) >> shift;
    let distance = |at: &usize| (*at as u64).abs_diff(middle);
    let with_any = (0..counts.len()).filter(|at| counts[*at] > 0);
    let centre = with_any.min_by_key(distance)?;
    let width = 1_u64 << shift;
    let from = centre as u64 * width;
    let mut sum = counts[centre];
    if sum > EXACT {
        let part = (u128::from(width) * u128::from(EXACT) / u128::from(sum)) as u64;
        return Some((from, from + part.max(1)));
    }
    let (mut first, mut last) = (centre, centre);
    loop {
        let before = first.checked_sub(1).map(|at| (at, counts[at]));
        let after = counts.get(last + 1).map(|count| (last + 1, *count));
        // Keep the middle in the middle as long as there is room on both sides.
        let left_first = centre - first <= last - centre;
        let fits = |side: &Option<(usize, u64)>| side.is_some_and(|(_, n)| sum + n <= EXACT);
        let next = match (fits(&before), fits(&after)) {
            (true, true) if left_first => before,
            (_, true) => after,
            (true, false) => before,
            (false, false) => break,
        };
        let Some((at, count)) = next else { break };
        (first, last) = (first.min(at), last.max(at));
        sum += count;
    }
    Some((first as u64 * width, (last as u64 + 1) * width))
}

/// The state of a device's queue that works.
const DEVICE: u32 = 0;

/// States by number.
struct Terms {
    ids: HashMap<Term, u32>,
    all: Vec<Term>,
}

impl Default for Terms {
    fn default() -> Self {
        let device = Term::bare(Layer::Gpu, Class::Running);
        Terms {
            ids: HashMap::from([(device.clone(), DEVICE)]),
            all: vec![device],
        }
    }
}

impl Terms {
    fn id(&mut self, term: Term) -> u32 {
        let next = self.all.len() as u32;
        *self.ids.entry(term).or_insert_with_key(|term| {
            self.all.push(term.clone());
            next
        })
    }

    /// The largest states, and for every state its place among them; small ones lose their site.
    fn named<'a>(&self, lanes: impl Iterator<Item = &'a Bins>) -> (Vec<Term>, Vec<u16>) {
        let mut totals = vec![0_u64; self.all.len()];
        for bins in lanes {
            bins.totals().for_each(|(t, ns)| totals[t as usize] += ns);
        }
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(totals[*at]));
        let mut names: Vec<Term> = Vec::new();
        let mut rename = vec![0_u16; self.all.len()];
        for (rank, at) in order.into_iter().enumerate() {
            let term = &self.all[at];
            let name = match rank < MOST_TERMS {
                true => term.clone(),
                false => Term::bare(term.layer, term.class),
            };
            let place = names.iter().position(|n| *n == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            rename[at] = place as u16;
        }
        (names, rename)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretch_lies_in_the_middle_and_is_bounded() {
        let mut bins = Bins::new(64);
        // 100 pieces in each of 64 bins.
        for i in 0..6400_u64 {
            bins.add(i * 10, i * 10 + 10, 1);
        }
        let shift = bins.shift();
        let (from, to) = stretch(std::slice::from_ref(&bins), shift, (0, 64_000)).unwrap();
        assert!(from < 32_000 && 32_000 < to, "{from} {to}");
        assert!((to - from) / 10 <= EXACT + 200, "{from} {to}");
        assert!((to - from) / 10 >= EXACT / 2, "{from} {to}");
        assert_eq!(stretch(&[], 10, (0, 10)), None);
    }

    #[test]
    fn a_bin_with_too_many_pieces_is_cut() {
        let mut bins = Bins::new(2);
        for i in 0..100_000_u64 {
            bins.add(i * 10, i * 10 + 10, 1);
        }
        let (from, to) =
            stretch(std::slice::from_ref(&bins), bins.shift(), (0, 1_000_000)).unwrap();
        assert!((to - from) / 10 <= EXACT, "{from} {to}");
    }

    #[test]
    fn small_states_lose_their_site_only() {
        let mut terms = Terms::default();
        let mut bins = Bins::new(64);
        for i in 0..MOST_TERMS as u32 + 50 {
            let mut term = Term::bare(Layer::Driver, Class::Lock);
            term.site.offset = Some(u64::from(i));
            let id = terms.id(term);
            bins.add(0, 100_000 - u64::from(i) * 100, id);
        }
        let (names, rename) = terms.named([&bins].into_iter());
        assert!(names.len() <= MOST_TERMS + 2, "{}", names.len());
        let last = &names[usize::from(rename[MOST_TERMS + 50])];
        assert_eq!(*last, Term::bare(Layer::Driver, Class::Lock));
        let first = &names[usize::from(rename[1])];
        assert_eq!(first.site.offset, Some(0));
    }
}
