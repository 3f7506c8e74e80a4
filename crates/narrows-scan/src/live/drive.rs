//! The measured loop: one thread drives one lane until its block is closed.
//!
//! All threads of a block end together, when whoever opened it closes it: one that got its core
//! late must not go on alone, while the others idle, nor stop early.
//!
//! One clock read per submission at depth 1: the end of one wait is the start of the next submit,
//! so the latency covers the loop's own cost too and nothing is hidden between two ops.

use super::busy::Busy;
use crate::clock::Monotonic;
use hdrhistogram::Histogram;
use narrows_gpu::{DeviceClock, Error, Lane};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Room for device times in a thread's first block.
const FIRST_TIMES: usize = 1 << 12;
/// How long after a block a thread waits for device times that are not known yet.
const TIMES_LATE: Duration = Duration::from_millis(100);
/// Largest latency that has a bucket; longer ones count in the last.
const LONGEST_NS: u64 = 100_000_000_000;

/// What one thread did in a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Drove {
    pub(crate) ops: u64,
    pub(crate) ended: Monotonic,
    /// `[lower bound ns, count]`, as in [`crate::samples::Block::latency`].
    pub(crate) latency: Vec<(u64, u64)>,
    pub(crate) max_latency_ns: u64,
    /// When the device worked for it; `None`: the device does not tell, or too little.
    pub(crate) busy: Option<Busy>,
}

/// Buffers that a thread keeps between blocks.
pub(crate) struct Driver {
    in_flight: VecDeque<Instant>,
    latency: Histogram<u64>,
    /// Room for the device times of a block: making it must not fall into the measured loop.
    times: usize,
}

impl Driver {
    pub(crate) fn new() -> Result<Self, crate::Error> {
        Ok(Driver {
            in_flight: VecDeque::new(),
            latency: Self::histogram()?,
            times: FIRST_TIMES,
        })
    }

    /// An empty histogram of latencies.
    pub(crate) fn histogram() -> Result<Histogram<u64>, crate::Error> {
        Histogram::new_with_bounds(1, LONGEST_NS, 2)
            .map_err(|e| crate::Error::Request(format!("latency histogram: {e}")))
    }

    /// Keeps `depth` submissions of `batch` ops in flight until the block is `closed`, or until
    /// `most` has passed and nobody has closed it, then waits for the rest. Submits at least
    /// once.
    pub(crate) fn drive(
        &mut self,
        lane: &mut dyn Lane,
        depth: u32,
        batch: u32,
        most: Duration,
        closed: impl Fn() -> bool,
    ) -> Result<Drove, Error> {
        let depth = depth as usize;
        self.latency.reset();
        self.in_flight.clear();
        self.in_flight.reserve(depth);
        let (mut submissions, mut longest) = (0u64, 0u64);
        let tells = lane.tell_when_it_worked() != DeviceClock::Untold;
        let mut worked = Vec::with_capacity(if tells { self.times } else { 0 });
        let mut now = Instant::now();
        let latest = now + most;
        loop {
            while self.in_flight.len() < depth
                && ((now < latest && !closed()) || (submissions == 0 && self.in_flight.is_empty()))
            {
                lane.submit()?;
                self.in_flight.push_back(now);
                if depth > 1 {
                    now = Instant::now();
                }
            }
            let Some(submitted) = self.in_flight.pop_front() else {
                break;
            };
            if tells {
                // Of earlier ones, while the device works on this one.
                lane.worked(&mut worked);
            }
            lane.wait()?;
            now = Instant::now();
            let latency = now.duration_since(submitted).as_nanos() as u64;
            self.latency.saturating_record(latency);
            longest = longest.max(latency);
            submissions += 1;
        }
        let ended = Monotonic::now();
        let untold = match tells {
            true => lane.last_worked(TIMES_LATE, &mut worked),
            false => 0,
        };
        self.times = self.times.max(2 * worked.len());
        Ok(Drove {
            ops: submissions * u64::from(batch),
            ended,
            latency: buckets(&self.latency),
            max_latency_ns: longest,
            busy: Busy::new(worked, untold),
        })
    }
}

pub(crate) fn buckets(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram
        .iter_recorded()
        .map(|step| {
            let lower = histogram.lowest_equivalent(step.value_iterated_to());
            (lower, step.count_at_value())
        })
        .collect()
}

