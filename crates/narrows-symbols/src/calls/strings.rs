//! Zero-terminated strings in a part of a file, read in blocks of bounded size.

use crate::{Error, file};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const BLOCK: usize = 1 << 18;
/// Longer strings are no names; they are dropped while they pass.
const LONGEST: usize = 128;

/// Calls `each` with every string of 4 to 128 bytes that is valid ASCII.
pub(super) fn scan(
    path: &Path,
    start: u64,
    size: u64,
    mut each: impl FnMut(&str),
) -> Result<(), Error> {
    let io = |reason| Error::Io {
        path: path.to_owned(),
        reason,
    };
    let mut file = file::open(path)?;
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let mut rest = file.take(size);
    let mut block = vec![0; BLOCK];
    let mut held: Vec<u8> = Vec::with_capacity(LONGEST + 1);
    loop {
        let count = rest.read(&mut block).map_err(io)?;
        if count == 0 {
            return Ok(());
        }
        for &byte in &block[..count] {
            if byte != 0 {
                if held.len() <= LONGEST {
                    held.push(byte);
                }
                continue;
            }
            if (4..=LONGEST).contains(&held.len()) && held.is_ascii() {
                each(std::str::from_utf8(&held).unwrap_or_default());
            }
            held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, LONGEST, scan};

    #[test]
    fn strings_across_blocks_are_whole_and_long_ones_are_dropped() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bytes");
        let mut bytes = vec![0_u8; BLOCK - 3];
        bytes.extend_from_slice(b"acrossblocks\0");
        bytes.extend_from_slice(&[b'x'; LONGEST + 1]);
        bytes.extend_from_slice(b"\0tiny\0no\0unended");
        std::fs::write(&path, &bytes).expect("writes");
        let mut found = Vec::new();
        let size = u64::try_from(bytes.len()).expect("small");
        scan(&path, 0, size, |text| found.push(text.to_owned())).expect("reads");
        assert_eq!(found, ["acrossblocks", "tiny"]);
    }
}
