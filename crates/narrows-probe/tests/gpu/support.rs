//! Builds the hosts, runs them with and without the probe, and reads what was recorded.

use narrows_trace::reader::{Event, Trace, What};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The injected library, built with this test.
pub(crate) fn probe() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    // Beside the test; the copy one folder up is only made by `cargo build`.
    let folder = test.parent().expect("a folder");
    let library = folder.join("libnarrows_probe.so");
    assert!(library.exists(), "{} is missing", library.display());
    library
}

/// A folder with built hosts, removed at the end.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles `fixtures/SOURCE` to `name`.
    pub(crate) fn cc(&self, source: &str, name: &str, flags: &[&str]) -> PathBuf {
        let output = self.path(name);
        let mut command = Command::new("cc");
        command
            .args(["-O1", "-g", "-Wall", "-Wextra", "-o"])
            .arg(&output)
            .arg(root().join("fixtures").join(source))
            .arg("-L")
            .arg(self.folder.path())
            .args(flags);
        let done = command.output().expect("cc: install gcc and libc6-dev");
        assert!(
            done.status.success(),
            "{command:?}\n{}\nneeded: gcc libc6-dev libvulkan-dev opencl-headers ocl-icd-opencl-dev",
            String::from_utf8_lossy(&done.stderr)
        );
        output
    }

    /// Builds the stand-in driver as `libcuda.so.1`, also under its linking name.
    pub(crate) fn stand_in_driver(&self) {
        let flags = [
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-Wl,-soname,libcuda.so.1",
        ];
        let built = self.cc("cuda-stand-in/libcuda.c", "libcuda.so.1", &flags);
        std::os::unix::fs::symlink(built, self.path("libcuda.so")).expect("a link");
    }

    /// Builds the stand-in for CUPTI under the real one's name. It needs the stand-in driver.
    pub(crate) fn stand_in_cupti(&self) {
        let flags = [
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-Wl,-soname,libcupti.so.13",
        ];
        let built = self.cc("cupti-stand-in/libcupti.c", "libcupti.so.13", &flags);
        std::os::unix::fs::symlink(built, self.path("libcupti.so")).expect("a link");
    }

    /// A command with this folder on the library path.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("LD_LIBRARY_PATH", self.folder.path());
        // Same conditions with and without: one driver, no messages about displays.
        command.env_remove("DISPLAY");
        command.env("XDG_RUNTIME_DIR", self.folder.path());
        if Path::new(LAVAPIPE).exists() {
            command.env("VK_ICD_FILENAMES", LAVAPIPE);
        }
        command
    }

    /// Makes the command record into a new folder, with the layers switched on.
    pub(crate) fn inject(&self, command: &mut Command, trace: &str) -> PathBuf {
        let folder = self.path(trace);
        std::fs::create_dir_all(&folder).expect("a trace folder");
        let layers = self.path("layers");
        std::fs::create_dir_all(&layers).expect("a layer folder");
        let manifest = include_str!("../../src/vulkan/manifest.json")
            .replace("@LIBRARY@", probe().to_str().expect("a plain path"));
        std::fs::write(layers.join("narrows.json"), manifest).expect("a manifest");
        command
            .env("LD_PRELOAD", probe())
            .env("NARROWS_TRACE", &folder)
            .env("OPENCL_LAYERS", probe())
            .env("VK_ADD_LAYER_PATH", &layers)
            .env("VK_INSTANCE_LAYERS", "VK_LAYER_NARROWS_probe");
        folder
    }

    /// Runs a program plainly and injected, asserts that output and status agree, and returns the
    /// injected run's output and trace.
    pub(crate) fn both(&self, program: &Path, words: &[&str], settle: fn(&str) -> String) -> Seen {
        let plain = self.command(program).args(words).output().expect("runs");
        let seen = self.injected(program, words, &[]);
        assert_eq!(
            (
                plain.status,
                settle(&text(&plain.stdout)),
                settle(&text(&plain.stderr))
            ),
            (
                seen.output.status,
                settle(&seen.stdout()),
                settle(&text(&seen.output.stderr))
            ),
            "with and without the probe: {} {words:?}",
            program.display()
        );
        seen
    }

    pub(crate) fn injected(&self, program: &Path, words: &[&str], env: &[(&str, &str)]) -> Seen {
        let name = format!("trace{}", next());
        let mut command = self.command(program);
        command.args(words);
        let folder = self.inject(&mut command, &name);
        command.envs(env.iter().copied());
        let output = command.output().expect("runs");
        Seen {
            trace: Trace::open(&folder).expect("a trace"),
            output,
        }
    }
}

/// Mesa's software driver.
pub(crate) const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

fn next() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A run and its trace.
pub(crate) struct Seen {
    pub(crate) output: Output,
    pub(crate) trace: Trace,
}

impl Seen {
    pub(crate) fn stdout(&self) -> String {
        text(&self.output.stdout)
    }

