//! Runs lanes in a plain loop for a fixed time and prints ops per second: the backends without
//! the scan's clocks and histograms. `bench/harness-ratio` compares it with C.
//!
//! `loop BACKEND DEVICE THREADS shared|own queue|device|event SECONDS [WORK [DEPTH [BATCH]]]`

use narrows_gpu::{LaneOptions, LaneSpec, QueueLayout, SyncMode, Work};
use std::error::Error;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [backend, device, threads, queue, sync, seconds, rest @ ..] = args.as_slice() else {
        return Err("loop BACKEND DEVICE THREADS QUEUE SYNC SECONDS [WORK [DEPTH [BATCH]]]".into());
    };
    let spec = LaneSpec {
        work: Work::from_str(rest.first().map_or("noop", String::as_str))?,
        queue: QueueLayout::from_str(queue)?,
        sync: SyncMode::from_str(sync)?,
        depth: rest.get(1).map_or(Ok(1), |d| d.parse())?,
        batch: rest.get(2).map_or(Ok(1), |b| b.parse())?,
        options: LaneOptions::default(),
    };
    let chosen = narrows_gpu::choose(Some(backend), Some(device))?;
    let device = chosen.backend.open(chosen.index)?;
    let preparation = device.prepare(spec.work)?;
    let lanes = device.lanes(spec, threads.parse()?)?;

    let gate = Arc::new(Barrier::new(lanes.len() + 1));
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = lanes
        .into_iter()
        .map(|mut lane| {
            let (gate, stop) = (Arc::clone(&gate), Arc::clone(&stop));
            std::thread::spawn(move || -> Result<_, narrows_gpu::Error> {
                gate.wait();
                let (mut submitted, mut done) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    lane.submit()?;
                    submitted += 1;
                    if submitted - done == u64::from(spec.depth) {
                        lane.wait()?;
                        done += 1;
                    }
                }
                while done < submitted {
                    lane.wait()?;
                    done += 1;
                }
                // The lane goes back: tearing it down is not part of the time.
                Ok((done * u64::from(spec.batch), lane))
            })
        })
        .collect();
    gate.wait();
    let start = Instant::now();
    std::thread::sleep(Duration::try_from_secs_f64(seconds.parse()?)?);
    stop.store(true, Ordering::Relaxed);
    let ended: Vec<_> = workers.into_iter().map(|w| w.join()).collect();
    let elapsed = start.elapsed();
    let mut ops = 0;
    for end in ended {
        let (done, _lane) = end.map_err(|_| "a worker panicked")??;
        ops += done;
    }
    println!("{:.1}", ops as f64 / elapsed.as_secs_f64());
    if let Some(c) = preparation.calibration {
        eprintln!(
            "{} iterations take {:?} of {:?}",
            c.iterations, c.measured, c.wanted
        );
    }
    if let Some(error) = preparation.max_relative_error {
        eprintln!("largest relative error {error:.2e}");
    }
    Ok(())
}
