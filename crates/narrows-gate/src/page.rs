//! The shared page: its layout and where its memory comes from. All `unsafe` of this crate.

use crate::Error;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

const MAGIC: u32 = u32::from_le_bytes(*b"nGt1");
const FILE_BYTES: u64 = 4096;

/// Each word on its own cache line: arrivals must not slow the spinning on `opened`, nor
/// anything the looks at `closed`.
#[repr(C)]
pub(crate) struct Page {
    magic: AtomicU32,
    _pad0: [u8; 60],
    pub(crate) arrived: AtomicU32,
    _pad1: [u8; 60],
    pub(crate) opened: AtomicU32,
    _pad2: [u8; 60],
    pub(crate) closed: AtomicU32,
    _pad3: [u8; 60],
}

impl Page {
    fn new() -> Self {
        Page {
            magic: AtomicU32::new(MAGIC),
            _pad0: [0; 60],
            arrived: AtomicU32::new(0),
            _pad1: [0; 60],
            opened: AtomicU32::new(0),
            _pad2: [0; 60],
            closed: AtomicU32::new(0),
            _pad3: [0; 60],
        }
    }
}

pub(crate) enum Memory {
    Local(Box<Page>),
    Mapped(MmapRaw),
}

impl Memory {
    pub(crate) fn local() -> Self {
        Memory::Local(Box::new(Page::new()))
    }

    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|source| failed(path, source))?;
        file.set_len(FILE_BYTES)
            .map_err(|source| failed(path, source))?;
        let memory = Memory::Mapped(map(&file, path)?);
        memory.page().magic.store(MAGIC, Ordering::Release);
        Ok(memory)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| failed(path, source))?;
        let length = file
            .metadata()
            .map_err(|source| failed(path, source))?
            .len();
        let foreign = || Error::Foreign {
            path: path.display().to_string(),
        };
        if length < FILE_BYTES {
            return Err(foreign());
        }
        let memory = Memory::Mapped(map(&file, path)?);
        if memory.page().magic.load(Ordering::Acquire) != MAGIC {
            return Err(foreign());
        }
        Ok(memory)
    }

    pub(crate) fn page(&self) -> &Page {
        match self {
            Memory::Local(page) => page,
            Memory::Mapped(map) => {
                // SAFETY: the mapping is page-aligned, at least FILE_BYTES long (checked before it
                // was made) and lives as long as `self`; every field is an atomic or padding, for
                // which all bit patterns are valid and concurrent writers are allowed.
                unsafe { &*map.as_ptr().cast::<Page>() }
            }
        }
    }
}

fn map(file: &File, path: &Path) -> Result<MmapRaw, Error> {
    map_file(file, path, FILE_BYTES as usize)
}

/// The first `bytes` of `file`, shared.
pub(crate) fn map_file(file: &File, path: &Path, bytes: usize) -> Result<MmapRaw, Error> {
    MmapOptions::new()
        .len(bytes)
        .map_raw(file)
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        source,
    }
}
