//! Libraries above an API that do the same matmul, behind the same [`Device`] trait: rungs of
//! `narrows ladder` between the API itself and the frameworks.
//!
//! A library rung promises what a backend promises. It knows `matmul` only. Its library is opened
//! at run time: by name in the loader's path, then in `folders`, where the user's Python
//! environment keeps the libraries that its packages brought along. Here and not in Python, so that
//! no interpreter's lock stands between the threads and the library.

use crate::{Device, Error};
use std::path::PathBuf;

/// Opens the library rung `name` of `api` on device `index` of the API's backend.
pub fn open(
    api: &str,
    name: &str,
    index: usize,
    folders: &[PathBuf],
) -> Result<Box<dyn Device>, Error> {
    match api {
        "cuda" => crate::cuda::blas::open(name, index, folders),
        #[cfg(any(target_os = "macos", metal_stand_in))]
        "metal" => crate::metal::mps::open(name, index),
        #[cfg(not(any(target_os = "macos", metal_stand_in)))]
        "metal" => Err(crate::choose::no_metal()),
        _ => Err(unknown("library", &format!("{name} of {api}"))),
    }
}

/// The error for a library that is not compiled in.
pub(crate) fn unknown(backend: &'static str, name: &str) -> Error {
    Error::Unsupported {
        backend,
        what: name.to_owned(),
        why: "this narrows was built without it".into(),
    }
}
