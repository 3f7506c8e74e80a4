//! The child of a rung behind the `Device` trait: the command itself, started again.

use crate::protocol::{Answer, Job, Order, PREFIX, Ready};
use narrows_gate::Counters;
use narrows_gpu::{Device, Error, Lane, LaneOptions, LaneSpec, Work};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Runs the child until its input ends. The result is whether all went well.
pub fn main(input: &mut dyn BufRead) -> bool {
    let mut crew: Option<Crew> = None;
    for line in input.lines().map_while(Result::ok) {
        let answer = match serde_json::from_str::<Order>(&line) {
            Ok(Order::Open(job)) => match Crew::open(&job) {
                Ok((opened, ready)) => {
                    crew = Some(opened);
                    Answer::Ready(ready)
                }
                Err(answer) => answer,
            },
            Ok(Order::Run { threads }) => match &crew {
                Some(crew) => match crew.run(threads) {
                    Ok(()) => continue,
                    Err(detail) => Answer::Failed { detail },
                },
                None => failed("a run before the opening"),
            },
            Err(error) => failed(&format!("unreadable order: {error}")),
        };
        let well = matches!(answer, Answer::Ready(_));
        if !say(&answer) || !well {
            return false;
        }
    }
    true
}

fn failed(detail: &str) -> Answer {
    Answer::Failed {
        detail: detail.into(),
    }
}

/// Standard output is locked by line, so threads may speak.
fn say(answer: &Answer) -> bool {
    let Ok(text) = serde_json::to_string(answer) else {
        return false;
    };
    let mut output = std::io::stdout().lock();
    writeln!(output, "{PREFIX}{text}")
        .and_then(|()| output.flush())
        .is_ok()
}

/// What the device said, as a row of the ladder.
fn answer(error: &Error) -> Answer {
    let detail = error.to_string();
    match error {
        Error::NoLoader { .. } | Error::UnknownBackend { .. } => Answer::Missing { detail },
        Error::NoDevice { .. } | Error::Unsupported { .. } | Error::UnknownDevice { .. } => {
            Answer::Unsupported { detail }
        }
        Error::WrongResult { .. } => Answer::Wrong { detail },
        _ => Answer::Failed { detail },
    }
}

/// The threads, asleep on their channels between runs.
struct Crew {
    members: Vec<Sender<()>>,
    /// Threads of the current run that have not ended.
    running: Arc<AtomicU32>,
    _device: Box<dyn Device>,
}

impl Crew {
    fn open(job: &Job) -> Result<(Crew, Ready), Answer> {
        let rung = crate::rungs::rungs(&job.api)
            .and_then(|all| all.iter().find(|r| r.id == job.rung))
            .ok_or_else(|| failed("no such rung"))?;
        let work: Work = format!("matmul:{}:{}", job.n, job.precision)
            .parse()
            .map_err(|e| failed(&format!("{e}")))?;
        let device = open_device(rung, job).map_err(|e| answer(&e))?;
        let preparation = device.prepare(work).map_err(|e| answer(&e))?;
        let spec = LaneSpec {
            work,
            queue: rung.queue,
            sync: rung.sync,
            depth: 1,
            batch: 1,
            options: LaneOptions::default(),
        };
        let lanes = device.lanes(spec, job.threads).map_err(|e| answer(&e))?;
        let page = Counters::open(&job.page).map_err(|e| failed(&e.to_string()))?;
        let (page, running) = (Arc::new(page), Arc::new(AtomicU32::new(0)));
        let members = lanes
            .into_iter()
            .enumerate()
            .map(|(index, lane)| {
                let (sender, turns) = channel();
                let member = Member {
                    lane,
                    page: Arc::clone(&page),
                    slot: job.slot + index,
                    running: Arc::clone(&running),
                };
                std::thread::Builder::new()
                    .name(format!("submit-{index}"))
                    .spawn(move || member.live(&turns))
                    .map(|_| sender)
                    .map_err(|e| failed(&format!("starting thread {index}: {e}")))
            })
            .collect::<Result<_, _>>()?;
        let info = device.info();
        let ready = Ready {
            device: info.name.clone(),
            software_stack: format!("{}, API {}", info.driver, info.api_version),
            software: info.software,
            stand_in: info.stand_in,
            max_relative_error: preparation.max_relative_error,
            notes: Vec::new(),
        };
        let crew = Crew {
            members,
            running,
            _device: device,
        };
        Ok((crew, ready))
    }

    fn run(&self, threads: u32) -> Result<(), String> {
        let members = self.members.get(..threads as usize).ok_or_else(|| {
            format!(
                "{threads} threads were asked for, {} are there",
                self.members.len()
            )
        })?;
        self.running.store(threads, Ordering::Release);
        for member in members {
            member
                .send(())
                .map_err(|_| "a thread has ended".to_owned())?;
        }
        Ok(())
    }
}

fn open_device(rung: &crate::rungs::Rung, job: &Job) -> Result<Box<dyn Device>, Error> {
    if let crate::rungs::Runs::Library(name) = rung.runs {
        return narrows_gpu::library::open(&job.api, name, job.device, &job.libraries);
    }
    narrows_gpu::backend(&job.api)?.open(job.device)
}

/// One submitting thread.
struct Member {
    lane: Box<dyn Lane>,
    page: Arc<Counters>,
    slot: usize,
    running: Arc<AtomicU32>,
}

impl Member {
    fn live(mut self, turns: &Receiver<()>) {
        let mut count = self.page.get(self.slot);
        while turns.recv().is_ok() {
            while !self.page.stopped() {
                if let Err(error) = self.lane.submit().and_then(|()| self.lane.wait()) {
                    say(&answer(&error));
                    return;
                }
                count += 1;
                self.page.set(self.slot, count);
            }
            if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
                say(&Answer::Stopped);
            }
        }
    }
}
