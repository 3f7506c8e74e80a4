//! `narrows export`: a trace's timeline in another program's format.

use crate::streamed::Streamed;
use crate::{failure, recorded};
use anyhow::Context;
use narrows_report::export::{FirefoxMeta, write_csv, write_firefox, write_perfetto};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `export`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: narrows export narrows-app-20260101-120000 --to perfetto --out app.pftrace\n\n\
    perfetto: ui.perfetto.dev; firefox: profiler.firefox.com; \
    csv: one line per event, columns as in its first line, times in ns"
)]
pub(crate) struct Args {
    /// A folder of trace
    trace: PathBuf,
    /// Format
    #[arg(long, value_name = "FORMAT")]
    to: Format,
    /// File to write, `-` for standard output [default: TRACE with the format's ending]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Rules that put objects and functions into layers, before those of the recording
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
}

/// Formats of other programs.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Perfetto's protobuf trace
    Perfetto,
    /// The Firefox Profiler's processed profile
    Firefox,
    /// Comma-separated values
    Csv,
}

impl Format {
    const fn ending(self) -> &'static str {
        match self {
            Format::Perfetto => "pftrace",
            Format::Firefox => "firefox.json",
            Format::Csv => "csv",
        }
    }
}

/// Runs `export`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let recorded = recorded::open(&args.trace, args.layers.as_deref())?;
    let timeline = Streamed::new(&recorded);
    let product = recorded
        .recording
        .processes
        .first()
        .map_or("", |process| &process.program);
    let started = recorded
        .trace
        .processes
        .first()
        .and_then(|process| process.wall_start);
    let meta = FirefoxMeta {
        product: product.rsplit('/').next().unwrap_or_default(),
        start_ms: started.map_or(0.0, |wall| wall.0 as f64 / 1e6),
    };
    let write = |out: &mut dyn Write| match args.to {
        Format::Perfetto => write_perfetto(&timeline, out),
        Format::Firefox => write_firefox(&timeline, meta, out),
        Format::Csv => write_csv(&timeline, out),
    };
    let file = args
        .out
        .clone()
        .unwrap_or_else(|| default_name(&args.trace, args.to));
    if file == Path::new("-") {
        to_stdout(write)?;
    } else {
        to_file(&file, write)?;
        eprintln!("narrows: wrote {}", file.display());
    }
    if timeline.unplaced > 0 {
        let count = timeline.unplaced;
        eprintln!("narrows: {count} GPU times have no place on the CPU's clock and are left out");
    }
    for damage in &recorded.recording.damage {
        eprintln!("narrows: damage: {damage}");
    }
    Ok(ExitCode::SUCCESS)
}

/// `TRACE.pftrace` beside the folder.
fn default_name(trace: &Path, format: Format) -> PathBuf {
    let mut name = trace.components().collect::<PathBuf>().into_os_string();
    name.push(".");
    name.push(format.ending());
    PathBuf::from(name)
}

fn to_file(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let wrong = |error| failure::WrongInput(format!("{}: {error}", file.display()));
    let mut out = BufWriter::new(File::create(file).map_err(wrong)?);
    let written = write(&mut out).and_then(|()| out.flush());
    written.with_context(|| format!("{} is not whole", file.display()))
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        // A reader that closed its end early (`| head`) has what it wants.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
