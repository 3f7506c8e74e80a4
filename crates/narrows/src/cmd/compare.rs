//! `narrows compare A B`: before and after, of samples files or of traces.

use crate::explain::{Runs, explanation, read};
use crate::failure::WrongInput;
use narrows_model::compare::{Comparison, TraceSide, compare_samples, compare_traces};
use narrows_model::explain::result::Explanation;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `compare`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    narrows compare before.jsonl after.jsonl --fail-if slower:5%\n  \
    narrows compare traces-before traces-after\n\n\
    Exit status: 0, or 1 when a point fails --fail-if.")]
pub(crate) struct Args {
    /// Before: a samples file of scan, or a folder of trace or trace --scale
    #[arg(value_name = "A")]
    a: PathBuf,
    /// After: the same kind of file
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Exit with 1 if the whole interval of a point's throughput is slower by more than this
    #[arg(long, value_parser = condition, value_name = "slower:N%")]
    fail_if: Option<Slower>,
    /// Rules that put objects and functions into layers, before the built-in ones
    #[arg(long, value_name = "FILE")]
    layers: Option<PathBuf>,
    /// Print the result as JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// A fraction of the throughput, above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slower(f64);

fn condition(text: &str) -> Result<Slower, String> {
    let number = text
        .strip_prefix("slower:")
        .and_then(|rest| rest.strip_suffix('%'))
        .and_then(|percent| percent.trim().parse::<f64>().ok());
    match number.filter(|percent| *percent > 0.0 && *percent < 100.0) {
        Some(percent) => Ok(Slower(percent / 100.0)),
        None => Err("use slower:N% with N above 0 and below 100, as in slower:5%".into()),
    }
}

/// Runs `compare`.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for path in [&args.a, &args.b] {
        if !path.exists() {
            return Err(WrongInput(format!("{}: no such file or folder", path.display())).into());
        }
    }
    let mut comparison = match (args.a.is_dir(), args.b.is_dir()) {
        (true, true) => traces(&args)?,
        (false, false) if args.layers.is_some() => {
            let why = "--layers is for traces: a samples file holds no objects";
            return Err(WrongInput(why.into()).into());
        }
        (false, false) => {
            let read =
                |path: &Path| narrows_scan::samples::read(path).map_err(WrongInput::from_error);
            let names = [args.a.display().to_string(), args.b.display().to_string()];
            compare_samples([&names[0], &names[1]], &read(&args.a)?, &read(&args.b)?)
        }
        _ => {
            let why = "one is a samples file and the other a trace folder; give two of a kind";
            return Err(WrongInput(why.into()).into());
        }
    };
    if let Some(Slower(slower)) = args.fail_if {
        comparison.fail_if_slower(slower);
    }
    print(&comparison, args.json)?;
    let failed = comparison.fail_if.is_some_and(|f| !f.failed.is_empty());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn traces(args: &Args) -> anyhow::Result<Comparison> {
    let read = |path: &Path| -> anyhow::Result<_> {
        let runs = read(path, args.layers.as_deref())?;
        let explanation = explanation(&runs, None);
        Ok((path.display().to_string(), runs, explanation))
    };
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    Ok(compare_traces(&side(&a), &side(&b)))
}

fn side((name, runs, explanation): &(String, Runs, Explanation)) -> TraceSide<'_> {
    TraceSide {
        name,
        profiles: &runs.profiles,
        explanation,
        table_ops: runs.table_ops(),
    }
}

fn print(comparison: &Comparison, json: bool) -> anyhow::Result<()> {
    let text = if json {
        narrows_report::compare_json(comparison)?
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        narrows_report::compare_text(comparison, colour)
    };
    crate::output::print(&text)
}

#[cfg(test)]
mod tests {
    use super::{Slower, condition};

    #[test]
    fn conditions() {
        assert_eq!(condition("slower:5%"), Ok(Slower(0.05)));
        assert_eq!(condition("slower:0.5%"), Ok(Slower(0.005)));
        for wrong in [
            "",
            "slower",
            "slower:5",
            "slower:0%",
            "slower:100%",
            "slower:-1%",
            "faster:5%",
            "slower:x%",
            "slower:NaN%",
        ] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
    }
}