/// Adds the buckets of `more` to `sum`; both ascending.
pub(crate) fn merge(sum: &mut Vec<(u64, u64)>, more: &[(u64, u64)]) {
    for &(bound, count) in more {
        match sum.binary_search_by_key(&bound, |(b, _)| *b) {
            Ok(at) => sum[at].1 += count,
            Err(at) => sum.insert(at, (bound, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::busy;
    use narrows_gpu::Worked;
    use std::cell::Cell;

    /// Counts what it is asked; completes at once.
    struct Counting {
        submitted: u64,
        most_in_flight: u64,
        waited: u64,
        fail_at: u64,
    }

    impl Lane for Counting {
        fn submit(&mut self) -> Result<(), Error> {
            self.submitted += 1;
            self.most_in_flight = self.most_in_flight.max(self.submitted - self.waited);
            if self.submitted == self.fail_at {
                return Err(Error::DeviceLost {
                    backend: "test",
                    call: "submit",
                    code: -4,
                });
            }
            Ok(())
        }

        fn wait(&mut self) -> Result<(), Error> {
            self.waited += 1;
            assert!(self.waited <= self.submitted, "waited for nothing");
            Ok(())
        }
    }

    fn counting(fail_at: u64) -> Counting {
        Counting {
            submitted: 0,
            most_in_flight: 0,
            waited: 0,
            fail_at,
        }
    }

    /// Closed after it was asked so often.
    fn closed_after(looks: u32) -> impl Fn() -> bool {
        let asked = Cell::new(0);
        move || {
            asked.set(asked.get() + 1);
            asked.get() > looks
        }
    }

    const EVER: Duration = Duration::from_secs(100);

    #[test]
    fn everything_submitted_is_waited_for_and_counted() {
        for (depth, batch) in [(1, 1), (8, 1), (1, 16), (3, 5)] {
            let mut lane = counting(0);
            let mut driver = Driver::new().unwrap();
            let drove = driver
                .drive(&mut lane, depth, batch, EVER, closed_after(1000))
                .unwrap();
            assert_eq!((lane.submitted, lane.waited), (1000, 1000));
            assert_eq!(drove.ops, lane.waited * u64::from(batch));
            assert_eq!(lane.most_in_flight, u64::from(depth));
            let counted: u64 = drove.latency.iter().map(|(_, n)| n).sum();
            assert_eq!(counted, lane.waited);
        }
    }

    #[test]
    fn a_thread_that_comes_too_late_does_one_submission_and_no_more() {
        let mut lane = counting(0);
        let drove = Driver::new()
            .unwrap()
            .drive(&mut lane, 8, 2, EVER, || true)
            .unwrap();
        assert_eq!((lane.submitted, drove.ops), (1, 2));
    }

    #[test]
    fn a_block_that_nobody_closes_ends() {
        let mut lane = counting(0);
        let most = Duration::from_millis(2);
        let drove = Driver::new()
            .unwrap()
            .drive(&mut lane, 1, 1, most, || false);
        assert_eq!(drove.unwrap().ops, lane.waited);
    }

    #[test]
    fn a_lost_device_ends_the_block() {
        let error = Driver::new()
            .unwrap()
            .drive(&mut counting(7), 1, 1, EVER, || false);
        assert!(matches!(error, Err(Error::DeviceLost { .. })));
    }

    #[test]
    fn the_software_device_is_busy_for_its_stated_time_per_op() {
        use narrows_gpu::soft::{SoftBackend, SoftConfig};
        use narrows_gpu::{Backend as _, LaneSpec, QueueLayout, SyncMode, Work};
        let device = SoftBackend::new(SoftConfig::default()).open(0).unwrap();
        let spec = LaneSpec {
            work: Work::Noop,
            queue: QueueLayout::Own,
            sync: SyncMode::Event,
            depth: 1,
            batch: 1,
            options: narrows_gpu::LaneOptions::default(),
        };
        let mut lanes = device.lanes(spec, 1).unwrap();
        let drove = Driver::new()
            .unwrap()
            .drive(&mut *lanes[0], 1, 1, EVER, closed_after(20))
            .unwrap();
        let union = busy::union([drove.busy.as_ref()]);
        assert_eq!(union.unwrap().busy_ns, 20 * 200_000);
    }

    /// Tells each time only after so many more submissions, as where an event lets a thread go early.
    struct Late {
        waited: u64,
        told: u64,
        behind: u64,
    }

    impl Lane for Late {
        fn submit(&mut self) -> Result<(), Error> {
            Ok(())
        }

        fn wait(&mut self) -> Result<(), Error> {
            self.waited += 1;
            Ok(())
        }

        fn tell_when_it_worked(&mut self) -> DeviceClock {
            DeviceClock::Machine
        }

        fn worked(&mut self, into: &mut Vec<Worked>) {
            while self.told + self.behind < self.waited {
                let begin_ns = self.told * 100;
                let end_ns = begin_ns + 50;
                into.push(Worked { begin_ns, end_ns });
                self.told += 1;
            }
        }

        fn last_worked(&mut self, patience: Duration, into: &mut Vec<Worked>) -> u64 {
            assert!(patience > Duration::ZERO);
            self.behind = self.behind.saturating_sub(40);
            self.worked(into);
            self.waited - self.told
        }
    }

    #[test]
    fn times_that_are_known_late_count() {
        for (behind, known) in [(0, true), (40, true), (45, true), (60, false)] {
            let mut lane = Late {
                waited: 0,
                told: 0,
                behind,
            };
            let mut driver = Driver::new().unwrap();
            let drove = driver.drive(&mut lane, 1, 1, EVER, closed_after(100));
            let busy = drove.unwrap().busy;
            assert_eq!(busy.is_some(), known, "{behind} behind");
            let told = 100 - behind.saturating_sub(40);
            assert!(busy.is_none_or(|b| b.total_ns() == told * 50));
        }
    }

    #[test]
    fn merging_keeps_order_and_counts() {
        let mut sum = vec![(10, 1), (30, 2)];
        merge(&mut sum, &[(5, 1), (10, 4), (40, 1)]);
        assert_eq!(sum, [(5, 1), (10, 5), (30, 2), (40, 1)]);
    }
}
