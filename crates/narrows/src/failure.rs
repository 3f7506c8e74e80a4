//! How the command fails: one line that says what, where and what to do, and an exit code.

use std::process::ExitCode;

/// The user's input cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongInput(pub(crate) String);

impl WrongInput {
    /// Wraps any error that the user's input caused.
    pub(crate) fn from_error(error: impl std::fmt::Display) -> anyhow::Error {
        WrongInput(error.to_string()).into()
    }
}

/// Prints `error` on one line and gives the exit code it stands for.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let words: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("narrows: {}", words.join(": ").replace('\n', " "));
    if error.downcast_ref::<WrongInput>().is_some() {
        ExitCode::from(2)
    } else {
        ExitCode::from(1)
    }
}

/// Help and version go to standard output as they are; a wrong argument becomes one line.
pub(crate) fn wrong_arguments(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    let text = error.to_string();
    match error.kind() {
        DisplayHelp | DisplayVersion => match crate::output::print(&text) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => eprintln!("narrows: {error}"),
        },
        DisplayHelpOnMissingArgumentOrSubcommand => eprint!("{text}"),
        _ => {
            let said = text.trim_start_matches("error: ");
            let said = said.split("\n\nUsage:").next().unwrap_or(said);
            let said = said.split("\n\nFor more").next().unwrap_or(said);
            let words: Vec<&str> = said.split_whitespace().collect();
            eprintln!("narrows: {} (see narrows --help)", words.join(" "));
        }
    }
    ExitCode::from(2)
}
