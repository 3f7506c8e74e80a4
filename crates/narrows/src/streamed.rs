//! A recording's timeline with names, streamed from its files for the exporters.
//!
//! What is held: names, sites, threads, and at most 4,096 clock pairs per GPU queue. Events are read
//! anew for each pass.

use crate::recorded::{self, Recorded};
use narrows_model::layers::Layer;
use narrows_model::trace::timeline::{
    Timeline, TimelineEvent, TimelineProcess, TimelineThread, TimelineWhat,
};
use narrows_model::trace::{CallName, Place, layer_of, layer_of_wait, modules_at, name_of, wanted};
use narrows_trace::reader::{Event, What};
use narrows_trace::{CallId, CodeAddr, LockAddr, Nanos, ObjectId, ThreadNo, Ticks, WaitKind};
use std::collections::{BTreeSet, HashMap};

/// Clock pairs kept per GPU queue: one a second for more than an hour.
const PAIRS: usize = 4096;

/// The timeline of a trace folder.
pub(crate) struct Streamed<'a> {
    recorded: &'a Recorded,
    processes: Vec<TimelineProcess>,
    names: Vec<Names>,
    /// GPU spans whose queue left no clock pair: they have no place on our clock.
    pub(crate) unplaced: u64,
}

/// Names of one process.
#[derive(Default)]
struct Names {
    calls: HashMap<CallId, (CallName, Layer)>,
    sites: HashMap<CodeAddr, (Place, String)>,
    /// GPU clock and ours, by queue, in the order of recording.
    clocks: HashMap<ObjectId, Vec<(Nanos, Nanos)>>,
}

impl<'a> Streamed<'a> {
    /// Looks at names, threads and GPU clocks; reads the timelines once.
    pub(crate) fn new(recorded: &'a Recorded) -> Self {
        let addresses = wanted(&recorded.recording);
        let places = recorded::places(&recorded.recording, &addresses);
        let mut streamed = Streamed {
            recorded,
            processes: Vec::new(),
            names: Vec::new(),
            unplaced: 0,
        };
        for (index, addresses) in addresses.iter().enumerate() {
            let record = &recorded.recording.processes[index];
            let mut names = Names::default();
            for &address in addresses {
                let place = places.get(index, record, address);
                let label = label(&place);
                names.sites.insert(address, (place, label));
            }
            streamed.names.push(names);
            streamed.processes.push(process(recorded, index));
            streamed.read_clocks(index);
        }
        streamed
    }

    /// Finds the GPU clocks and the calls that occur, and counts spans without a clock.
    fn read_clocks(&mut self, index: usize) {
        let process = &self.recorded.trace.processes[index];
        let record = &self.recorded.recording.processes[index];
        let names = &mut self.names[index];
        let mut spans: HashMap<ObjectId, u64> = HashMap::new();
        let mut calls: BTreeSet<CallId> = record.calls.keys().copied().collect();
        for thread in process.timeline.threads() {
            for Event { what, .. } in process.timeline.thread(thread) {
                match what {
                    What::GpuClock { queue, gpu, at } => {
                        let pairs = names.clocks.entry(queue).or_default();
                        if pairs.len() < PAIRS {
                            pairs.push((gpu, process.clock.nanos(at)));
                        }
                    }
                    What::GpuSpan(span) => *spans.entry(span.queue).or_default() += 1,
                    What::Call { call, .. } => {
                        calls.insert(call);
                    }
                    _ => {}
                }
            }
        }
        names
            .clocks
            .values_mut()
            .for_each(|pairs| pairs.sort_unstable());
        for call in calls {
            let name = name_of(record, call);
            let layer = layer_of(&self.recorded.rules, &name);
            names.calls.insert(call, (name, layer));
        }
        let without = spans
            .iter()
            .filter(|(queue, _)| !names.clocks.contains_key(queue));
        self.unplaced += without.map(|(_, count)| count).sum::<u64>();
    }
}

fn process(recorded: &Recorded, index: usize) -> TimelineProcess {
    let record = &recorded.recording.processes[index];
    let threads = recorded.trace.processes[index].timeline.threads();
    let thread = |ThreadNo(number): ThreadNo| {
        let known = record.threads.iter().find(|thread| thread.no.0 == number);
        TimelineThread {
            number,
            tid: known
                .and_then(|thread| thread.tid)
                .map_or(number, |tid| tid.0),
            name: known
                .and_then(|thread| thread.name.clone())
                .unwrap_or_default(),
        }
    };
    TimelineProcess {
        pid: record.pid.0,
        name: record
            .program
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        arguments: record.arguments.clone(),
        threads: threads.map(thread).collect(),
    }
}

/// `libcuda.so.1 cuLaunchKernel`, `libcuda.so.1+0x12`, or a bare address.
fn label(place: &Place) -> String {
    let Some(object) = &place.object else {
        return format!("{:#x}", place.offset);
    };
    let name = object.rsplit('/').next().unwrap_or(object);
    match &place.symbol {
        Some(symbol) => format!("{name} {symbol}"),
        None => format!("{name}+{:#x}", place.offset),
    }
}

impl Timeline for Streamed<'_> {
    fn processes(&self) -> &[TimelineProcess] {
        &self.processes
    }

    fn events(&self, process: usize, thread: usize, each: &mut dyn FnMut(&TimelineEvent<'_>)) {
        let number = ThreadNo(self.processes[process].threads[thread].number);
        let timeline = &self.recorded.trace.processes[process].timeline;
        for event in timeline.thread(number) {
            self.one(process, &event.what, each);
        }
    }
}