    /// Calls and failed calls by name, all processes and threads.
    pub(crate) fn calls(&self) -> BTreeMap<String, (u64, u64)> {
        let mut calls = BTreeMap::new();
        for process in &self.trace.processes {
            for stats in process.threads.values().flat_map(|thread| &thread.calls) {
                let Some(info) = process.calls.get(stats.0) else {
                    continue;
                };
                let total: &mut (u64, u64) = calls.entry(info.name.clone()).or_default();
                total.0 += stats.1.count();
                total.1 += stats.1.timed.failed;
            }
        }
        calls
    }

    /// Only the calls whose names start so.
    pub(crate) fn counts(&self, prefix: &str) -> BTreeMap<String, u64> {
        self.calls()
            .into_iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, (count, _))| (name, count))
            .collect()
    }

    /// Timeline calls named `name`: how many by object.
    pub(crate) fn objects(&self, name: &str) -> BTreeMap<u64, u64> {
        let mut objects = BTreeMap::new();
        for process in &self.trace.processes {
            for event in process.timeline.merged() {
                if let Event {
                    what: What::Call { call, object, .. },
                    ..
                } = event
                    && process
                        .calls
                        .get(&call)
                        .is_some_and(|info| info.name == name)
                {
                    *objects.entry(object.0).or_default() += 1;
                }
            }
        }
        objects
    }

    /// The value of a note.
    pub(crate) fn note(&self, key: &str) -> Option<&str> {
        self.trace
            .processes
            .iter()
            .flat_map(|process| &process.notes)
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// What the program printed as `NAME NUMBER` lines, for names that start so.
    pub(crate) fn printed(&self, prefix: &str) -> BTreeMap<String, u64> {
        printed(&self.stdout(), prefix)
    }
}

/// The `NAME NUMBER` lines of `text` whose names start with `prefix` and whose numbers are not 0.
pub(crate) fn printed(text: &str, prefix: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| name.starts_with(prefix))
        .filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?)))
        .filter(|(_, number)| *number > 0)
        .collect()
}

/// The folder of the Python environment that `scripts/gpu-test-environment` makes.
pub(crate) fn environment() -> PathBuf {
    let folder = std::env::var_os("NARROWS_GPU_TEST_ENV")
        .map_or_else(|| root().join("target/gpu-test-environment"), PathBuf::from);
    assert!(
        folder.join("bin/python").exists(),
        "{} is missing: run scripts/gpu-test-environment",
        folder.display()
    );
    folder
}

/// A shared library that a Python package brought along, by the start of its name.
pub(crate) fn python_library(start: &str) -> PathBuf {
    fn find(folder: &Path, start: &str) -> Option<PathBuf> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                folders.push(path);
            } else if name.to_string_lossy().starts_with(start) {
                return Some(path);
            }
        }
        folders.iter().find_map(|folder| find(folder, start))
    }
    let environment = environment();
    find(&environment.join("lib"), start).unwrap_or_else(|| {
        panic!(
            "no {start} in {}: run scripts/gpu-test-environment",
            environment.display()
        )
    })
}

/// What `ltrace`, a tracer of its own kind, counts in a plain run: calls by name, for names that
/// match `pattern` and start with `prefix`.
pub(crate) fn ltrace(
    bench: &Bench,
    program: &Path,
    words: &[&str],
    prefix: &str,
) -> BTreeMap<String, u64> {
    let file = bench.path("ltrace.out");
    let mut command = bench.command("ltrace");
    command.args(["-f", "-c", "-e", &format!("{prefix}*"), "-o"]);
    let done = command
        .arg(&file)
        .arg(program)
        .args(words)
        .output()
        .expect("install ltrace");
    assert!(done.status.success(), "ltrace: {}", text(&done.stderr));
    let table = std::fs::read_to_string(file).expect("ltrace writes its table");
    assert!(
        table.contains(prefix),
        "ltrace saw nothing: {table}\n{}",
        text(&done.stderr)
    );
    table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().rev();
            let (name, count) = (words.next()?, words.next()?);
            Some((name.to_owned(), count.parse().ok()?))
        })
        // Its pattern lets "close" through for "cl*": functions of the interface go on in capitals.
        .filter(|(name, _): &(String, u64)| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()))
        })
        .collect()
}

/// Asserts that `recorded` has what `counted` has, less what the hooks leave out on purpose.
pub(crate) fn assert_same_counts(
    recorded: &BTreeMap<String, u64>,
    counted: &BTreeMap<String, u64>,
    left_out: &[&str],
) {
    let mut counted = counted.clone();
    for name in left_out {
        counted.remove(*name);
    }
    assert_eq!(recorded, &counted);
}

impl Seen {
    /// GPU spans: queue, begin and end on the GPU's clock, the name of the submitting call; and
    /// how many pairs of both clocks there are.
    pub(crate) fn spans(&self) -> (Vec<(u64, u64, u64, String)>, usize) {
        let (mut spans, mut clocks) = (Vec::new(), 0);
        for process in &self.trace.processes {
            for event in process.timeline.merged() {
                match event.what {
                    What::GpuSpan(span) => {
                        let name = process.calls.get(&span.call).map(|info| info.name.clone());
                        let name = name.unwrap_or_default();
                        spans.push((span.queue.0, span.begin.0, span.end.0, name));
                    }
                    What::GpuClock { .. } => clocks += 1,
                    _ => {}
                }
            }
        }
        (spans, clocks)
    }
}
