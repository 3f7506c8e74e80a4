//! What a mapped Mach-O image says about itself, read from memory: the dynamic linker is not asked,
//! whose lock another thread may hold.
//!
//! For images with a link-edit segment of their own, which those of the shared cache do not have.

/// `mach_header_64`.
#[repr(C)]
pub(crate) struct Header {
    magic: u32,
    cpu: [u32; 2],
    kind: u32,
    commands: u32,
    commands_size: u32,
    flags: u32,
    reserved: u32,
}

const MH_EXECUTE: u32 = 2;
const LC_SYMTAB: u32 = 0x2;
const LC_SEGMENT_64: u32 = 0x19;
const LC_UUID: u32 = 0x1b;

/// `n_type`: kept for debuggers only; which kind of symbol; one with an address in a section.
const N_STAB: u8 = 0xe0;
const N_TYPE: u8 = 0x0e;
const N_SECT: u8 = 0x0e;

/// Something in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: usize,
    pub(crate) size: usize,
}

/// A mapped image.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    header: *const Header,
    /// From the addresses in the file to those in memory.
    slide: usize,
}

/// A segment, by its addresses in memory.
struct Segment {
    name: [u8; 16],
    place: Place,
    /// Where its contents begin in the file.
    file_offset: usize,
}

impl Image {
    /// # Safety
    /// `header` is that of a mapped image, which stays mapped while the result is used, and `slide`
    /// its slide.
    pub(crate) unsafe fn new(header: *const Header, slide: isize) -> Self {
        Self {
            header,
            slide: slide as usize,
        }
    }

    /// Whether it is the program itself, not a library.
    pub(crate) fn is_program(self) -> bool {
        // SAFETY: the header of a mapped image.
        (unsafe { (*self.header).kind }) == MH_EXECUTE
    }

    /// The image's first segment, its code. Others lie elsewhere in the shared cache.
    pub(crate) fn code(self) -> Place {
        let start = self.header as usize;
        let code = self.segments().find(|segment| segment.is(b"__TEXT"));
        Place {
            address: start,
            size: code.map_or(0, |segment| segment.place.size),
        }
    }

    /// The image's identifier; zeros if it has none.
    pub(crate) fn uuid(self) -> [u8; 16] {
        let command = self.commands().find(|(kind, _)| *kind == LC_UUID);
        // SAFETY: a command with an identifier holds 16 bytes of it behind its head.
        command.map_or([0; 16], |(_, at)| unsafe { read(at, 8) })
    }

    /// A symbol with an address (its name with the leading underscore), to the end of its segment.
    pub(crate) fn find(self, name: &[u8]) -> Option<Place> {
        let (_, table) = self.commands().find(|(kind, _)| *kind == LC_SYMTAB)?;
        // SAFETY: the command is longer than this.
        let [symbols, count, strings, strings_size] = unsafe { read::<[u32; 4]>(table, 8) };
        let link_edit = self.segments().find(|segment| segment.is(b"__LINKEDIT"))?;
        let symbols = link_edit.at_file_offset(symbols, count.checked_mul(16)?)?;
        let strings_at = link_edit.at_file_offset(strings, strings_size)?;
        for index in 0..count as usize {
            let at = symbols.wrapping_add(index * 16);
            // SAFETY: the table lies in the segment, and an entry takes 16 bytes.
            let string: u32 = unsafe { read(at, 0) };
            // SAFETY: as above.
            let kind: u8 = unsafe { read(at, 4) };
            let end = (string as usize).saturating_add(name.len());
            if kind & N_STAB != 0 || kind & N_TYPE != N_SECT || end >= strings_size as usize {
                continue;
            }
            let text = strings_at.wrapping_add(string as usize);
            // SAFETY: the name and its end mark lie in the table of strings.
            let text = unsafe { core::slice::from_raw_parts(text, name.len() + 1) };
            if text.split_last() != Some((&0, name)) {
                continue;
            }
            // SAFETY: as above.
            let value: u64 = unsafe { read(at, 8) };
            let address = (value as usize).wrapping_add(self.slide);
            return self.segments().find_map(|segment| {
                let left = segment
                    .place
                    .size
                    .checked_sub(address.wrapping_sub(segment.place.address))?;
                (left != 0).then_some(Place {
                    address,
                    size: left,
                })
            });
        }
        None
    }

