//! When the device worked: keeps command buffers until they have ended and reads their times then.
//!
//! A buffer's times are known when its status says that it has ended. A wait for the buffer returns
//! after that, a wait for a shared event that the buffer signals may return before. Nothing here
//! blocks while a lane is driven; reading is two messages per buffer, sent while the device works on
//! the next ones.

use super::api::Submitted;
use crate::Worked;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Command buffers that are kept beside those in flight until they have ended; beyond that the
/// oldest's times are given up.
const MOST: usize = 4096;
/// How often it is looked whether the last ones have ended.
const LOOK: Duration = Duration::from_micros(100);

/// Command buffers whose times are not read yet, in the order of their commits.
pub(super) struct Times {
    kept: VecDeque<Submitted>,
    most: usize,
    /// Buffers whose times are not told any more.
    untold: u64,
}

impl Times {
    /// For a lane with so many command buffers in flight.
    pub(super) fn new(in_flight: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            most: MOST + in_flight,
            untold: 0,
        }
    }

    /// Reads the buffer's times once it has ended.
    pub(super) fn add(&mut self, buffer: Submitted) {
        if self.kept.len() == self.most {
            self.kept.pop_front();
            self.untold += 1;
        }
        self.kept.push_back(buffer);
    }

    /// Appends the times of those that have ended; of a queue they end in order.
    pub(super) fn told(&mut self, into: &mut Vec<Worked>) {
        while self.kept.front().is_some_and(Submitted::ended) {
            match self.kept.pop_front().and_then(|b| b.worked()) {
                Some(worked) => into.push(worked),
                None => self.untold += 1,
            }
        }
    }

    /// The same with patience; forgets the rest and says how many were not told.
    pub(super) fn last(&mut self, patience: Duration, into: &mut Vec<Worked>) -> u64 {
        let until = Instant::now() + patience;
        self.told(into);
        while !self.kept.is_empty() && Instant::now() < until {
            std::thread::sleep(LOOK);
            self.told(into);
        }
        self.untold += self.kept.len() as u64;
        self.kept.clear();
        std::mem::take(&mut self.untold)
    }
}
