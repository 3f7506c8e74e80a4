//! Opens an object file through a cache of the pieces that were read.

use crate::Error;
use object::read::ReadCache;
use std::fs::File;
use std::path::Path;

/// The bytes of an object file, read on demand.
pub(crate) type Bytes<'a> = &'a ReadCache<File>;

/// A parsed object file.
pub(crate) type Parsed<'a> = object::File<'a, Bytes<'a>>;

/// Opens and parses `path`, and gives it to `then`. A failure in there names the file.
pub(crate) fn with_object<T>(
    path: &Path,
    then: impl FnOnce(&Parsed<'_>) -> object::read::Result<T>,
) -> Result<T, Error> {
    let cache = ReadCache::new(open(path)?);
    let parsed = object::File::parse(&cache).map_err(|error| format(path, &error))?;
    then(&parsed).map_err(|error| format(path, &error))
}

/// Opens a regular file; a pipe or a device would block or never end.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let io = |reason| Error::Io {
        path: path.to_owned(),
        reason,
    };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::Format {
            path: path.to_owned(),
            reason: "not a regular file".into(),
        });
    }
    File::open(path).map_err(io)
}

fn format(path: &Path, error: &object::read::Error) -> Error {
    Error::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