    fn segments(self) -> impl Iterator<Item = Segment> {
        let segments = self.commands().filter(|(kind, _)| *kind == LC_SEGMENT_64);
        segments.map(move |(_, at)| {
            // SAFETY: a segment's command is longer than this.
            let name = unsafe { read(at, 8) };
            // SAFETY: as above.
            let [address, size, file_offset] = unsafe { read::<[u64; 3]>(at, 24) };
            Segment {
                name,
                place: Place {
                    address: (address as usize).wrapping_add(self.slide),
                    size: size as usize,
                },
                file_offset: file_offset as usize,
            }
        })
    }

    /// Kinds of the load commands and where they are.
    fn commands(self) -> impl Iterator<Item = (u32, *const u8)> {
        // SAFETY: the header of a mapped image.
        let count = unsafe { (*self.header).commands };
        let mut at = self.header.wrapping_add(1).cast::<u8>();
        (0..count).map(move |_| {
            let command = at;
            // SAFETY: the header says that there are so many commands, each with its size.
            let [kind, size] = unsafe { read::<[u32; 2]>(command, 0) };
            at = at.wrapping_add(size as usize);
            (kind, command)
        })
    }
}

impl Segment {
    fn is(&self, name: &[u8]) -> bool {
        self.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    }

    /// Where so many bytes of the file are; `None`: not in this segment.
    fn at_file_offset(&self, offset: u32, size: u32) -> Option<*const u8> {
        let from = (offset as usize).checked_sub(self.file_offset)?;
        let end = from.checked_add(size as usize)?;
        (end <= self.place.size).then(|| (self.place.address + from) as *const u8)
    }
}

