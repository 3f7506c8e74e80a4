//! The SPIR-V in the repository is what its sources give, and is valid; the PTX assembles. Needs
//! glslangValidator and spirv-val (Debian: glslang-tools, spirv-tools), and
//! `scripts/gpu-test-environment`.

// A failed expectation is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SHADERS: [&str; 3] = ["busy.spv", "matmul_f16.spv", "matmul_f32.spv"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vulkan/shaders")
}

fn run(command: &mut Command, package: &str) -> Output {
    let output = command.output();
    let output =
        output.unwrap_or_else(|e| panic!("{e}; this test needs: apt-get install {package}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {words}; needs: apt-get install {package}"
    );
    output
}

/// Code without the second header word's neighbour that names the compiler's version: two versions
/// of one compiler may give the same code.
fn code(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    [&bytes[..8], &bytes[12..]].concat()
}

#[test]
fn stored_shaders_are_those_of_the_sources() {
    let fresh = tempfile::tempdir().unwrap();
    let script = folder().join("compile.sh");
    run(
        Command::new("sh").arg(script).arg(fresh.path()),
        "glslang-tools",
    );
    for name in SHADERS {
        let (stored, fresh) = (folder().join(name), fresh.path().join(name));
        assert!(
            code(&stored) == code(&fresh),
            "{name} differs from its source; run src/vulkan/shaders/compile.sh"
        );
    }
}

#[test]
fn stored_shaders_are_valid() {
    for name in SHADERS {
        let mut command = Command::new("spirv-val");
        run(
            command
                .args(["--target-env", "vulkan1.1"])
                .arg(folder().join(name)),
            "spirv-tools",
        );
    }
}

/// CUDA's kernels are text that the driver compiles. NVIDIA's own assembler, which
/// `scripts/gpu-test-environment` installs, takes them for the oldest device of its version, for an
/// H100 and for what came after.
#[test]
fn the_ptx_assembles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let environment = std::env::var_os("NARROWS_GPU_TEST_ENV")
        .map_or_else(|| root.join("target/gpu-test-environment"), PathBuf::from);
    let python = std::fs::read_dir(environment.join("lib"))
        .unwrap_or_else(|e| {
            panic!(
                "{}: {e}; run scripts/gpu-test-environment",
                environment.display()
            )
        })
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("site-packages/nvidia/cuda_nvcc").is_dir())
        .expect("no ptxas: run scripts/gpu-test-environment");
    let ptxas = python.join("site-packages/nvidia/cuda_nvcc/bin/ptxas");
    let fresh = tempfile::tempdir().unwrap();
    for device in ["sm_50", "sm_90", "sm_100"] {
        let output = fresh.path().join(device);
        let mut command = Command::new(&ptxas);
        command
            .args(["--warning-as-error", "--gpu-name", device, "--output-file"])
            .arg(&output)
            .arg(folder().join("../../cuda/kernels.ptx"));
        run(&mut command, "(scripts/gpu-test-environment)");
        let code = std::fs::read(&output).unwrap();
        for kernel in ["noop", "busy", "matmul_f32", "matmul_f16"] {
            let name = format!(".text.{kernel}\0");
            let found = code.windows(name.len()).any(|w| w == name.as_bytes());
            assert!(found, "{device}: no kernel {kernel}");
        }
    }
}
