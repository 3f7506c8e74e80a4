//! What every backend must do, driven the way a runner drives it: one thread per lane.

use narrows_gpu::{
    ContextLayout, Device, Error, Lane, LaneOptions, LaneSpec, QueueLayout, Recording, SyncMode,
    WaitMode, Work,
};

/// Submissions that each thread makes.
const SUBMISSIONS: u32 = 25;

pub(crate) const LAYOUTS: [QueueLayout; 2] = [QueueLayout::Shared, QueueLayout::Own];
pub(crate) const SYNCS: [SyncMode; 3] = [SyncMode::Queue, SyncMode::Device, SyncMode::Event];

/// Keeps `depth` submissions in flight until all are made, then waits for the rest.
pub(crate) fn drive(lane: &mut dyn Lane, depth: u32, submissions: u32) -> Result<(), Error> {
    for n in 0..submissions {
        if n >= depth {
            lane.wait()?;
        }
        lane.submit()?;
    }
    for _ in 0..submissions.min(depth) {
        lane.wait()?;
    }
    Ok(())
}

/// One thread per lane, all at once.
pub(crate) fn run(device: &dyn Device, spec: LaneSpec, threads: u32) -> Result<(), Error> {
    let lanes = device.lanes(spec, threads)?;
    assert_eq!(lanes.len(), threads as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> = lanes
            .into_iter()
            .map(|mut lane| scope.spawn(move || drive(lane.as_mut(), spec.depth, SUBMISSIONS)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|t| t.join().expect("a lane panicked"))
    })
}

/// Every layout, wait, depth and batch of `work` at 1 and 4 threads. Own queues beyond the
/// device's number must be refused with the numbers, everything else must run.
pub(crate) fn every_strategy(device: &dyn Device, work: Work) {
    for queue in LAYOUTS {
        for sync in SYNCS {
            for (depth, batch) in [(1, 1), (3, 2)] {
                for threads in [1, 4] {
                    let spec = LaneSpec {
                        work,
                        queue,
                        sync,
                        depth,
                        batch,
                        options: LaneOptions::default(),
                    };
                    let limit = device
                        .info()
                        .max_queues
                        .filter(|_| queue == QueueLayout::Own);
                    let result = run(device, spec, threads);
                    match limit {
                        Some(limit) if threads > limit => {
                            let error = result.expect_err("more own queues than there are");
                            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
                            assert!(error.to_string().contains(&limit.to_string()), "{error}");
                        }
                        _ => result.unwrap_or_else(|e| panic!("{spec:?} x {threads}: {e}")),
                    }
                }
            }
        }
    }
}

/// What the trait promises about misuse.
pub(crate) fn refuses_misuse(device: &dyn Device) {
    let spec = LaneSpec {
        work: Work::Noop,
        queue: QueueLayout::Shared,
        sync: SyncMode::Event,
        depth: 2,
        batch: 1,
        options: LaneOptions::default(),
    };
    for (spec, threads) in [
        (spec, 0),
        (LaneSpec { depth: 0, ..spec }, 1),
        (LaneSpec { batch: 0, ..spec }, 1),
    ] {
        let error = device.lanes(spec, threads).err().expect("must be refused");
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    let mut lanes = device.lanes(spec, 1).expect("two in flight are possible");
    let lane = &mut lanes[0];
    lane.wait().expect("nothing in flight: returns at once");
    lane.submit().expect("first");
    lane.submit().expect("second");
    let error = lane.submit().expect_err("a third exceeds the depth");
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    lane.wait().expect("first");
    lane.submit().expect("room again");
    // Two are in flight when the lane goes: dropping it must wait for them, not break.
}

/// A runner may close the device first and let each lane go with its thread.
pub(crate) fn lanes_outlive_the_device(device: Box<dyn Device>) {
    let spec = LaneSpec {
        work: Work::Noop,
        queue: QueueLayout::Shared,
        sync: SyncMode::Event,
        depth: 2,
        batch: 1,
        options: LaneOptions::default(),
    };
    let lanes = device.lanes(spec, 3).expect("lanes");
    drop(device);
    let run = |mut lane: Box<dyn Lane>| {
        std::thread::spawn(move || drive(lane.as_mut(), spec.depth, SUBMISSIONS))
    };
    for thread in lanes.into_iter().map(run).collect::<Vec<_>>() {
        thread
            .join()
            .expect("a lane panicked")
            .expect("a call failed");
    }
}

/// Vulkan's choices besides the usual strategies, at 2 threads, and how many of them ran; the rest
/// was refused.
#[allow(dead_code)] // not every test binary has a Vulkan device
pub(crate) fn vulkan_choices(device: &dyn Device, work: Work) -> u32 {
    let mut ran = 0;
    let mut run_one = |queue, sync, options| {
        let spec = LaneSpec {
            work,
            queue,
            sync,
            depth: 2,
            batch: 2,
            options,
        };
        match run(device, spec, 2) {
            Ok(()) => ran += 1,
            Err(Error::Unsupported { .. }) => {}
            Err(other) => panic!("{spec:?}: {other}"),
        }
    };
    for queue in LAYOUTS {
        for sync in SYNCS {
            for context in [ContextLayout::Shared, ContextLayout::Own] {
                for wait in [WaitMode::Auto, WaitMode::Poll] {
                    for record in [Recording::Once, Recording::Each] {
                        let options = LaneOptions {
                            context,
                            wait,
                            record,
                        };
                        run_one(queue, sync, options);
                    }
                }
            }
        }
    }
    ran
}
