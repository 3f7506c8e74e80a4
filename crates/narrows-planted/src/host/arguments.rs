//! The host's arguments.

use narrows_planted::setup::MAX_THREADS;
use narrows_planted::{Layer, Plant, Timing};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "usage: planted-host --plant KIND [--layer LAYER] [--threads N] \
    [--ops N | --time MS] [--tested-time MS] [--removed] [--hold US] [--device US] [--objects FOLDER] [--quiet]";

/// In the environment while delays are put into the program. Such a run has to be longer.
const CAUSAL_TEST: &str = "NARROWS_CONTROL";

/// How much each thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// This many ops.
    Ops(u64),
    /// Ops for this long.
    Time(Duration),
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) plant: Plant,
    pub(crate) layer: Layer,
    pub(crate) threads: u32,
    pub(crate) amount: Amount,
    pub(crate) removed: bool,
    pub(crate) timing: Timing,
    /// Print nothing.
    pub(crate) quiet: bool,
    /// Folder of the objects.
    pub(crate) objects: PathBuf,
}

impl Arguments {
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut words = words;
        let (mut plant, mut layer, mut threads) = (None, Layer::Driver, 1);
        let (mut amount, mut removed, mut objects) = (Amount::Ops(1000), false, None);
        let (mut hold, mut device, mut quiet) = (None, None, false);
        let tested = std::env::var_os(CAUSAL_TEST).is_some();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--plant" => plant = Some(named(&value()?, Plant::from_name, "plant")?),
                "--layer" => layer = named(&value()?, Layer::from_name, "layer")?,
                "--threads" => threads = number(&value()?)?,
                "--ops" => amount = Amount::Ops(number(&value()?)?.into()),
                "--time" => {
                    amount = Amount::Time(Duration::from_millis(number(&value()?)?.into()));
                }
                "--tested-time" => {
                    let time = Amount::Time(Duration::from_millis(number(&value()?)?.into()));
                    amount = if tested { time } else { amount };
                }
                "--removed" => removed = true,
                "--quiet" => quiet = true,
                "--hold" => hold = Some(u64::from(number(&value()?)?) * 1000),
                "--device" => device = Some(u64::from(number(&value()?)?) * 1000),
                "--objects" => objects = Some(PathBuf::from(value()?)),
                _ => return Err(format!("unknown argument {word}\n{USAGE}")),
            }
        }
        let plant = plant.ok_or(USAGE)?;
        if !(1..=MAX_THREADS).contains(&(threads as usize)) {
            return Err(format!("--threads: 1 to {MAX_THREADS}"));
        }
        let Timing { hold_ns, device_ns } = plant.timing();
        let timing = Timing {
            hold_ns: hold.unwrap_or(hold_ns),
            device_ns: device.unwrap_or(device_ns),
        };
        let objects = match objects {
            Some(folder) => folder,
            None => own_folder()?,
        };
        Ok(Arguments {
            plant,
            layer,
            threads,
            amount,
            removed,
            timing,
            quiet,
            objects,
        })
    }
}

fn own_folder() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn named<T>(text: &str, find: impl Fn(&str) -> Option<T>, what: &str) -> Result<T, String> {
    find(text).ok_or_else(|| format!("unknown {what} {text}"))
}

#[cfg(test)]
mod tests {
    use super::{Amount, Arguments};
    use narrows_planted::{Layer, Plant};
    use std::time::Duration;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn all_of_them() {
        let line =
            "--plant spin --layer runtime --threads 2 --time 30 --removed --hold 7 --device 9";
        let read = read(line).expect("understood");
        assert_eq!(
            (read.plant, read.layer, read.threads),
            (Plant::Spin, Layer::Runtime, 2)
        );
        assert_eq!(read.amount, Amount::Time(Duration::from_millis(30)));
        assert!(read.removed);
        assert_eq!((read.timing.hold_ns, read.timing.device_ns), (7_000, 9_000));
    }

    #[test]
    fn wrong_ones_are_named() {
        for (line, what) in [
            ("", "usage"),
            ("--plant lock", "unknown plant lock"),
            ("--plant mutex --layer gpu", "unknown layer gpu"),
            ("--plant mutex --threads 0", "--threads: 1 to"),
            ("--plant mutex --threads x", "x is not a number"),
            ("--plant mutex --ops", "--ops needs a value"),
            ("--plant mutex --loud", "unknown argument --loud"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(what), "{line}: {error}");
        }
    }
}
