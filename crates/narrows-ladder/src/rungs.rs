//! The catalogue: which rungs each API's ladder has, lowest first, and what each stands on.
//!
//! A rung's layer is the highest one that its threads pass through. Rungs of one height (three ways
//! to wait in one framework) stand on the same rung; a process pool stands on its lowest rung too:
//! it shares no interpreter and no context.

use narrows_gpu::QueueLayout::{self, Own, Shared};
use narrows_gpu::SyncMode::{self, Device, Event, Queue};

/// APIs that have a ladder.
pub const APIS: [&str; 5] = ["cuda", "opencl", "vulkan", "metal", "soft"];

/// What does a rung's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The API's own [`narrows_gpu::Backend`], with our kernel.
    Backend,
    /// A library behind the same trait, [`narrows_gpu::library`].
    Library(&'static str),
    /// The harness in the user's Python interpreter; the package it imports.
    Python(&'static str),
}

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Its name on the command line.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// The highest layer that its threads pass through.
    pub layer: &'static str,
    /// The rung that it stands on.
    pub on: Option<&'static str>,
    /// Of a process pool: the rung whose threads it replaces by processes.
    pub beside: Option<&'static str>,
    /// What does the work.
    pub runs: Runs,
    /// Queues of its threads.
    pub queue: QueueLayout,
    /// What a thread waits for.
    pub sync: SyncMode,
    /// Processes vary instead of threads.
    pub pool: bool,
    /// Part of `--quick`.
    pub quick: bool,
}

impl Rung {
    /// The package that the user's Python has to have.
    pub fn package(&self) -> Option<&'static str> {
        match self.runs {
            Runs::Python(package) => Some(package),
            Runs::Backend | Runs::Library(_) => None,
        }
    }
}

/// Rungs of `api`, lowest first; `None`: no such ladder.
pub fn rungs(api: &str) -> Option<&'static [Rung]> {
    Some(match api {
        "cuda" => &CUDA,
        "opencl" => &OPENCL,
        "vulkan" => &VULKAN,
        "metal" => &METAL,
        "soft" => &SOFT,
        _ => return None,
    })
}

const fn raw(id: &'static str, title: &'static str, queue: QueueLayout) -> Rung {
    Rung {
        id,
        title,
        layer: "driver",
        on: None,
        beside: None,
        runs: Runs::Backend,
        queue,
        sync: Event,
        pool: false,
        quick: true,
    }
}

const fn library(id: &'static str, title: &'static str, on: &'static str) -> Rung {
    Rung {
        layer: "library",
        on: Some(on),
        runs: Runs::Library(id),
        ..raw(id, title, Own)
    }
}

const fn python(
    id: &'static str,
    title: &'static str,
    package: &'static str,
    on: &'static str,
    sync: SyncMode,
) -> Rung {
    Rung {
        layer: "framework",
        on: Some(on),
        runs: Runs::Python(package),
        sync,
        ..raw(id, title, Own)
    }
}

const fn pool(rung: Rung, beside: &'static str) -> Rung {
    Rung {
        pool: true,
        beside: Some(beside),
        quick: false,
        ..rung
    }
}

const fn shared(rung: Rung) -> Rung {
    Rung {
        queue: Shared,
        quick: false,
        ..rung
    }
}

const fn full(rung: Rung) -> Rung {
    Rung {
        quick: false,
        ..rung
    }
}

static CUDA: [Rung; 11] = [
    raw("raw", "driver API kernel, own streams", Own),
    pool(raw("raw-pool", "driver API kernel, processes", Own), "raw"),
    library("cublas", "cuBLAS, own handles and streams", "raw"),
    library("cublaslt", "cuBLASLt, one handle, own streams", "raw"),
    python(
        "cupy",
        "CuPy, own streams, stream sync",
        "cupy",
        "cublas",
        Queue,
    ),
    python(
        "torch-event",
        "PyTorch, own streams, event sync",
        "torch",
        "cublas",
        Event,
    ),
    python(
        "torch-stream",
        "PyTorch, own streams, stream sync",
        "torch",
        "cublas",
        Queue,
    ),
    full(python(
        "torch-device",
        "PyTorch, own streams, device sync",
        "torch",
        "cublas",
        Device,
    )),
    pool(
        python(
            "torch-pool",
            "PyTorch, processes, event sync",
            "torch",
            "raw-pool",
            Event,
        ),
        "torch-event",
    ),
    shared(python(
        "torch-shared",
        "PyTorch, one stream, event sync",
        "torch",
        "cublas",
        Event,
    )),
    python(
        "jax",
        "JAX, its one stream, block_until_ready",
        "jax",
        "cublaslt",
        Event,
    ),
];

