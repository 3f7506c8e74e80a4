//! `narrows ladder` as a user meets it: real Python packages on software devices, stand-ins with
//! planted faults, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // this is a test

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One measurement at a time: they would disturb each other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The interpreter of `scripts/gpu-test-environment`.
fn python() -> PathBuf {
    let folder = std::env::var_os("NARROWS_GPU_TEST_ENV")
        .map_or_else(|| root().join("target/gpu-test-environment"), PathBuf::from);
    let python = folder.join("bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/gpu-test-environment",
        python.display()
    );
    python
}

/// A ladder in `folder`, with the interpreter of the tests; a machine of its own: one OpenCL and
/// one Vulkan software device, no CUDA but what `folder` holds.
fn ladder(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    command
        .current_dir(folder)
        .arg("ladder")
        .args(arguments.split_whitespace())
        .args(["--out", "ladder.jsonl", "--python"])
        .arg(python())
        .env_remove("DISPLAY")
        .env_remove("LADDER_PLANT")
        .env("LD_LIBRARY_PATH", folder);
    command
}

fn json(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rung<'a>(result: &'a Value, id: &str) -> &'a Value {
    let rungs = result["rungs"].as_array().unwrap();
    let found = rungs.iter().find(|r| r["id"] == id);
    found.unwrap_or_else(|| panic!("no rung {id} in {result:#}"))
}

fn point(rung: &Value, n: u32) -> &Value {
    let points = rung["points"].as_array().unwrap();
    let found = points.iter().find(|p| p["n"] == n);
    found.unwrap_or_else(|| panic!("no point {n} in {rung:#}"))
}

fn measured(rung: &Value, n: u32) -> bool {
    point(rung, n)["ops_per_s"]
        .as_f64()
        .is_some_and(|x| x > 0.0)
}

/// The stand-ins of Python packages, with a planted fault.
fn with_stand_ins(command: &mut Command, plant: &str) -> Value {
    command
        .env("PYTHONPATH", root().join("fixtures/ladder-stand-in"))
        .env("LADDER_PLANT", plant);
    json(&command.output().unwrap())
}

#[test]
fn opencl_through_a_real_binding() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = "opencl --rungs raw,pyopencl,pyopencl-pool --work matmul:64 --threads 1,2 --time 6s --json --seed 3";
    let output = ladder(folder.path(), line).output().unwrap();
    let result = json(&output);
    assert_eq!(result["schema"], "narrows-ladder/1");
    for id in ["raw", "pyopencl", "pyopencl-pool"] {
        let rung = rung(&result, id);
        assert_eq!(rung["failure"], Value::Null, "{rung:#}");
        assert!(measured(rung, 1) && measured(rung, 2), "{rung:#}");
        assert!(
            rung["max_relative_error"].as_f64().unwrap() > 0.0,
            "{id} was checked"
        );
        assert_eq!(rung["stand_in"], false);
        assert_eq!(rung["software"], true);
    }
    assert_eq!(
        rung(&result, "raw")["device"],
        rung(&result, "pyopencl")["device"]
    );
    let step = &result["steps"][0];
    assert_eq!(
        (&step["from"], &step["to"]),
        (&"raw".into(), &"pyopencl".into())
    );
    let again = Command::new(env!("CARGO_BIN_EXE_narrows"))
        .current_dir(folder.path())
        .args(["report", "ladder.jsonl", "--json"])
        .output()
        .unwrap();
    assert_eq!(json(&again), result, "the file holds everything");
}

#[test]
fn vulkan_through_real_packages() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line =
        "vulkan --rungs raw,raw-own,wgpu,ncnn --work matmul:64 --threads 1,2 --time 6s --json";
    let mut command = ladder(folder.path(), line);
    let lavapipe = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
    if Path::new(lavapipe).exists() {
        command.env("VK_ICD_FILENAMES", lavapipe);
    }
    let result = json(&command.output().unwrap());
    for id in ["raw", "wgpu", "ncnn"] {
        let rung = rung(&result, id);
        assert_eq!(rung["failure"], Value::Null, "{rung:#}");
        assert!(measured(rung, 1) && measured(rung, 2), "{rung:#}");
        assert!(
            rung["max_relative_error"].as_f64().unwrap() > 0.0,
            "{id} was checked"
        );
    }
    // lavapipe has one queue.
    assert_eq!(rung(&result, "raw-own")["failure"]["kind"], "unsupported");
}

