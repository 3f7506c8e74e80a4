//! Threads of this process. Each owns one lane per strategy; between blocks it sleeps on its
//! channel, and passes the gate with the others when a block starts.

use super::busy;
use super::drive::{Driver, Drove, merge};
use crate::Error;
use crate::clock::{Monotonic, process_cpu_ns};
use crate::samples::{Block, Strategy};
use narrows_gate::{Gate, Round};
use narrows_gpu::{Device, Lane, gcd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Beyond a block's own length, how long a thread may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long threads may take to give their lanes back before others are made.
const FAREWELL: Duration = Duration::from_secs(2);

/// When a thread ends its block although nobody has closed it: the command is gone.
pub(super) fn abandoned(length: Duration) -> Duration {
    length * 2 + Duration::from_secs(1)
}

/// What a thread is asked to do.
struct Job {
    strategy: usize,
    round: Round,
    length: Duration,
}

type Answer = Result<Drove, Error>;
type Lanes = Vec<Box<dyn Lane>>;

/// Whose threads submit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadsVia {
    /// Threads that the crew makes.
    #[default]
    Pthreads,
    /// Threads of Grand Central Dispatch's global queue (macOS), each kept for the whole run.
    Gcd,
}

impl std::str::FromStr for ThreadsVia {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "pthreads" => Ok(Self::Pthreads),
            "gcd" => Ok(Self::Gcd),
            _ => Err(format!(
                "unknown kind of threads '{word}'; possible: pthreads, gcd"
            )),
        }
    }
}

struct Member {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    /// Closed when the thread has given its lanes back.
    end: Receiver<()>,
}

/// All submitting threads.
pub(super) struct Crew {
    members: Vec<Member>,
    strategies: Vec<Strategy>,
    gate: Arc<Gate>,
    round: u32,
}

impl Crew {
    /// Makes lanes for every strategy and its number of threads, and starts the threads. Where the
    /// device cannot give a strategy that many lanes, `limited(strategy, possible, why)` is told.
    pub(super) fn new(
        device: &dyn Device,
        strategies: &[(Strategy, u32)],
        via: ThreadsVia,
        mut limited: impl FnMut(Strategy, u32, &str),
    ) -> Result<Crew, Error> {
        let width = strategies
            .iter()
            .map(|(_, n)| *n as usize)
            .max()
            .unwrap_or(0);
        if via == ThreadsVia::Gcd {
            gcd::check(width as u32)?;
        }
        let mut per_thread: Vec<Vec<Option<Box<dyn Lane>>>> = (0..width)
            .map(|_| Vec::with_capacity(strategies.len()))
            .collect();
        for (strategy, threads) in strategies {
            let (lanes, why) = most_lanes(device, *strategy, *threads)?;
            if let Some(why) = why {
                limited(*strategy, lanes.len() as u32, &why);
            }
            let mut lanes = lanes.into_iter();
            per_thread
                .iter_mut()
                .for_each(|slots| slots.push(lanes.next()));
        }
        let gate = Arc::new(Gate::local());
        let members = per_thread
            .into_iter()
            .enumerate()
            .map(|(index, lanes)| {
                let specs = strategies.iter().map(|(s, _)| *s).collect();
                Member::start(via, index, lanes, specs, Arc::clone(&gate))
            })
            .collect::<Result<_, _>>()?;
        let strategies = strategies.iter().map(|(s, _)| *s).collect();
        Ok(Crew {
            members,
            strategies,
            gate,
            round: 0,
        })
    }

    /// Runs one block on the first `width` threads.
    pub(super) fn block(
        &mut self,
        strategy: Strategy,
        width: u32,
        length: Duration,
        begin: Monotonic,
    ) -> Result<Block, Error> {
        let index = self.strategies.iter().position(|s| *s == strategy);
        let (Some(index), Some(members)) = (index, self.members.get(..width as usize)) else {
            return Err(Error::Request(format!(
                "no lanes for {strategy:?} at {width} threads"
            )));
        };
        self.round += 1;
        let round = Round(self.round);
        for (at, member) in members.iter().enumerate() {
            member
                .jobs
                .send(Job {
                    strategy: index,
                    round,
                    length,
                })
                .map_err(|_| silent(at))?;
        }
        let (opened, cpu_before) = self.gate.open_for(round, width, PATIENCE, || {
            let cpu = process_cpu_ns();
            (Monotonic::now(), cpu)
        })?;
        std::thread::sleep(length);
        self.gate.close(round);
        let answers: Vec<Answer> = members
            .iter()
            .enumerate()
            .map(
                |(at, member)| match member.answers.recv_timeout(length * 4 + PATIENCE) {
                    Ok(answer) => answer,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        Err(silent(at))
                    }
                },
            )
            .collect();
        let cpu = process_cpu_ns().saturating_sub(cpu_before);
        let drove = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(sum_block(&drove, opened, begin, Some(cpu)))
    }
}

