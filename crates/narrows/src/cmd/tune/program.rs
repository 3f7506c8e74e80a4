//! A search over a user's own program: numbers of threads and processes, environment settings.

use super::session::{Plan, measure};
use super::{Args, default_workers, naive_workers, numbers};
use crate::failure::WrongInput;
use crate::measured::{Count, Program};
use narrows_scan::samples::Block;
use narrows_tune::run::{Refusal, Source};
use narrows_tune::samples::Subject;
use narrows_tune::{Dimension, Goal, Setting, Space};
use std::ffi::OsString;
use std::process::ExitCode;

/// Most threads or processes that are accepted.
const MOST: u32 = 4096;
/// The word for "as the environment has it".
const AS_IS: &str = "as-is";

/// A variable and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    name: String,
    values: Vec<String>,
}

/// Reads `NAME=a,b,c`; an empty value leaves the variable as it is.
pub(super) fn variable(text: &str) -> Result<Variable, String> {
    let wrong = || format!("'{text}': use NAME=a,b,c, as in OMP_NUM_THREADS=1,4");
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || ["threads", "processes"].contains(&name) {
        return Err(wrong());
    }
    let word = |v: &str| {
        if v.is_empty() {
            AS_IS.to_owned()
        } else {
            v.to_owned()
        }
    };
    Ok(Variable {
        name: name.into(),
        values: values.split(',').map(word).collect(),
    })
}

/// Runs the search.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.goal == Goal::P99 {
        let why =
            "--goal p99: latencies inside a program are not measured; use throughput or efficiency";
        return Err(WrongInput(why.into()).into());
    }
    let cores = narrows_scan::environment::read().cores.max(1);
    let threads = threads(args, cores)?;
    let processes = match &args.processes {
        Some(wanted) => numbers("--processes", wanted, MOST)?,
        None => vec![1],
    };
    let naive = naive_workers(&threads, cores);
    let space = space(&threads, &processes, naive, &args.set).map_err(WrongInput::from_error)?;
    if space.settings.len() < 2 {
        let why = "there is one setting only: put {threads} into COMMAND, or give --threads, --processes \
                   or --set NAME=a,b";
        return Err(WrongInput(why.into()).into());
    }
    let count = match &args.ops_regex {
        Some(text) => Count::regex(text).map_err(|e| WrongInput(format!("--ops-regex: {e}")))?,
        None => Count::Probe,
    };
    let program = Program::new(&args.command, count)?;
    let subject = Subject::Program {
        command: args
            .command
            .iter()
            .map(|w| w.to_string_lossy().into_owned())
            .collect(),
        counted: program.counted(),
    };
    let plan = Plan::new(args, space.clone())?;
    measure(args, plan, subject, &mut Runs { space, program })
}

/// What the user named; else the usual ones where the command has a place for them.
fn threads(args: &Args, cores: u32) -> anyhow::Result<Vec<u32>> {
    let has_place = |word: &OsString| {
        let word = word.to_string_lossy();
        word.contains("{threads}") || word.contains("{}")
    };
    match &args.threads {
        Some(wanted) => numbers("--threads", wanted, MOST),
        None if args.command.iter().any(has_place) => Ok(default_workers(cores)),
        None => Ok(vec![1]),
    }
}

fn space(
    threads: &[u32],
    processes: &[u32],
    naive: u32,
    set: &[Variable],
) -> Result<Space, narrows_tune::SpaceError> {
    let words = |values: &[u32]| values.iter().map(ToString::to_string).collect();
    let mut dimensions = vec![
        Dimension {
            name: "threads".into(),
            values: words(threads),
        },
        Dimension {
            name: "processes".into(),
            values: words(processes),
        },
    ];
    dimensions.extend(set.iter().map(|v| Dimension {
        name: v.name.clone(),
        values: v.values.clone(),
    }));
    let mut first = vec![0; dimensions.len()];
    if let Some(slot) = first.first_mut() {
        *slot = threads.iter().position(|n| *n == naive).unwrap_or(0);
    }
    Space::new(dimensions, &Setting(first), |setting| {
        let at = |values: &[u32], dimension: usize| values.get(*setting.0.get(dimension)?).copied();
        Some(at(threads, 0)?.saturating_mul(at(processes, 1)?))
    })
}

/// Blocks are runs of the program.
struct Runs {
    space: Space,
    program: Program,
}

impl Source for Runs {
    fn block(&mut self, setting: usize) -> Result<Block, Refusal> {
        let number = |at| self.space.word(setting, at).parse().unwrap_or(1);
        let (threads, processes) = (number(0), number(1));
        let all = self.space.dimensions.iter().enumerate().skip(2);
        let variables: Vec<(String, String)> = all
            .map(|(at, d)| (d.name.clone(), self.space.word(setting, at).to_owned()))
            .filter(|(_, value)| value != AS_IS)
            .collect();
        self.program
            .run(threads, processes, &variables)
            .map_err(Refusal::Cannot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_and_wrong_ones_refused() {
        let found = variable("A_1=x,,z").unwrap();
        assert_eq!(found.name, "A_1");
        assert_eq!(found.values, ["x", AS_IS, "z"]);
        for wrong in ["A", "=1", "A B=1", "threads=1,2"] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_naive_setting_is_the_first_of_each_and_the_cores() {
        let set = [variable("A=1,2").unwrap()];
        let space = space(&[1, 2, 4], &[1, 2], 2, &set).unwrap();
        assert_eq!(space.settings.len(), 12);
        assert_eq!(space.words(space.naive), "threads=2 processes=1 A=1");
        let widest = space.widths.iter().max();
        assert_eq!(widest, Some(&8));
    }
}
