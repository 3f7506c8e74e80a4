//! Completions and manual pages, made from the command line's own description.

use crate::failure::WrongInput;
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `completions`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: narrows completions bash > ~/.local/share/bash-completion/completions/narrows"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Arguments of `man`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder for the pages; it is made if it is not there
    folder: PathBuf,
}

/// Prints the script.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::command_line(),
        "narrows",
        &mut script,
    );
    crate::output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `narrows.1` and one page per subcommand.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let failed = |e: std::io::Error| WrongInput(format!("{}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(crate::command_line(), folder).map_err(failed)?;
    eprintln!("narrows: wrote the pages into {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
