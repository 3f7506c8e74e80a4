//! The dynamic linker's cache of library names, `/etc/ld.so.cache`.
//!
//! Layout (glibc's `dl-cache.h`): an optional old table (`ld.so-1.7.0`, a count, 12 bytes per
//! entry), then at the next multiple of 8 the new one: 20 bytes of magic, a count, 24 more bytes
//! of header, 24 bytes per entry whose second and third word are offsets of name and path.

use std::path::PathBuf;

const OLD: &[u8] = b"ld.so-1.7.0\0";
const NEW: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// All names and their files; what is damaged or of another layout gives none.
pub(super) fn entries(bytes: &[u8]) -> Vec<(String, PathBuf)> {
    read(bytes).unwrap_or_default()
}

fn read(bytes: &[u8]) -> Option<Vec<(String, PathBuf)>> {
    let start = if bytes.starts_with(OLD) {
        let old_entries = word(bytes, OLD.len())?;
        old_entries
            .checked_mul(12)?
            .checked_add(OLD.len() + 4)?
            .checked_next_multiple_of(8)?
    } else {
        0
    };
    let table = bytes.get(start..)?;
    if !table.starts_with(NEW) {
        return None;
    }
    let count = word(table, NEW.len())?;
    let entries = table.get(HEADER..)?.chunks_exact(ENTRY).take(count);
    Some(entries.filter_map(|entry| one(table, entry)).collect())
}

fn one(table: &[u8], entry: &[u8]) -> Option<(String, PathBuf)> {
    Some((
        string(table, word(entry, 4)?)?,
        PathBuf::from(string(table, word(entry, 8)?)?),
    ))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_ne_bytes(word)).ok()
}

fn string(table: &[u8], at: usize) -> Option<String> {
    let rest = table.get(at..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::entries;
    use proptest::prelude::*;

    #[test]
    fn this_machines_cache_agrees_with_ldconfig() {
        let bytes = std::fs::read("/etc/ld.so.cache").expect("a glibc system");
        let output = std::process::Command::new("/sbin/ldconfig")
            .arg("-p")
            .output()
            .expect("ldconfig runs (apt-get install libc-bin)");
        let text = String::from_utf8(output.stdout).expect("text");
        let expected: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let (name, path) = line.trim().split_once(" => ")?;
                Some((name.split(' ').next()?.to_owned(), path.into()))
            })
            .collect();
        assert!(expected.len() > 10);
        assert_eq!(entries(&bytes), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = entries(&bytes);
            bytes.splice(0..0, super::NEW.iter().copied());
            let _ = entries(&bytes);
            bytes.splice(0..0, super::OLD.iter().copied());
            let _ = entries(&bytes);
        }
    }
}
