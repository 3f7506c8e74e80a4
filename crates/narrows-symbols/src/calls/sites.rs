//! Searches arm64 code for calls of the linker's stubs, in blocks of bounded size.

use super::macho::{Code, Stub};
use super::{Calls, Selector};
use crate::{Error, file};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const BLOCK: usize = 1 << 20;

/// Stubs between two addresses, one place per instruction.
struct Table {
    start: u64,
    places: Vec<u32>,
}

/// No stub.
const NONE: u32 = u32::MAX;

impl Table {
    /// `None` where there are no stubs, or they lie too far apart to be a linker's.
    fn of(code: &Code) -> Option<Table> {
        let (start, end) = (*code.stubs.keys().next()?, *code.stubs.keys().next_back()?);
        let length = usize::try_from((end - start) / 4 + 1).ok()?;
        if length > 1 << 26 {
            return None;
        }
        let mut places = vec![NONE; length];
        for (index, address) in code.stubs.keys().enumerate() {
            let place = usize::try_from((address - start) / 4).ok()?;
            *places.get_mut(place)? = u32::try_from(index).ok()?;
        }
        Some(Table { start, places })
    }

    #[inline]
    fn at(&self, address: u64) -> Option<usize> {
        let place = usize::try_from(address.wrapping_sub(self.start) / 4).ok()?;
        let index = *self.places.get(place)?;
        (index != NONE).then_some(index as usize)
    }
}

/// Adds to `calls` how many places call each function and send each message.
pub(super) fn count(path: &Path, code: &Code, calls: &mut Calls) -> Result<(), Error> {
    let Some(table) = Table::of(code).filter(|_| code.searchable) else {
        return Ok(());
    };
    let mut counts = vec![0_u64; code.stubs.len()];
    for &(start, size, address) in &code.ranges {
        search(path, (start, size, address), |target| {
            if let Some(count) = table.at(target).and_then(|index| counts.get_mut(index)) {
                *count += 1;
            }
        })?;
    }
    for (stub, count) in code.stubs.values().zip(counts) {
        match *stub {
            Stub::Function(name) => {
                if let Some(name) = code
                    .names
                    .get(name)
                    .filter(|name| calls.imported.contains(*name))
                {
                    *calls.call_sites.entry(name.clone()).or_default() += count;
                }
            }
            Stub::Message(name) => {
                let selector: Option<&mut Selector> = code
                    .names
                    .get(name)
                    .and_then(|name| calls.selectors.get_mut(name));
                if let Some(selector) = selector {
                    *selector.sites.get_or_insert(0) += count;
                }
            }
        }
    }
    Ok(())
}

/// Calls `each` with the target of every `bl` and `b`: a `b` to a stub is a call in tail position.
fn search(
    path: &Path,
    (start, size, address): (u64, u64, u64),
    mut each: impl FnMut(u64),
) -> Result<(), Error> {
    let io = |reason| Error::Io {
        path: path.to_owned(),
        reason,
    };
    let mut file = file::open(path)?;
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let mut block = vec![0; BLOCK];
    let (mut done, mut held) = (0_u64, 0_usize);
    let mut rest = file.take(size);
    loop {
        let read = rest
            .read(block.get_mut(held..).unwrap_or_default())
            .map_err(io)?;
        if read == 0 {
            return Ok(());
        }
        let filled = held + read;
        let whole = filled & !3;
        for (index, word) in block
            .get(..whole)
            .unwrap_or_default()
            .chunks_exact(4)
            .enumerate()
        {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            if word & 0x7c00_0000 == 0x1400_0000 {
                // 26 bits with a sign, in instructions.
                let distance = i64::from((word << 6) as i32 >> 6) * 4;
                let here = address + done + index as u64 * 4;
                each(here.wrapping_add_signed(distance));
            }
        }
        done += whole as u64;
        block.copy_within(whole..filled, 0);
        held = filled - whole;
    }
}
