//! A rung's child process: its start, its orders and answers, how it ended.

use crate::protocol::{Answer, Order, PREFIX};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of a child's standard error that are kept to explain its end.
const KEPT: usize = 40;
/// How long a child may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The child ended.
    Ended {
        /// The signal that killed it.
        signal: Option<i32>,
        /// In words, with its last line.
        detail: String,
    },
    /// It said nothing for this long.
    Silent(Duration),
}

/// A running child.
pub(crate) struct Child {
    process: Process,
    /// `None` once it was told to end.
    orders: Option<ChildStdin>,
    answers: Receiver<Answer>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts `command`; the error is in words.
    pub(crate) fn start(command: &mut Command) -> Result<Child, String> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                format!(
                    "{} did not start: {e}",
                    command.get_program().to_string_lossy()
                )
            })?;
        let (Some(output), Some(errors)) = (process.stdout.take(), process.stderr.take()) else {
            return Err("no pipes".into());
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            lines(output, |line| {
                let Some(text) = line.strip_prefix(PREFIX) else {
                    return true;
                };
                let answer = serde_json::from_str(text).unwrap_or_else(|e| Answer::Failed {
                    detail: format!("unreadable answer: {e}"),
                });
                sender.send(answer).is_ok()
            });
        });
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&last_lines);
        std::thread::spawn(move || {
            lines(errors, |line| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(line.to_owned());
                true
            });
        });
        Ok(Child {
            orders: process.stdin.take(),
            process,
            answers,
            last_lines,
        })
    }

    /// Tells it to end, without waiting for that.
    pub(crate) fn dismiss(&mut self) {
        drop(self.orders.take());
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends an order. A child that is gone shows at the next [`Child::hear`].
    pub(crate) fn tell(&mut self, order: &Order) {
        let Ok(text) = serde_json::to_string(order) else {
            return;
        };
        if let Some(orders) = &mut self.orders {
            drop(writeln!(orders, "{text}").and_then(|()| orders.flush()));
        }
    }

    /// The next answer, within `limit`.
    pub(crate) fn hear(&mut self, limit: Duration) -> Result<Answer, Lost> {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => Err(Lost::Silent(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// An answer that is there already.
    pub(crate) fn heard(&mut self) -> Result<Option<Answer>, Lost> {
        match self.answers.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.ended()),
        }
    }

    /// How a child ended whose output is closed.
    fn ended(&mut self) -> Lost {
        let begin = Instant::now();
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if begin.elapsed() < FAREWELL => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => break None,
            }
        };
        let mut detail = match status {
            Some(status) => words(status),
            None => "closed its output without ending".to_owned(),
        };
        if let Some(line) = self.last_line() {
            detail.push_str(": ");
            detail.push_str(&line);
        }
        Lost::Ended {
            signal: status.and_then(|s| s.signal()),
            detail,
        }
    }

    /// The last line on its standard error that says something.
    pub(crate) fn last_line(&self) -> Option<String> {
        let kept = self
            .last_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let line = kept.iter().rev().find(|l| !l.trim().is_empty())?;
        Some(line.trim().chars().take(300).collect())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.dismiss();
        let begin = Instant::now();
        while begin.elapsed() < FAREWELL && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Nothing is lost if it has ended already; a hanging driver must not outlive the run.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Reads to the end, also what is not UTF-8; stops when `each` says so.
fn lines(input: impl Read, mut each: impl FnMut(&str) -> bool) {
    for line in BufReader::new(input).split(b'\n').map_while(Result::ok) {
        if !each(&String::from_utf8_lossy(&line)) {
            return;
        }
    }
}

fn words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("ended by itself with status {code}"),
        (None, None) => "ended".into(),
    }
}

/// `SIGSEGV`, or `signal 34`. Numbers that differ between systems keep their number.
fn signal_name(number: i32) -> String {
    match number {
        4 => "SIGILL".into(),
        6 => "SIGABRT".into(),
        8 => "SIGFPE".into(),
        9 => "SIGKILL".into(),
        11 => "SIGSEGV".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        Child::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn answers_are_heard_and_other_lines_are_not() {
        let mut child = shell("echo chatter; echo 'narrows-rung {\"answer\":\"stopped\"}'; read x");
        let answer = child.hear(Duration::from_secs(10)).unwrap();
        assert_eq!(answer, Answer::Stopped);
        assert!(child.heard().unwrap().is_none());
        assert!(matches!(
            child.hear(Duration::from_millis(30)),
            Err(Lost::Silent(_))
        ));
    }

    #[test]
    fn a_signal_and_the_last_words_are_told() {
        let mut child = shell("echo 'the last words' >&2; sleep 0.1; kill -SEGV $$");
        match child.hear(Duration::from_secs(10)) {
            Err(Lost::Ended { signal, detail }) => {
                assert_eq!(signal, Some(11));
                assert_eq!(detail, "killed by SIGSEGV: the last words");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Child::start(&mut Command::new("/nonexistent/python9"))
            .err()
            .unwrap();
        assert!(error.contains("/nonexistent/python9"), "{error}");
    }

    #[test]
    fn a_child_that_ignores_its_farewell_is_killed() {
        let child = shell("trap '' TERM; sleep 60");
        let begin = Instant::now();
        drop(child);
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
