//! The host: arguments, objects, threads, one line of JSON.

mod arguments;
mod objects;

use arguments::{Amount, Arguments};
use narrows_planted::setup::CallFn;
use std::ffi::c_uint;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::Instant;

pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => return wrong(&what),
    };
    let program = match objects::load(&arguments) {
        Ok(program) => program,
        Err(what) => return wrong(&what),
    };
    let (ops, wall_ns) = run(&arguments, &program);
    if arguments.quiet {
        return ExitCode::SUCCESS;
    }
    println!(
        "{{\"plant\":\"{}\",\"layer\":\"{}\",\"threads\":{},\"removed\":{},\"ops\":{ops},\"wall_ns\":{wall_ns}}}",
        arguments.plant.name(),
        arguments.layer.name(),
        arguments.threads,
        arguments.removed,
    );
    ExitCode::SUCCESS
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("planted-host: {what}");
    ExitCode::from(2)
}

/// Runs all threads from one start; gives the ops of all and the time to the last one's end.
fn run(arguments: &Arguments, program: &objects::Program) -> (u64, u128) {
    let start = Barrier::new(arguments.threads as usize);
    let ran: Vec<(u64, Instant, Instant)> = std::thread::scope(|scope| {
        let start = &start;
        let begin = |thread| scope.spawn(move || ops(thread, arguments, program, start));
        let threads: Vec<_> = (0..arguments.threads).map(begin).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let ops = ran.iter().map(|(ops, ..)| ops).sum();
    let begin = ran.iter().map(|&(_, begin, _)| begin).min();
    let end = ran.iter().map(|&(.., end)| end).max();
    (
        ops,
        begin
            .zip(end)
            .map_or(0, |(begin, end)| (end - begin).as_nanos()),
    )
}

/// One thread's ops.
fn ops(
    thread: c_uint,
    arguments: &Arguments,
    program: &objects::Program,
    start: &Barrier,
) -> (u64, Instant, Instant) {
    // SAFETY: sets one number of this thread: its sleeps end on time instead of 50 us late.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
    start.wait();
    let begin = Instant::now();
    let mut op = 0;
    loop {
        let more = match arguments.amount {
            Amount::Ops(ops) => op < ops,
            Amount::Time(time) => begin.elapsed() < time,
        };
        if !more {
            let end = Instant::now();
            for finish in &program.finish {
                // SAFETY: every object has its settings; the thread does no more ops.
                unsafe { finish(thread) };
            }
            return (op, begin, end);
        }
        call(program.top, thread, op);
        if let Some(mark) = program.mark {
            // SAFETY: the probe's function takes nothing and may be called at any time.
            unsafe { mark() };
        }
        op += 1;
    }
}

fn call(top: CallFn, thread: c_uint, op: u64) {
    // SAFETY: every object has its settings, for at least this many threads.
    unsafe { top(thread, op) };
}
