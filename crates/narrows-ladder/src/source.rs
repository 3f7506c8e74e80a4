//! Blocks of one rung: lets its threads run, reads their counters twice, stops them.
//!
//! The threads are at work before the first read and after the second, so neither their start nor
//! the wait for the slowest is part of a block.

use crate::child::{Child, Lost};
use crate::protocol::{Answer, Order};
use crate::samples::FailureKind;
use narrows_gate::Counters;
use narrows_scan::Error;
use narrows_scan::run::BlockSource;
use narrows_scan::samples::{Block, Point};
use std::time::{Duration, Instant};

/// Ops that every thread completes before the first read.
const AT_WORK: u64 = 2;
/// How often the counters are looked at until then.
const LOOK: Duration = Duration::from_micros(200);

/// What broke, without the rung and the number of threads.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) kind: FailureKind,
    pub(crate) signal: Option<i32>,
    pub(crate) detail: String,
}

/// The children of a rung, all open.
pub(crate) struct Source {
    /// One, or for a pool as many as its largest size.
    pub(crate) children: Vec<Child>,
    pub(crate) page: Counters,
    pub(crate) length: Duration,
    pub(crate) limit: Duration,
    pub(crate) begin: Instant,
    /// Why the last block failed, and at how many threads.
    pub(crate) broken: Option<(u32, Broken)>,
}

impl Source {
    /// One block of `width` threads, or processes of a pool, within the limit.
    pub(crate) fn run(&mut self, width: u32, pool: bool) -> Result<Block, Broken> {
        let (first, threads) = if pool {
            (width as usize, 1)
        } else {
            (1, width)
        };
        let Self {
            children,
            page,
            length,
            limit,
            begin,
            ..
        } = self;
        let children = children.get_mut(..first).unwrap_or_default();
        let slots = width as usize;
        page.set_stop(false);
        let before: Vec<u64> = (0..slots).map(|i| page.get(i)).collect();
        children
            .iter_mut()
            .for_each(|c| c.tell(&Order::Run { threads }));
        at_work(children, page, &before, *limit)?;
        let cpu_before = cpu(children);
        let (ops_before, opened) = (sum(page, slots), Instant::now());
        std::thread::sleep(*length);
        let (ops_after, closed) = (sum(page, slots), Instant::now());
        let cpu_after = cpu(children);
        page.set_stop(true);
        for child in children {
            match child.hear(*limit).map_err(|l| lost(child, l))? {
                Answer::Stopped => {}
                other => return Err(said(other)),
            }
        }
        Ok(Block {
            start_ns: opened.duration_since(*begin).as_nanos() as u64,
            wall_ns: closed.duration_since(opened).as_nanos() as u64,
            ops: ops_after.saturating_sub(ops_before),
            cpu_ns: cpu_before
                .zip(cpu_after)
                .map(|(before, after)| after.saturating_sub(before)),
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency: Vec::new(),
            max_latency_ns: 0,
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // All at once: each child's own drop waits for its end.
        self.children.iter_mut().for_each(Child::dismiss);
    }
}

impl BlockSource for Source {
    fn block(&mut self, point: &Point, baseline: bool) -> Result<Block, Error> {
        let width = if baseline {
            1
        } else {
            point.threads.max(point.processes)
        };
        self.run(width, point.strategy.pool).map_err(|broken| {
            let detail = broken.detail.clone();
            self.broken = Some((width, broken));
            Error::Request(detail)
        })
    }
}

/// Waits until every thread has completed some ops of this run.
fn at_work(
    children: &mut [Child],
    page: &Counters,
    before: &[u64],
    limit: Duration,
) -> Result<(), Broken> {
    let begin = Instant::now();
    loop {
        let behind = before
            .iter()
            .enumerate()
            .filter(|(i, before)| page.get(*i) < **before + AT_WORK)
            .count();
        if behind == 0 {
            return Ok(());
        }
        for child in children.iter_mut() {
            if let Some(answer) = child.heard().map_err(|l| lost(child, l))? {
                return Err(said(answer));
            }
        }
        if begin.elapsed() > limit {
            let detail = format!(
                "{behind} of {} threads made no progress in {limit:?}",
                before.len()
            );
            return Err(Broken {
                kind: FailureKind::Hang,
                signal: None,
                detail,
            });
        }
        std::thread::sleep(LOOK);
    }
}

fn sum(page: &Counters, slots: usize) -> u64 {
    (0..slots).map(|i| page.get(i)).sum()
}

fn cpu(children: &[Child]) -> Option<u64> {
    children.iter().map(|c| crate::cpu::cpu_ns(c.id())).sum()
}

/// An answer that is none of those expected.
pub(crate) fn said(answer: Answer) -> Broken {
    let (kind, detail) = match answer {
        Answer::Missing { detail } => (FailureKind::Missing, detail),
        Answer::Unsupported { detail } => (FailureKind::Unsupported, detail),
        Answer::Wrong { detail } => (FailureKind::WrongResult, detail),
        Answer::Failed { detail } => (FailureKind::Error, detail),
        Answer::Ready(_) | Answer::Stopped => {
            (FailureKind::Error, "answered out of turn".to_owned())
        }
    };
    Broken {
        kind,
        signal: None,
        detail,
    }
}

/// A child that is gone or says nothing.
pub(crate) fn lost(child: &Child, lost: Lost) -> Broken {
    match lost {
        Lost::Ended { signal, detail } => Broken {
            kind: FailureKind::Crash,
            signal,
            detail,
        },
        Lost::Silent(limit) => {
            let last = child.last_line().map(|l| format!("; last line: {l}"));
            Broken {
                kind: FailureKind::Hang,
                signal: None,
                detail: format!("no answer in {limit:?}{}", last.unwrap_or_default()),
            }
        }
    }
}