#[test]
fn frameworks_are_driven_as_they_are_meant_to_be() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = "cuda --rungs cupy,torch-event,torch-stream,torch-device,torch-pool,torch-shared,jax \
                --work matmul:16 --threads 1,3 --time 4s --json";
    let result = with_stand_ins(&mut ladder(folder.path(), line), "sleep");
    for rung in result["rungs"].as_array().unwrap() {
        assert_eq!(rung["failure"], Value::Null, "{rung:#}");
        assert!(measured(rung, 1) && measured(rung, 3), "{rung:#}");
        assert_eq!(rung["stand_in"], true);
    }
    let sentence = result["verdict"]["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("Stand-ins made for tests"),
        "{sentence}"
    );
    let line = "metal --rungs torch-device,torch-event,torch-stream,torch-pool,mlx,mlx-pool \
                --work matmul:16 --threads 1,2 --time 3s --json";
    let result = with_stand_ins(&mut ladder(folder.path(), line), "sleep");
    for id in [
        "torch-device",
        "torch-event",
        "torch-pool",
        "mlx",
        "mlx-pool",
    ] {
        let rung = rung(&result, id);
        assert!(measured(rung, 1) && measured(rung, 2), "{rung:#}");
    }
    // The stand-in is a version without torch.mps.Stream.
    let stream = rung(&result, "torch-stream");
    assert_eq!(stream["failure"]["kind"], "unsupported");
    assert!(
        stream["failure"]["detail"]
            .as_str()
            .unwrap()
            .contains("torch.mps.Stream")
    );
    // Another that has it.
    let line =
        "metal --rungs torch-event,torch-stream --work matmul:16 --threads 1,2 --time 2s --json";
    let mut command = ladder(folder.path(), line);
    let result = with_stand_ins(command.env("LADDER_TORCH", "2.15"), "sleep");
    for id in ["torch-event", "torch-stream"] {
        let rung = rung(&result, id);
        assert_eq!(rung["failure"], Value::Null, "{rung:#}");
        assert!(measured(rung, 1) && measured(rung, 2), "{rung:#}");
    }
}

#[test]
fn a_crash_a_hang_a_wrong_result_and_an_error_are_rows() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line =
        "cuda --rungs torch-event --work matmul:16 --threads 1,2,4 --time 2s --limit 2s --json";
    let of = |plant: &str| with_stand_ins(&mut ladder(folder.path(), line), plant);
    let torch = |result: &Value| rung(result, "torch-event").clone();

    let crashed = torch(&of("crash:2"));
    assert_eq!(crashed["failure"], Value::Null);
    assert!(measured(&crashed, 1), "{crashed:#}");
    let failure = &point(&crashed, 2)["failure"];
    assert_eq!(
        (&failure["kind"], &failure["signal"]),
        (&"crash".into(), &11.into())
    );
    assert!(failure["detail"].as_str().unwrap().contains("SIGSEGV"));
    assert_eq!(point(&crashed, 4)["failure"]["kind"], "not-tried");

    let hung = torch(&of("hang:4"));
    assert!(measured(&hung, 1) && measured(&hung, 2), "{hung:#}");
    assert_eq!(point(&hung, 4)["failure"]["kind"], "hang");

    let wrong = torch(&of("wrong"));
    assert_eq!(wrong["failure"]["kind"], "wrong-result");
    assert!(
        wrong["failure"]["detail"]
            .as_str()
            .unwrap()
            .contains("row 0, column 0")
    );

    let failed = torch(&of("raise"));
    let failure = &point(&failed, 1)["failure"];
    assert_eq!(failure["kind"], "error");
    assert_eq!(failure["detail"], "RuntimeError: planted error");
}

#[test]
fn what_is_missing_says_so_and_the_rest_runs() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = "cuda --rungs cupy,torch-event --work matmul:16 --threads 1,2 --time 1s --json";
    let result = json(&ladder(folder.path(), line).output().unwrap());
    for (id, module) in [("cupy", "cupy"), ("torch-event", "torch")] {
        let failure = &rung(&result, id)["failure"];
        assert_eq!(failure["kind"], "missing");
        let detail = format!("Python has no module {module}");
        assert_eq!(failure["detail"], Value::from(detail));
    }
    assert_eq!(result["verdict"]["kind"], "not-measured");

    let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
    let line = "ladder opencl --rungs raw,pyopencl --work matmul:64 --threads 1,2 --time 2s --json \
                --out p.jsonl --python /nonexistent/python9";
    command
        .current_dir(folder.path())
        .args(line.split_whitespace());
    let result = json(&command.output().unwrap());
    let failure = &rung(&result, "pyopencl")["failure"];
    assert_eq!(failure["kind"], "missing");
    assert!(
        failure["detail"]
            .as_str()
            .unwrap()
            .contains("/nonexistent/python9")
    );
    assert!(measured(rung(&result, "raw"), 2));
}

