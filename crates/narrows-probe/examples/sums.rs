//! What a trace folder says, one fact a line, for scripts that check it:
//! `PROGRAM KIND taken N` (acquisitions, waits among them), `PROGRAM ended finished|open`,
//! `PROGRAM forked`.
#![forbid(unsafe_code)]

use narrows_trace::reader::{Ending, Process, ReadError, Trace};
use std::collections::BTreeMap;
use std::path::Path;

fn main() -> Result<(), ReadError> {
    for folder in std::env::args().skip(1) {
        let trace = Trace::open(Path::new(&folder))?;
        for problem in &trace.problems {
            println!("problem {} {}", problem.path.display(), problem.what);
        }
        trace.processes.iter().for_each(show);
    }
    Ok(())
}

fn show(process: &Process) {
    let path = process.program.clone().unwrap_or_default();
    let path = String::from_utf8_lossy(&path);
    let program = path.rsplit('/').next().unwrap_or_default();
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    for thread in process.threads.values() {
        for acquire in &thread.acquires {
            *taken.entry(acquire.kind.word()).or_default() += acquire.count;
        }
        for (key, stats) in &thread.sites {
            *taken.entry(key.kind.word()).or_default() += stats.waits.count - stats.waits.failed;
        }
    }
    for (kind, count) in taken {
        println!("{program} {kind} taken {count}");
    }
    let ended = match process.ending {
        Ending::Finished => "finished",
        Ending::Open => "open",
    };
    println!("{program} ended {ended}");
    if process.forked_from.is_some() {
        println!("{program} forked");
    }
    for problem in &process.problems {
        println!("problem {} {}", problem.path.display(), problem.what);
    }
}
