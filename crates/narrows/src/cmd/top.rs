//! `narrows top`: a running trace's threads and hottest locks, without stopping the program.

use crate::live::{self, Frame, Live};
use crate::output;
use narrows_model::words::{count, nanos};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `top`.
#[derive(clap::Args)]
#[command(after_help = "Example: narrows top narrows-app-20260101-120000\n\n\
    Ctrl-C ends top, not the program. Without a terminal one snapshot is printed.")]
pub(crate) struct Args {
    /// A folder that trace is writing, or the number of a traced process
    #[arg(value_name = "TRACE|PID")]
    target: PathBuf,
    /// Print one snapshot, with rates since the start, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// Print snapshots as JSON, one a line (docs/json.md)
    #[arg(long)]
    json: bool,
    /// Rules that put objects and functions into layers, before the built-in ones
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
}

/// Runs `top`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let rules = super::audit::rules(args.layers.as_deref())?;
    let pid = super::audit::process(&args.target);
    let folder = pid.map_or_else(|| Ok(args.target.clone()), live::folder_of)?;
    let mut live = Live::new(folder, pid, rules);
    let terminal = std::io::stdout().is_terminal();
    let once = args.once || !(terminal || args.json);
    let pause = Duration::try_from_secs_f64(args.interval).unwrap_or(live::LEAST_INTERVAL);
    loop {
        let frame = live.look()?;
        if args.json {
            output::print(&serde_json::to_string(&frame)?)?;
        } else {
            // Home and clear: each frame stands where the one before stood.
            let clear = if terminal && !once {
                "\x1b[H\x1b[2J"
            } else {
                ""
            };
            output::print(&format!("{clear}{}", text(&frame)))?;
        }
        if once || frame.running == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(pause.max(live::LEAST_INTERVAL));
    }
}

fn text(frame: &Frame) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(frame, &mut text);
    text
}

fn write(frame: &Frame, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "{} of {} processes run, {} threads, {} calls/s (over {})",
        frame.running,
        frame.processes,
        frame.threads_alive,
        count(frame.calls_per_s),
        nanos(frame.over_s * 1e9),
    )?;
    writeln!(
        text,
        "\n{:<24}{:>8}{:>12}{:>10}{:>10}  in",
        "thread", "pid", "calls/s", "in calls", "waiting"
    )?;
    for row in &frame.threads {
        let name = format!("{} {}", row.tid, row.name);
        writeln!(
            text,
            "{:<24}{:>8}{:>12}{:>10}{:>10}  {}",
            cut(&name, 23),
            row.pid,
            count(row.calls_per_s),
            percent(row.in_calls),
            percent(row.waiting),
            cut(row.inside.as_deref().unwrap_or(""), 30),
        )?;
    }
    writeln!(
        text,
        "\n{:<36}{:<12}{:>10}{:>10}{:>10}  owner",
        "lock", "layer", "waits/s", "waiting", "longest"
    )?;
    for row in &frame.locks {
        let object = row.site.object.as_deref().unwrap_or("(no object)");
        let name = object.rsplit('/').next().unwrap_or(object);
        let site = match &row.site.symbol {
            Some(symbol) => format!("{name} {symbol}"),
            None => format!("{name}+{:#x}", row.site.offset.unwrap_or(0)),
        };
        writeln!(
            text,
            "{:<36}{:<12}{:>10}{:>10}{:>10}  {}",
            cut(&site, 35),
            row.layer,
            count(row.waits_per_s),
            percent(row.waited),
            row.longest_ns.map_or("-".into(), |ns| nanos(ns as f64)),
            cut(row.owner.as_deref().unwrap_or("-"), 20),
        )?;
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(2))
        .collect::<String>()
        + ".."
}
