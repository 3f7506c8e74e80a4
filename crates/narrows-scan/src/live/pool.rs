//! The process pool: workers started before the clock, parked on their standard input, let loose
//! together through a gate in shared memory.

use super::WorkerCommand;
use super::crew::{PATIENCE, sum_block};
use super::worker::{Answer, Assignment, Order, PREFIX};
use crate::Error;
use crate::clock::Monotonic;
use crate::samples::{Block, Strategy};
use narrows_gate::{Gate, Round};
use narrows_gpu::{DeviceInfo, Mps};
use serde::Serialize;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long workers may take to end by themselves.
const FAREWELL: Duration = Duration::from_secs(3);

struct Worker {
    index: u32,
    child: Child,
    /// `None` once the worker was told to end.
    orders: Option<ChildStdin>,
    answers: Receiver<Answer>,
}

/// Running workers.
pub(super) struct Pool {
    workers: Vec<Worker>,
    strategies: Vec<Strategy>,
    gate: Gate,
    gate_file: PathBuf,
    round: u32,
}

impl Pool {
    /// Starts `size` workers one after the other: a calibration must not be disturbed by the next
    /// worker's start.
    pub(super) fn start(
        command: &WorkerCommand,
        device: &DeviceInfo,
        strategies: &[Strategy],
        size: u32,
    ) -> Result<Pool, Error> {
        // All strategies of a pool have one setting: it is the workers' environment.
        let mps = strategies.first().map_or(Mps::AsIs, |s| s.mps);
        let environment = narrows_gpu::cuda::mps::environment(mps)?;
        let gate_file = gate_file();
        let gate = Gate::create(&gate_file)?;
        let strategies = strategies.to_vec();
        let mut pool = Pool {
            workers: Vec::new(),
            strategies,
            gate,
            gate_file,
            round: 0,
        };
        let assignment = Assignment {
            backend: device.backend.clone(),
            device: device.index,
            gate: pool.gate_file.clone(),
            specs: pool.strategies.iter().map(Strategy::lane_spec).collect(),
        };
        for index in 0..size {
            let mut worker = Worker::start(command, environment.as_ref(), index)?;
            let told = worker
                .tell(&assignment)
                .and_then(|()| worker.hear(PATIENCE));
            pool.workers.push(worker);
            match told? {
                Answer::Ready => {}
                other => return Err(unexpected(index, &other)),
            }
        }
        Ok(pool)
    }

    /// Whether its workers have lanes for `strategy`.
    pub(super) fn has(&self, strategy: Strategy) -> bool {
        self.strategies.contains(&strategy)
    }

    /// Runs one block on the first `width` workers.
    pub(super) fn block(
        &mut self,
        strategy: Strategy,
        width: u32,
        length: Duration,
        begin: Monotonic,
    ) -> Result<Block, Error> {
        let spec = self.strategies.iter().position(|s| *s == strategy);
        let (Some(spec), Some(workers)) = (spec, self.workers.get_mut(..width as usize)) else {
            return Err(Error::Request(format!(
                "no workers for {strategy:?} at {width} processes"
            )));
        };
        self.round += 1;
        let order = Order {
            spec,
            round: self.round,
            length,
        };
        for worker in workers.iter_mut() {
            worker.tell(&order)?;
        }
        let round = Round(self.round);
        let opened = self.gate.open_for(round, width, PATIENCE, Monotonic::now)?;
        std::thread::sleep(length);
        self.gate.close(round);
        let (mut all, mut cpu) = (Vec::new(), 0);
        for worker in workers {
            match worker.hear(length * 4 + PATIENCE)? {
                Answer::Drove { drove, cpu_ns } => {
                    all.push(drove);
                    cpu += cpu_ns;
                }
                other => return Err(unexpected(worker.index, &other)),
            }
        }
        Ok(sum_block(&all, opened, begin, Some(cpu)))
    }
}

fn unexpected(index: u32, answer: &Answer) -> Error {
    let detail = match answer {
        Answer::Failed(why) => why.clone(),
        other => format!("unexpected answer {other:?}"),
    };
    Error::Worker { index, detail }
}

/// A fresh name in the shared-memory folder where there is one.
fn gate_file() -> PathBuf {
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() {
        shared.to_owned()
    } else {
        std::env::temp_dir()
    };
    folder.join(format!(
        "narrows-gate-{}-{:016x}",
        std::process::id(),
        fastrand::u64(..)
    ))
}

impl Worker {
    fn start(
        command: &WorkerCommand,
        environment: Option<&(&str, PathBuf)>,
        index: u32,
    ) -> Result<Worker, Error> {
        let failed = |what: &str| Error::Worker {
            index,
            detail: what.to_owned(),
        };
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .envs(environment.map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| failed(&format!("{} did not start: {e}", command.program.display())))?;
        let orders = child.stdin.take();
        let output = child
            .stdout
            .take()
            .ok_or_else(|| failed("no standard output"))?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(text) = line.strip_prefix(PREFIX) else {
                    continue;
                };
                let answer = serde_json::from_str(text)
                    .unwrap_or_else(|e| Answer::Failed(format!("unreadable answer: {e}")));
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        Ok(Worker {
            index,
            child,
            orders,
            answers,
        })
    }

    fn tell(&mut self, what: &impl Serialize) -> Result<(), Error> {
        let index = self.index;
        let failed = |detail: String| Error::Worker { index, detail };
        let text = serde_json::to_string(what).map_err(|e| failed(e.to_string()))?;
        let orders = self
            .orders
            .as_mut()
            .ok_or_else(|| failed("already told to end".into()))?;
        writeln!(orders, "{text}")
            .and_then(|()| orders.flush())
            .map_err(|e| failed(format!("ended early ({e})")))
    }

    fn hear(&mut self, limit: Duration) -> Result<Answer, Error> {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(Error::Silent {
                who: format!("pool worker {}", self.index),
                limit,
            }),
            Err(RecvTimeoutError::Disconnected) => {
                let how = match self.child.wait() {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                Err(Error::Worker {
                    index: self.index,
                    detail: format!("ended early: {how}"),
                })
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.workers.iter_mut().for_each(|w| drop(w.orders.take()));
        let begin = Instant::now();
        for worker in &mut self.workers {
            while begin.elapsed() < FAREWELL && matches!(worker.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Nothing is lost if it has ended already; a hanging driver must not outlive the run.
            drop(worker.child.kill());
            drop(worker.child.wait());
        }
        drop(std::fs::remove_file(&self.gate_file));
    }
}
