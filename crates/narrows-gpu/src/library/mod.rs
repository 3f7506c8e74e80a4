//! Libraries above an API that do the same matmul, behind the same [`Device`] trait: rungs of
//! `narrows ladder` between the API itself and the frameworks.
//!
//! A library rung promises what a backend promises. It knows `matmul` only. Its library is opened
//! at run time: by name in the loader's path, then in `folders`, where the user's Python
//! environment keeps the libraries that its packages brought along.

use crate::{Device, Error};
use std::path::PathBuf;

/// Opens the library rung `name` of `api` on device `index` of the API's backend.
pub fn open(
    api: &str,
    name: &str,
    index: usize,
    folders: &[PathBuf],
) -> Result<Box<dyn Device>, Error> {
    let _ = (index, folders);
    Err(Error::Unsupported {
        backend: "library",
        what: format!("{name} on {api}"),
        why: "this narrows has no such library".into(),
    })
}
