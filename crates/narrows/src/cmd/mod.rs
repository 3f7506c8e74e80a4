//! One file per subcommand: its arguments and the plan they become.

pub(crate) mod audit;
pub(crate) mod compare;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod ladder;
pub(crate) mod report;
pub(crate) mod report_trace;
pub(crate) mod results;
pub(crate) mod scan;
pub(crate) mod selftest;
pub(crate) mod shell;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod tune;

use clap::Subcommand;
use std::process::ExitCode;

/// What the user asked for.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure how GPU submission scales with threads on this machine
    Scan(scan::Args),
    /// Find the setting that helps on this machine, and measure by how much
    Tune(tune::Args),
    /// The same matmul on rising software rungs: on which step does scaling collapse?
    Ladder(ladder::Args),
    /// Make every output again from a samples file
    Report(report::Args),
    /// Run a program with the probe inside: its GPU calls, and who waited for whom
    Trace(trace::Args),
    /// Name the layer that makes threads go single file, from traces or from a program
    Explain(explain::Args),
    /// Before and after: two samples files or two traces, point by point
    Compare(compare::Args),
    /// Write a trace's timeline for Perfetto, the Firefox Profiler or as CSV
    Export(export::Args),
    /// Watch a running trace: threads, calls per second, hottest locks
    Top(top::Args),
    /// List what a program can call and what the probe would see, without running it
    Audit(audit::Args),
    /// Explain programs whose bottleneck is known, and show how right that is on this machine
    Selftest(selftest::Args),
    /// The results of tune that are kept on this machine
    Results(results::Args),
    /// Look at what this machine has, and say what to do about what it lacks
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(shell::CompletionsArgs),
    /// Write manual pages into a folder
    Man(shell::ManArgs),
    /// A worker of the process pool (started by scan itself)
    #[command(name = "pool-worker", hide = true)]
    PoolWorker(scan::WorkerArgs),
    /// One rung of the ladder (started by ladder itself)
    #[command(name = "ladder-rung", hide = true)]
    LadderRung(ladder::RungArgs),
    /// The program that scan's second pass watches (started by scan itself)
    #[command(name = "scan-pass", hide = true)]
    ScanPass(scan::PassArgs),
}

/// Runs one subcommand.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Scan(args) => scan::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Ladder(args) => ladder::run(args),
        Command::LadderRung(args) => ladder::run_rung(args),
        Command::Report(args) => report::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Export(args) => export::run(args),
        Command::Top(args) => top::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Results(args) => results::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::PoolWorker(args) => scan::run_worker(args),
        Command::ScanPass(args) => scan::run_pass(&args),
    }
}
