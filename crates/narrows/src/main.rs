//! The `narrows` command: arguments become a plan, the plan acts.
//!
//! Arguments are only read and checked here and in [`cmd`]; measuring, statistics and views live
//! in the library crates. Exit codes: 0 done, 1 a measurement failed, 2 wrong input, 130 stopped
//! by Ctrl-C.
#![forbid(unsafe_code)]

mod audit;
mod cmd;
mod explain;
mod failure;
mod launch;
mod live;
mod output;
mod planted_image;
mod private;
mod probe_image;
mod recorded;
mod streamed;

use clap::Parser;
use std::process::ExitCode;

/// Does my GPU submission scale with threads, and which layer makes them go single file?
#[derive(Parser)]
#[command(name = "narrows", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return failure::wrong_arguments(&error),
    };
    match cmd::run(arguments.command) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
