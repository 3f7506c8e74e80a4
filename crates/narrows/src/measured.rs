//! One run of a user's program as a block: how many ops, in what time.
//!
//! Ops are counted by the probe, over the window in which all of the program's threads were at
//! work, or by a regular expression on what the program prints, over the run's whole time.

mod pattern;
mod watched;

use crate::failure::WrongInput;
use crate::launch;
use narrows_scan::samples::Block;
use pattern::Pattern;
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watched::Watched;

/// How ops are counted.
pub(crate) enum Count {
    /// By the probe inside the program.
    Probe,
    /// By what the program prints.
    Output(Pattern),
}

impl Count {
    /// By a regular expression.
    pub(crate) fn regex(text: &str) -> Result<Count, String> {
        Pattern::new(text).map(Count::Output)
    }
}

/// A program that is run again and again.
pub(crate) struct Program {
    command: Vec<OsString>,
    count: Count,
    begin: Instant,
    /// The longest run so far that ended by itself.
    longest: Option<Duration>,
}

/// A run may take this many times as long as the longest one before it, and this much more.
const PATIENCE: u32 = 10;
const MORE_PATIENCE: Duration = Duration::from_secs(30);

/// What a run counted: ops in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    ops: f64,
    seconds: f64,
}

impl Program {
    /// Checks that the program is there (and, for the probe, that it can be injected into).
    pub(crate) fn new(command: &[OsString], count: Count) -> anyhow::Result<Program> {
        let Some(program) = command.first() else {
            return Err(WrongInput("no command after --".into()).into());
        };
        if matches!(count, Count::Probe) {
            launch::find(program)?;
        }
        Ok(Program {
            command: command.to_vec(),
            count,
            begin: Instant::now(),
            longest: None,
        })
    }

    /// How ops are counted, in words.
    pub(crate) fn counted(&self) -> String {
        match &self.count {
            Count::Probe => "counted by the probe, in the time in which all threads that do ops \
                             were at work"
                .into(),
            Count::Output(pattern) => pattern.words(),
        }
    }

    /// Runs `processes` copies at once, each at `threads` threads. The error is one line.
    pub(crate) fn run(
        &mut self,
        threads: u32,
        processes: u32,
        variables: &[(String, String)],
    ) -> Result<Block, String> {
        let command = words(&self.command, threads, variables);
        let mut variables = variables.to_vec();
        variables.push(("NARROWS_N".into(), threads.to_string()));
        let start_ns = self.begin.elapsed().as_nanos() as u64;
        let begin = Instant::now();
        let patience = self.longest.map(|t| t * PATIENCE + MORE_PATIENCE);
        let counted: Vec<Counted> = match &self.count {
            Count::Output(pattern) => printed(&command, processes, &variables, pattern, patience)?,
            Count::Probe => Watched::run(&command, processes, &variables)?,
        };
        self.longest = self.longest.max(Some(begin.elapsed()));
        let seconds = counted.iter().map(|c| c.seconds).fold(0.0, f64::max);
        let rate: f64 = counted.iter().map(|c| c.ops / c.seconds.max(1e-9)).sum();
        let ops = (rate * seconds).round();
        if ops < 1.0 {
            return Err("the program did no op that could be counted".into());
        }
        Ok(Block {
            start_ns,
            wall_ns: (seconds * 1e9) as u64,
            ops: ops as u64,
            cpu_ns: None,
            gpu_busy_ns: None,
            gpu_work_ns: None,
            latency: Vec::new(),
            max_latency_ns: 0,
        })
    }
}

/// The command with its places filled: `{threads}`, `{}`, and `{NAME}` of a variable.
fn words(command: &[OsString], threads: u32, variables: &[(String, String)]) -> Vec<OsString> {
    let fill = |word: &OsString| -> OsString {
        let Some(text) = word.to_str() else {
            return word.clone();
        };
        let number = threads.to_string();
        let mut text = text.replace("{threads}", &number).replace("{}", &number);
        for (name, value) in variables {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text.into()
    };
    command.iter().map(fill).collect()
}

/// Runs the copies and reads what they print.
fn printed(
    command: &[OsString],
    processes: u32,
    variables: &[(String, String)],
    pattern: &Pattern,
    patience: Option<Duration>,
) -> Result<Vec<Counted>, String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let begin = Instant::now();
    let copies: Vec<_> = (0..processes)
        .map(|_| {
            Command::new(program)
                .args(arguments)
                .envs(variables.iter().map(|(n, v)| (n, v)))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|e| format!("{} cannot be started: {e}", program.to_string_lossy()))
        })
        .collect::<Result<_, _>>()?;
    let ids: Vec<u32> = copies.iter().map(std::process::Child::id).collect();
    let (sender, receiver) = std::sync::mpsc::channel();
    for copy in copies {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let output = copy.wait_with_output();
            // Nobody listens any more after an error of another copy.
            drop(sender.send(output));
        });
    }
    let mut texts = Vec::new();
    for _ in 0..processes {
        let left = patience.map_or(Duration::MAX, |p| p.saturating_sub(begin.elapsed()));
        let output = receiver.recv_timeout(left).map_err(|_| {
            ids.iter().for_each(|id| kill(*id));
            format!(
                "it was ended after {:.0} s without an end of its own",
                begin.elapsed().as_secs_f64()
            )
        })?;
        let output = output.map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            let errors = text(&output.stderr);
            let last = errors.trim_end().lines().last().unwrap_or_default();
            return Err(format!("the program ended with {}: {last}", output.status));
        }
        texts.push(text(&output.stdout) + "\n" + &text(&output.stderr));
    }
    // All copies count over the time until the last one's end.
    let seconds = begin.elapsed().as_secs_f64();
    let counted = texts.iter().map(|text| pattern.count(text, seconds));
    counted.collect()
}

fn kill(id: u32) {
    let pid = i32::try_from(id)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // One that has ended meanwhile needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let command: Vec<OsString> = ["app", "-t{threads}", "{}", "--mode={MODE}", "{OTHER}"]
            .map(OsString::from)
            .to_vec();
        let filled = words(&command, 4, &[("MODE".into(), "x".into())]);
        assert_eq!(filled, ["app", "-t4", "4", "--mode=x", "{OTHER}"]);
    }

    #[test]
    fn a_program_that_prints_is_counted_and_a_failure_is_told() {
        let run = |script: &str, pattern: &str, processes| {
            let command = ["sh", "-c", script].map(OsString::from);
            let count = Count::regex(pattern).unwrap();
            Program::new(&command, count)
                .unwrap()
                .run(2, processes, &[])
        };
        let block = run(
            "sleep 0.1; echo did $((NARROWS_N * 50)) ops",
            r"did (\d+) ops",
            2,
        )
        .unwrap();
        assert_eq!(block.ops, 200);
        let error = run("echo broken >&2; exit 3", "x", 1).unwrap_err();
        assert!(error.contains("3") && error.contains("broken"), "{error}");
        let error = run("echo nothing", r"did (\d+)", 1).unwrap_err();
        assert!(error.contains("--ops-regex"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let command = ["sh", "-c", "exec sleep 600"].map(OsString::from);
        let pattern = Pattern::new("x").unwrap();
        let begin = Instant::now();
        let patience = Some(Duration::from_millis(200));
        let error = printed(&command, 1, &[], &pattern, patience).unwrap_err();
        assert!(error.contains("ended after"), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}
