//! Opens an object file through a cache of the pieces that were read.

use crate::Error;
use object::macho::MachHeader64;
use object::read::macho::{FatArch, MachHeader, MachOFatFile32, MachOFatFile64, Segment};
use object::read::{ReadCache, ReadCacheRange, ReadRef};
use object::{Architecture, Endianness, FileKind};
use std::fmt::Display;
use std::fs::File;
use std::path::Path;

/// The bytes of an object file, read on demand.
pub(crate) type Bytes<'a> = ReadCacheRange<'a, File>;

/// A parsed object file.
pub(crate) type Parsed<'a> = object::File<'a, Bytes<'a>>;

/// Opens and parses `path`, and gives it to `then`. A failure in there names the file. Of a
/// universal file the arm64 part counts, else its first.
pub(crate) fn with_object<T>(
    path: &Path,
    then: impl FnOnce(&Parsed<'_>) -> object::read::Result<T>,
) -> Result<T, Error> {
    with_part(path, |object, _| then(object))
}

/// Like [`with_object`]; `then` is also told at which byte of the file the object begins.
pub(crate) fn with_part<T, E: Display>(
    path: &Path,
    then: impl FnOnce(&Parsed<'_>, u64) -> Result<T, E>,
) -> Result<T, Error> {
    let cache = ReadCache::new(open(path)?);
    let (start, size) = part(&cache).map_err(|reason| format(path, reason))?;
    whole(cache.range(start, size)).map_err(|reason| format(path, reason))?;
    let parsed = object::File::parse(cache.range(start, size));
    let parsed = parsed.map_err(|error| format(path, error))?;
    then(&parsed, start).map_err(|error| format(path, error))
}

/// An error where a macOS file ends before its last segment.
fn whole(data: Bytes<'_>) -> Result<(), String> {
    let text = |error: object::read::Error| error.to_string();
    let size = data.len().unwrap_or(0);
    if !matches!(FileKind::parse(data), Ok(FileKind::MachO64)) {
        return Ok(());
    }
    let header = MachHeader64::<Endianness>::parse(data, 0).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    let mut commands = header
        .load_commands(endian, data, 0)
        .map_err(|error| format!("{error}: the file ends at byte {size}: truncated?"))?;
    while let Some(command) = commands.next().map_err(text)? {
        let Some((segment, _)) = command.segment_64().map_err(text)? else {
            continue;
        };
        let end = segment
            .fileoff
            .get(endian)
            .saturating_add(segment.filesize.get(endian));
        if end > size {
            return Err(format!(
                "segment {} ends at byte {end}, but the file ends at byte {size}: truncated?",
                String::from_utf8_lossy(segment.name())
            ));
        }
    }
    Ok(())
}

/// Where the object is: the whole file, or the part of a universal file.
fn part(cache: &ReadCache<File>) -> Result<(u64, u64), String> {
    let size = cache.len().unwrap_or(0);
    let text = |error: object::read::Error| error.to_string();
    let parts: Vec<_> = match FileKind::parse(cache).map_err(text)? {
        FileKind::MachOFat32 => parts(MachOFatFile32::parse(cache).map_err(text)?.arches()),
        FileKind::MachOFat64 => parts(MachOFatFile64::parse(cache).map_err(text)?.arches()),
        _ => return Ok((0, size)),
    };
    let arm = parts.iter().find(|part| part.0 == Architecture::Aarch64);
    match arm.or(parts.first()) {
        Some(&(_, start, length)) if start.saturating_add(length) <= size => Ok((start, length)),
        Some(&(_, start, length)) => Err(format!(
            "universal file whose part at byte {start} has {length} bytes, but the file ends at \
             byte {size}: truncated?"
        )),
        None => Err("universal file without any part".into()),
    }
}

fn parts<Fat: FatArch>(arches: &[Fat]) -> Vec<(Architecture, u64, u64)> {
    let one = |arch: &Fat| {
        (
            arch.architecture(),
            arch.offset().into(),
            arch.size().into(),
        )
    };
    arches.iter().map(one).collect()
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

fn format(path: &Path, reason: impl Display) -> Error {
    Error::Format {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