/// The stand-ins of the driver and of the libraries, built into `folder`.
fn build_stand_ins(folder: &Path) {
    for (source, name, flag) in [
        ("cuda-stand-in/libcuda.c", "libcuda.so.1", "-DX"),
        ("cublas-stand-in/libcublas.c", "libcublas.so.13", "-DX"),
        ("cublas-stand-in/libcublas.c", "libcublasLt.so.13", "-DLT"),
    ] {
        let done = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-fvisibility=hidden", flag])
            .arg(format!("-Wl,-soname,{name}"))
            .arg("-o")
            .arg(folder.join(name))
            .arg(root().join("fixtures").join(source))
            .arg("-lpthread")
            .status()
            .expect("cc: install gcc and libc6-dev");
        assert!(done.success());
    }
}

#[test]
fn a_collapse_is_placed_on_its_step() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    build_stand_ins(folder.path());
    // Ops sleep for a millisecond: side by side in the library, one at a time in the framework.
    let line = "cuda --rungs cublas,torch-event --work matmul:16 --threads 1,4 --time 16s --json";
    let mut command = ladder(folder.path(), line);
    command.env("CUBLAS_STAND_IN_SLEEP_NS", "1000000");
    let result = with_stand_ins(&mut command, "lock");
    let efficiency = |id| point(rung(&result, id), 4)["efficiency"].as_f64().unwrap();
    assert!(efficiency("cublas") > 0.6, "{}", efficiency("cublas"));
    assert!(
        efficiency("torch-event") < 0.3,
        "{}",
        efficiency("torch-event")
    );
    let step = &result["steps"][0];
    assert_eq!(step["judged"], "collapse", "{step:#}");
    assert_eq!(step["collapses_from"], 4);
    let verdict = &result["verdict"];
    if result["self_check"]["passed"] == false {
        // A machine that fails the A/A gate gets no other answer.
        assert_eq!(verdict["kind"], "too-noisy", "{verdict:#}");
        return;
    }
    assert_eq!(verdict["kind"], "collapse", "{verdict:#}");
    let sentence = verdict["sentence"].as_str().unwrap();
    assert!(sentence.contains("from cublas (library, "), "{sentence}");
    assert!(
        sentence.contains("to torch-event (framework, "),
        "{sentence}"
    );
}

#[test]
fn library_rungs_are_called_rightly_and_checked() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    build_stand_ins(folder.path());
    let line = "cuda --rungs raw,cublas,cublaslt --work matmul:32 --threads 1,2 --time 2s --json";
    let result = json(&ladder(folder.path(), line).output().unwrap());
    for id in ["raw", "cublas", "cublaslt"] {
        let rung = rung(&result, id);
        assert_eq!(rung["failure"], Value::Null, "{rung:#}");
        assert!(measured(rung, 2), "{rung:#}");
        assert_eq!(rung["stand_in"], true);
        assert!(rung["max_relative_error"].as_f64().unwrap() > 0.0);
    }
    let mut command = ladder(folder.path(), line);
    command.env("CUBLAS_STAND_IN_WRONG", "1");
    let result = json(&command.output().unwrap());
    for id in ["cublas", "cublaslt"] {
        assert_eq!(rung(&result, id)["failure"]["kind"], "wrong-result");
    }
    std::fs::remove_file(folder.path().join("libcublas.so.13")).unwrap();
    let result = json(&ladder(folder.path(), line).output().unwrap());
    assert_eq!(rung(&result, "cublas")["failure"]["kind"], "missing");
}

#[test]
fn the_page_and_the_text_show_every_rung() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let line = "soft --work matmul:64 --threads 1,2 --time 2s --html page.html";
    let output = ladder(folder.path(), line).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    for id in ["raw", "raw-shared", "raw-pool"] {
        assert!(text.contains(id) && page.contains(id), "{id}\n{text}");
    }
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    assert!(
        text.contains("verdict: ") && text.contains("STAND-IN"),
        "{text}"
    );
    assert!(page.contains("<svg") && page.contains("stand-in"));
}

#[test]
fn bad_input_is_one_line() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    for (line, word) in [
        ("ladder direct3d", "direct3d"),
        ("ladder cuda --rungs torhc", "torhc"),
        ("ladder cuda --work noop", "noop"),
        ("ladder cuda --threads 1", "above 1"),
        ("ladder soft --out notes.txt", "notes.txt"),
        (
            "ladder soft --html /nonexistent/page.html",
            "/nonexistent/page.html",
        ),
        ("ladder opencl --device 99", "99"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_narrows"));
        command
            .current_dir(folder.path())
            .args(line.split_whitespace());
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{line}: {error}");
        assert!(error.contains(word), "{line}: {error}");
    }
    let kept = std::fs::read_to_string(folder.path().join("notes.txt")).unwrap();
    assert_eq!(kept, "mine");
}
