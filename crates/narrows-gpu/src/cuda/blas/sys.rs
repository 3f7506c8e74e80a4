//! Raw bindings of cuBLAS and cuBLASLt: the few functions that a matmul needs, as `cublas_v2.h` and
//! `cublasLt.h` have had them since CUDA 11, and how the libraries are found.

use super::super::sys::{CUdeviceptr, CUstream};
use crate::Error;
use libloading::Library;
use std::ffi::{c_int, c_void};
use std::path::{Path, PathBuf};

const REMEDY: &str = "install the CUDA toolkit, or the package nvidia-cublas (PyTorch brings it) in \
                      the Python environment that --python names";
/// Major versions that are looked for, newest first.
const MAJORS: [u32; 3] = [13, 12, 11];

pub(super) type Handle = *mut c_void;
pub(super) type Opaque = *mut c_void;

/// `cudaDataType_t`.
pub(super) const R_32F: c_int = 0;
pub(super) const R_16F: c_int = 2;
/// `CUBLAS_COMPUTE_32F`.
pub(super) const COMPUTE_32F: c_int = 68;
/// `CUBLAS_OP_N`.
pub(super) const OP_N: c_int = 0;
/// `CUBLAS_GEMM_DEFAULT`.
pub(super) const GEMM_DEFAULT: c_int = -1;
/// `CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES`.
pub(super) const PREF_MAX_WORKSPACE_BYTES: c_int = 1;

/// `cublasLtMatmulHeuristicResult_t`; the algorithm inside is opaque.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Heuristic {
    pub(super) algorithm: [u64; 8],
    pub(super) workspace: usize,
    pub(super) state: c_int,
    waves: f32,
    reserved: [c_int; 4],
}

const _: () = assert!(size_of::<Heuristic>() == 96);

impl Heuristic {
    pub(super) const EMPTY: Self = Self {
        algorithm: [0; 8],
        workspace: 0,
        state: 0,
        waves: 0.0,
        reserved: [0; 4],
    };
}

/// Declares a table of functions that all return a status.
macro_rules! table {
    ($table:ident { $($name:ident: $symbol:literal ($($type:ty),* $(,)?),)+ }) => {
        pub(super) struct $table {
            $(pub(super) $name: unsafe extern "C" fn($($type),*) -> c_int,)+
            /// File that was opened, for the report.
            pub(super) file: String,
            /// Never closed: its threads and exit handlers may outlive us.
            _library: std::mem::ManuallyDrop<Library>,
        }

        impl $table {
            /// Opens the library `stem` (`cublas`): by name, then in `folders`.
            pub(super) fn open(stem: &str, folders: &[PathBuf]) -> Result<Self, Error> {
                let (library, file) = open(stem, folders)?;
                Ok(Self {
                    $($name: symbol(&library, concat!($symbol, "\0"))
                        .ok_or_else(|| lacks(&file, $symbol))?,)+
                    file,
                    _library: std::mem::ManuallyDrop::new(library),
                })
            }
        }
    };
}

table! { Cublas {
    create: "cublasCreate_v2" (*mut Handle),
    destroy: "cublasDestroy_v2" (Handle),
    version: "cublasGetVersion_v2" (Handle, *mut c_int),
    set_stream: "cublasSetStream_v2" (Handle, CUstream),
    gemm: "cublasGemmEx" (
        Handle, c_int, c_int, c_int, c_int, c_int, *const c_void, CUdeviceptr, c_int, c_int,
        CUdeviceptr, c_int, c_int, *const c_void, CUdeviceptr, c_int, c_int, c_int, c_int,
    ),
} }

table! { CublasLt {
    create: "cublasLtCreate" (*mut Handle),
    destroy: "cublasLtDestroy" (Handle),
    desc_create: "cublasLtMatmulDescCreate" (*mut Opaque, c_int, c_int),
    desc_destroy: "cublasLtMatmulDescDestroy" (Opaque),
    layout_create: "cublasLtMatrixLayoutCreate" (*mut Opaque, c_int, u64, u64, i64),
    layout_destroy: "cublasLtMatrixLayoutDestroy" (Opaque),
    preference_create: "cublasLtMatmulPreferenceCreate" (*mut Opaque),
    preference_set: "cublasLtMatmulPreferenceSetAttribute" (Opaque, c_int, *const c_void, usize),
    preference_destroy: "cublasLtMatmulPreferenceDestroy" (Opaque),
    heuristic: "cublasLtMatmulAlgoGetHeuristic" (
        Handle, Opaque, Opaque, Opaque, Opaque, Opaque, Opaque, c_int, *mut Heuristic, *mut c_int,
    ),
    matmul: "cublasLtMatmul" (
        Handle, Opaque, *const c_void, CUdeviceptr, Opaque, CUdeviceptr, Opaque, *const c_void,
        CUdeviceptr, Opaque, CUdeviceptr, Opaque, *const [u64; 8], CUdeviceptr, usize, CUstream,
    ),
} }

fn symbol<T: Copy>(library: &Library, name: &str) -> Option<T> {
    // SAFETY: `T` is the function type that the library's header declares under this name; the
    // tables above are the only callers.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    found.ok().map(|function| *function)
}

fn lacks(file: &str, symbol: &str) -> Error {
    Error::Unsupported {
        backend: super::super::NAME,
        what: file.to_owned(),
        why: format!("it has no {symbol}; CUDA 11 or later is needed"),
    }
}

/// cuBLAS needs cuBLASLt, which a package's folder holds without the loader knowing: what is open
/// already is found by its name.
fn preload(stem: &str, file: &Path) {
    let Some(folder) = file
        .parent()
        .filter(|f| stem == "cublas" && f.is_absolute())
    else {
        return;
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let needed = folder.join(name.replace("cublas", "cublasLt"));
    if needed.is_file() {
        // SAFETY: as for the library itself; if it fails, the library's own opening says why.
        let opened = unsafe { Library::new(&needed) };
        std::mem::forget(opened);
    }
}

/// Names in the loader's path first, then files that a Python package or the toolkit brought.
fn open(stem: &str, folders: &[PathBuf]) -> Result<(Library, String), Error> {
    let names = || MAJORS.iter().map(|m| format!("lib{stem}.so.{m}"));
    let toolkit = PathBuf::from("/usr/local/cuda/lib64");
    let mut tried: Vec<PathBuf> = names().map(PathBuf::from).collect();
    for folder in folders.iter().chain([&toolkit]) {
        tried.extend(names().map(|n| folder.join(n)).filter(|f| f.is_file()));
    }
    let mut reason = String::new();
    for file in &tried {
        preload(stem, file);
        // SAFETY: loading runs the library's initialisers, which are made to run in any process;
        // it is never closed.
        match unsafe { Library::new(file) } {
            Ok(library) => return Ok((library, file.display().to_string())),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(Error::NoLoader {
        backend: super::super::NAME,
        library: format!("lib{stem}.so"),
        reason,
        remedy: REMEDY,
    })
}