impl Streamed<'_> {
    fn one(&self, process: usize, what: &What, each: &mut dyn FnMut(&TimelineEvent<'_>)) {
        let clock = &self.recorded.trace.processes[process].clock;
        let span = |start: Ticks, end: Ticks| (clock.nanos(start), clock.nanos(end));
        let names = &self.names[process];
        match *what {
            What::Call {
                call: CallId::OP,
                start,
                end,
                object,
                ..
            } => {
                give(
                    span(start, end),
                    TimelineWhat::Op { object: object.0 },
                    each,
                );
            }
            What::Call {
                call,
                start,
                end,
                object,
                failed,
            } => {
                let (name, layer) = names.call(call);
                let what = TimelineWhat::Call {
                    name,
                    layer,
                    object: object.0,
                    failed,
                };
                give(span(start, end), what, each);
            }
            What::Wait {
                wait,
                call,
                owner_call,
            } => {
                let at = clock.nanos(wait.end);
                let (layer, site) = self.site(process, wait.kind, wait.site, call, at);
                let LockAddr(lock) = wait.lock;
                let what = TimelineWhat::Wait {
                    kind: wait.kind.word(),
                    layer,
                    site: &site,
                    lock,
                    owner: wait.owner.map(|tid| tid.0),
                    owner_call: names.inside(owner_call),
                    inside: names.inside(call),
                    failed: wait.failed,
                };
                give(span(wait.start, wait.end), what, each);
            }
            What::Wake {
                kind,
                lock: LockAddr(lock),
                site,
                at,
                call,
            } => {
                let now = clock.nanos(at);
                let (_, site) = self.site(process, kind, site, call, now);
                give(
                    (now, now),
                    TimelineWhat::Wake {
                        kind: kind.word(),
                        lock,
                        site: &site,
                    },
                    each,
                );
            }
            What::Mark { mark, value, at } => {
                let (name, _) = names.call(mark);
                let now = clock.nanos(at);
                give((now, now), TimelineWhat::Mark { name, value }, each);
            }
            What::GpuSpan(gpu) => {
                let (name, _) = names.call(gpu.call);
                let times = names
                    .on_our_clock(gpu.queue, gpu.begin)
                    .zip(names.on_our_clock(gpu.queue, gpu.end));
                if let Some(times) = times {
                    give(
                        times,
                        TimelineWhat::Gpu {
                            name,
                            queue: gpu.queue.0,
                        },
                        each,
                    );
                }
            }
            What::GpuClock { .. } => {}
            What::Cpu(sample) => {
                let now = clock.nanos(sample.at);
                let (voluntary, involuntary) = (sample.voluntary, sample.involuntary);
                let what = TimelineWhat::Cpu {
                    cpu: sample.cpu,
                    voluntary,
                    involuntary,
                };
                give((now, now), what, each);
            }
        }
    }

    /// Layer and label of a site. Sites without a place in the tables (wakes, mostly) are looked
    /// up in the module map of that instant and have no function.
    fn site(
        &self,
        process: usize,
        kind: WaitKind,
        address: CodeAddr,
        inside: CallId,
        at: Nanos,
    ) -> (Layer, String) {
        let record = &self.recorded.recording.processes[process];
        let known = self.names[process].sites.get(&address);
        let (place, label) = match known {
            Some((place, label)) if !place.ambiguous => (place.clone(), label.clone()),
            _ => {
                let place = at_instant(record, address, at);
                let label = label(&place);
                (place, label)
            }
        };
        let inside = (inside != CallId::NONE).then_some(inside);
        let rules = &self.recorded.rules;
        (layer_of_wait(rules, record, kind, &place, inside).0, label)
    }
}

fn at_instant(record: &narrows_model::trace::ProcessRecord, address: CodeAddr, at: Nanos) -> Place {
    let inside = CodeAddr(address.0.saturating_sub(1));
    let found = modules_at(&record.modules, inside, Some(at));
    match found.first() {
        Some(module) => Place {
            object: Some(module.path.clone()),
            offset: address.0.wrapping_sub(module.bias),
            symbol: None,
            ambiguous: false,
        },
        None => Place {
            offset: address.0,
            ..Place::default()
        },
    }
}

fn give(
    (start, end): (Nanos, Nanos),
    what: TimelineWhat<'_>,
    each: &mut dyn FnMut(&TimelineEvent<'_>),
) {
    each(&TimelineEvent { start, end, what });
}

impl Names {
    fn call(&self, call: CallId) -> (&str, Layer) {
        self.calls
            .get(&call)
            .map_or(("(unknown)", Layer::App), |(name, layer)| {
                (&name.name, *layer)
            })
    }

    fn inside(&self, call: CallId) -> Option<&str> {
        (call != CallId::NONE).then(|| self.call(call).0)
    }

    /// An instant of the queue's clock on ours, from the nearest pair before it (or the first).
    fn on_our_clock(&self, queue: ObjectId, gpu: Nanos) -> Option<Nanos> {
        let pairs = self.clocks.get(&queue)?;
        let before = pairs
            .partition_point(|pair| pair.0 <= gpu)
            .saturating_sub(1);
        let (their, ours) = *pairs.get(before)?;
        if gpu >= their {
            return Some(Nanos(ours.0.saturating_add(gpu.0 - their.0)));
        }
        Some(Nanos(ours.0.saturating_sub(their.0 - gpu.0)))
    }
}