/// Sums what the threads or processes of a block did.
pub(super) fn sum_block(
    drove: &[Drove],
    opened: Monotonic,
    begin: Monotonic,
    cpu_ns: Option<u64>,
) -> Block {
    let mut latency = Vec::new();
    drove.iter().for_each(|d| merge(&mut latency, &d.latency));
    let wall_ns = drove
        .iter()
        .map(|d| d.ended.since(opened))
        .max()
        .unwrap_or(0);
    let device = busy::union(drove.iter().map(|d| d.busy.as_ref()));
    Block {
        start_ns: opened.since(begin),
        wall_ns,
        ops: drove.iter().map(|d| d.ops).sum(),
        cpu_ns,
        // The device's clock may run a little faster than ours.
        gpu_busy_ns: device.map(|d| d.busy_ns.min(wall_ns)),
        gpu_work_ns: device.map(|d| d.total_ns),
        latency,
        max_latency_ns: drove.iter().map(|d| d.max_latency_ns).max().unwrap_or(0),
    }
}

fn silent(at: usize) -> Error {
    Error::Silent {
        who: format!("submitting thread {at}"),
        limit: PATIENCE,
    }
}

/// As many lanes as wanted, or the most that the device gives with the reason for not more.
fn most_lanes(
    device: &dyn Device,
    strategy: Strategy,
    wanted: u32,
) -> Result<(Lanes, Option<String>), Error> {
    let mut why = None;
    for count in (1..=wanted).rev() {
        match device.lanes(strategy.lane_spec(), count) {
            Ok(lanes) => return Ok((lanes, why)),
            Err(error @ narrows_gpu::Error::Unsupported { .. }) => {
                why.get_or_insert(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((Vec::new(), why))
}

impl Member {
    fn start(
        via: ThreadsVia,
        index: usize,
        lanes: Vec<Option<Box<dyn Lane>>>,
        specs: Vec<Strategy>,
        gate: Arc<Gate>,
    ) -> Result<Member, Error> {
        let (jobs, inbox) = channel();
        let (outbox, answers) = channel();
        let driver = Driver::new()?;
        let (ending, end) = channel();
        let main = move || {
            member_main(driver, lanes, &specs, &gate, &inbox, &outbox);
            drop(ending);
        };
        match via {
            ThreadsVia::Gcd => gcd::spawn(main)?,
            ThreadsVia::Pthreads => std::thread::Builder::new()
                .name(format!("submit-{index}"))
                .spawn(main)
                .map(drop)
                .map_err(|source| Error::System {
                    what: format!("starting thread {index}"),
                    source,
                })?,
        }
        Ok(Member { jobs, answers, end })
    }
}

fn member_main(
    mut driver: Driver,
    mut lanes: Vec<Option<Box<dyn Lane>>>,
    specs: &[Strategy],
    gate: &Gate,
    inbox: &Receiver<Job>,
    outbox: &Sender<Answer>,
) {
    while let Ok(job) = inbox.recv() {
        let passed = gate.pass(job.round, PATIENCE);
        let answer = match (&mut lanes[job.strategy], passed) {
            (Some(lane), Ok(())) => {
                let spec = &specs[job.strategy];
                let (depth, batch) = (spec.depth, spec.batch);
                let closed = || gate.is_closed(job.round);
                driver
                    .drive(&mut **lane, depth, batch, abandoned(job.length), closed)
                    .map_err(Error::from)
            }
            (_, Err(error)) => Err(error.into()),
            (None, _) => Err(Error::Request("this thread has no lane".into())),
        };
        if outbox.send(answer).is_err() {
            return;
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Without their channels the threads end.
        let ends: Vec<_> = self.members.drain(..).map(|member| member.end).collect();
        let deadline = Instant::now() + FAREWELL;
        for end in ends {
            // A thread that hangs in the driver would hang us too: leave it to the process's end.
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = end.recv_timeout(left);
        }
    }
}