/// # Safety
/// A `T` may be read behind `offset` bytes from `at`, and any bytes are one.
unsafe fn read<T: Copy>(at: *const u8, offset: usize) -> T {
    // SAFETY: as promised.
    unsafe { at.wrapping_add(offset).cast::<T>().read_unaligned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image as the dynamic linker maps it: header and commands, 0x1000 bytes of data, symbols.
    struct Built {
        memory: Vec<u64>,
        slide: usize,
    }

    const DATA: usize = 0x1000;
    const LINK_EDIT: usize = 0x2000;
    /// Where the link-edit segment begins in the file: elsewhere than in memory.
    const IN_FILE: u32 = 0x1800;
    const BASE: u64 = 0x1_0000_0000;

    fn segment(name: &[u8], address: u64, size: u64, offset: u64) -> Vec<u8> {
        let mut command = Vec::new();
        command.extend(LC_SEGMENT_64.to_le_bytes());
        command.extend(72_u32.to_le_bytes());
        let mut padded = name.to_vec();
        padded.resize(16, 0);
        command.extend(padded);
        for word in [address, size, offset, size] {
            command.extend(word.to_le_bytes());
        }
        command.resize(72, 0);
        command
    }

    fn symbol(string: u32, kind: u8, value: u64) -> Vec<u8> {
        let mut entry = string.to_le_bytes().to_vec();
        entry.extend([kind, 1, 0, 0]);
        entry.extend(value.to_le_bytes());
        entry
    }

    fn image() -> Built {
        let strings = b"\0__PyRuntime2\0__PyRuntime\0_undefined\0";
        let mut symbols = Vec::new();
        symbols.extend(symbol(1, N_SECT | 1, BASE + 0x1100));
        symbols.extend(symbol(14, 0x24, BASE + 0x1200)); // for debuggers
        symbols.extend(symbol(26, 1, 0)); // not defined here
        symbols.extend(symbol(14, N_SECT | 1, BASE + 0x1340));
        let mut table = Vec::new();
        for word in [
            LC_SYMTAB,
            24,
            IN_FILE,
            4,
            IN_FILE + 64,
            strings.len() as u32,
        ] {
            table.extend(word.to_le_bytes());
        }
        let uuid: Vec<u8> = LC_UUID
            .to_le_bytes()
            .into_iter()
            .chain(24_u32.to_le_bytes())
            .chain(1..=16)
            .collect();
        let commands = [
            segment(b"__TEXT", BASE, DATA as u64, 0),
            segment(b"__DATA", BASE + DATA as u64, 0x1000, DATA as u64),
            segment(
                b"__LINKEDIT",
                BASE + LINK_EDIT as u64,
                0x1000,
                IN_FILE.into(),
            ),
            table,
            uuid,
        ];
        let mut bytes = Vec::new();
        for word in [
            0xfeed_facf,
            0,
            0,
            6,
            5,
            commands.concat().len() as u32,
            0,
            0_u32,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(commands.concat());
        bytes.resize(LINK_EDIT, 0);
        bytes.extend(symbols);
        bytes.extend(strings);
        bytes.resize(LINK_EDIT + 0x1000, 0);
        let memory: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        let slide = (memory.as_ptr() as usize).wrapping_sub(BASE as usize);
        Built { memory, slide }
    }

    #[test]
    fn what_an_image_says_about_itself() {
        let built = image();
        let start = built.memory.as_ptr() as usize;
        // SAFETY: an image in memory, as mapped.
        let image = unsafe { Image::new(built.memory.as_ptr().cast(), built.slide as isize) };
        assert_eq!(
            image.code(),
            Place {
                address: start,
                size: DATA
            }
        );
        assert_eq!(image.uuid().to_vec(), (1..=16).collect::<Vec<u8>>());
        let found = image.find(b"__PyRuntime");
        assert_eq!(
            found,
            Some(Place {
                address: start + 0x1340,
                size: 0x1000 - 0x340
            })
        );
        let longer = image.find(b"__PyRuntime2");
        assert_eq!(
            longer,
            Some(Place {
                address: start + 0x1100,
                size: 0xf00
            })
        );
        assert!(!image.is_program());
        assert_eq!(image.find(b"_undefined"), None);
        assert_eq!(image.find(b"__PyRun"), None);
    }

    /// A library that a linker made (`scripts/check-macos-library` names one, and where a symbol of
    /// it is in the file's own addresses).
    #[test]
    #[ignore = "needs a file: scripts/check-macos-library"]
    fn a_symbol_of_a_real_library() {
        let file = std::fs::read(std::env::var("NARROWS_MACH_FILE").unwrap()).unwrap();
        let wanted = std::env::var("NARROWS_MACH_SYMBOL").unwrap();
        let (name, address) = wanted.split_once('=').unwrap();
        let address = usize::from_str_radix(address, 16).unwrap();
        // As the dynamic linker maps it: each segment at its place. The file begins at address 0.
        // SAFETY: a file's head is that of its image; only its commands are read.
        let head = unsafe { Image::new(file.as_ptr().cast(), 0) };
        let end = head
            .segments()
            .map(|s| s.place.address + s.place.size)
            .max()
            .unwrap();
        let mut memory = vec![0_u128; end.div_ceil(16)];
        for segment in head.segments() {
            let from = file.get(segment.file_offset..).unwrap();
            let length = from.len().min(segment.place.size);
            let to = memory
                .as_mut_ptr()
                .cast::<u8>()
                .wrapping_add(segment.place.address);
            // SAFETY: both are that long.
            unsafe { to.copy_from_nonoverlapping(from.as_ptr(), length) };
        }
        let start = memory.as_ptr() as usize;
        // SAFETY: an image in memory, as mapped.
        let image = unsafe { Image::new(memory.as_ptr().cast(), start as isize) };
        let found = image.find(name.as_bytes()).expect("the symbol");
        assert_eq!(found.address - start, address);
        assert_eq!(image.code().address, start);
        assert_ne!(image.uuid(), [0; 16]);
    }
}