static OPENCL: [Rung; 6] = [
    raw("raw", "OpenCL kernel, own queues", Own),
    shared(raw("raw-shared", "OpenCL kernel, one queue", Shared)),
    pool(raw("raw-pool", "OpenCL kernel, processes", Own), "raw"),
    python(
        "pyopencl",
        "pyopencl, the same kernel, own queues",
        "pyopencl",
        "raw",
        Event,
    ),
    shared(python(
        "pyopencl-shared",
        "pyopencl, the same kernel, one queue",
        "pyopencl",
        "raw-shared",
        Event,
    )),
    pool(
        python(
            "pyopencl-pool",
            "pyopencl, the same kernel, processes",
            "pyopencl",
            "raw-pool",
            Event,
        ),
        "pyopencl",
    ),
];

static VULKAN: [Rung; 6] = [
    raw("raw", "Vulkan dispatch, one queue", Shared),
    full(raw("raw-own", "Vulkan dispatch, own queues", Own)),
    pool(raw("raw-pool", "Vulkan dispatch, processes", Shared), "raw"),
    Rung {
        queue: Shared,
        ..python(
            "wgpu",
            "wgpu-py, one device, wait by mapping 4 bytes",
            "wgpu",
            "raw",
            Queue,
        )
    },
    pool(
        Rung {
            queue: Shared,
            ..python("wgpu-pool", "wgpu-py, processes", "wgpu", "raw-pool", Queue)
        },
        "wgpu",
    ),
    Rung {
        queue: Shared,
        ..python(
            "ncnn",
            "ncnn Gemm, with its upload and download",
            "ncnn",
            "raw",
            Event,
        )
    },
];

static METAL: [Rung; 11] = [
    raw("raw", "Metal kernel, one queue", Shared),
    full(raw("raw-own", "Metal kernel, own queues", Own)),
    pool(raw("raw-pool", "Metal kernel, processes", Own), "raw"),
    library("mps", "MPSMatrixMultiplication, own queues", "raw"),
    library("mpsgraph", "MPSGraph matmul, own queues", "mps"),
    python(
        "torch-device",
        "PyTorch MPS, device sync",
        "torch",
        "mps",
        Device,
    ),
    python(
        "torch-event",
        "PyTorch MPS, event sync",
        "torch",
        "mps",
        Event,
    ),
    full(python(
        "torch-stream",
        "PyTorch MPS, own streams, stream sync",
        "torch",
        "mps",
        Queue,
    )),
    pool(
        python(
            "torch-pool",
            "PyTorch MPS, processes, device sync",
            "torch",
            "raw-pool",
            Device,
        ),
        "torch-device",
    ),
    python("mlx", "MLX, own streams", "mlx", "raw", Event),
    pool(
        python("mlx-pool", "MLX, processes", "mlx", "raw-pool", Event),
        "mlx",
    ),
];

/// The built-in software device, for a look at the tool where there is no GPU API.
static SOFT: [Rung; 3] = [
    raw("raw", "soft device, own queues", Own),
    shared(raw("raw-shared", "soft device, one queue", Shared)),
    pool(raw("raw-pool", "soft device, processes", Own), "raw"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_stands_on_a_lower_one_and_names_are_unique() {
        for api in APIS {
            let list = rungs(api).unwrap();
            for (at, rung) in list.iter().enumerate() {
                assert!(
                    list[..at].iter().all(|r| r.id != rung.id),
                    "{api} {}",
                    rung.id
                );
                for other in [rung.on, rung.beside].into_iter().flatten() {
                    assert!(
                        list[..at].iter().any(|r| r.id == other),
                        "{api} {}: {other}",
                        rung.id
                    );
                }
                assert_eq!(rung.pool, rung.beside.is_some(), "{api} {}", rung.id);
            }
        }
        assert!(rungs("direct3d").is_none());
    }
}
