//! The `narrows` command: arguments become a plan, the plan acts.
//!
//! Arguments are only read and checked here and in [`cmd`]; measuring, statistics and views live
//! in the library crates. Exit codes: 0 done, 1 a measurement failed, 2 wrong input, 130 stopped
//! by Ctrl-C.
#![forbid(unsafe_code)]

mod audit;
mod cmd;
mod doctor;
mod explain;
mod failure;
mod launch;
mod live;
mod measured;
mod output;
mod planted_image;
mod private;
mod probe_image;
mod recorded;
mod store;
mod streamed;

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Does my GPU submission scale with threads, and which layer makes them go single file?
#[derive(Parser)]
#[command(name = "narrows", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: cmd::Command,
}

/// The command line without what narrows starts itself, for completions and manual pages.
fn command_line() -> clap::Command {
    let all = Arguments::command();
    let shown: Vec<clap::Command> = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    clap::Command::new("narrows")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .disable_help_subcommand(true)
        .subcommands(shown)
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
