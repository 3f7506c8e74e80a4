//! The head of an object file: what it is, what it needs, how it starts.

use crate::file::{self, Bytes, Parsed};
use crate::{Error, Signature};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Object, elf};
use std::path::{Path, PathBuf};

/// The two kinds of file that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Linux.
    Elf,
    /// macOS. Of a universal file the arm64 part counts.
    MachO,
}

/// What an object file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// ELF or Mach-O.
    pub format: Format,
    /// The processor, as Rust names it (`x86_64`, `aarch64`); another one by its own name.
    pub machine: String,
    /// The dynamic linker that the kernel starts; `None` for a static program and most libraries.
    pub interpreter: Option<PathBuf>,
    /// The library's own name.
    pub soname: Option<String>,
    /// Libraries it is linked with, as written.
    pub needed: Vec<String>,
    /// DT_RPATH, one entry each, `$ORIGIN` as written. Ignored by the linker if `runpath` is set.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, one entry each, `$ORIGIN` as written.
    pub runpath: Vec<String>,
    /// What a macOS file's signature says; `None`: it has none, or is no macOS file.
    pub signature: Option<Signature>,
}

impl Image {
    /// Reads the head of the file at `path`.
    pub fn open(path: &Path) -> Result<Image, Error> {
        file::with_object(path, |object| match object {
            object::File::Elf32(elf) => elf_image(elf),
            object::File::Elf64(elf) => elf_image(elf),
            object::File::MachO64(mach) => mach_image(object, mach),
            _ => Ok(Image::empty(Format::MachO, machine(object.architecture()))),
        })
    }

    /// Is it for the processor that runs this code?
    pub fn is_native(&self) -> bool {
        self.machine == std::env::consts::ARCH
    }

    fn empty(format: Format, machine: String) -> Image {
        Image {
            format,
            machine,
            interpreter: None,
            soname: None,
            needed: Vec::new(),
            rpath: Vec::new(),
            runpath: Vec::new(),
            signature: None,
        }
    }
}

fn machine(architecture: object::Architecture) -> String {
    match architecture {
        object::Architecture::X86_64 => "x86_64".into(),
        object::Architecture::Aarch64 => "aarch64".into(),
        object::Architecture::I386 => "x86".into(),
        object::Architecture::Arm => "arm".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn elf_image<'data, Elf: FileHeader>(
    file: &ElfFile<'data, Elf, Bytes<'data>>,
) -> object::read::Result<Image> {
    let mut image = Image::empty(Format::Elf, machine(file.architecture()));
    for segment in file.elf_program_headers() {
        if let Some(path) = segment.interpreter(file.endian(), file.data())? {
            image.interpreter = Some(PathBuf::from(text(path)));
        }
    }
    let table = file.elf_dynamic_table()?;
    for entry in table.iter() {
        let one = || table.string(entry).map(text);
        let several = || one().map(|all| split_path(&all));
        match entry.tag {
            elf::DT_NEEDED => image.needed.push(one()?),
            elf::DT_SONAME => image.soname = Some(one()?),
            elf::DT_RPATH => image.rpath = several()?,
            elf::DT_RUNPATH => image.runpath = several()?,
            _ => {}
        }
    }
    Ok(image)
}

/// A signature comes last in a file, so what was found before is kept.
fn mach_image<'a>(
    object: &Parsed<'a>,
    file: &object::read::macho::MachOFile64<'a, object::Endianness, Bytes<'a>>,
) -> object::read::Result<Image> {
    use object::read::macho::{LoadCommandVariant, Segment};
    let mut image = Image::empty(Format::MachO, machine(object.architecture()));
    let endian = file.endian();
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        match command.variant()? {
            LoadCommandVariant::Dylib(dylib) => {
                image
                    .needed
                    .push(text(command.string(endian, dylib.dylib.name)?));
            }
            LoadCommandVariant::IdDylib(dylib) => {
                image.soname = Some(text(command.string(endian, dylib.dylib.name)?));
            }
            LoadCommandVariant::LoadDylinker(linker) => {
                image.interpreter = Some(text(command.string(endian, linker.name)?).into());
            }
            LoadCommandVariant::Rpath(rpath) => {
                image.rpath.push(text(command.string(endian, rpath.path)?));
            }
            LoadCommandVariant::LinkeditData(data)
                if command.cmd() == object::macho::LC_CODE_SIGNATURE =>
            {
                let signature = Signature::parse(data.data(endian, file.data())?)?;
                let restricted = image.signature.is_some_and(|found| found.restricted);
                image.signature = Some(Signature {
                    restricted: signature.restricted || restricted,
                    ..signature
                });
            }
            LoadCommandVariant::Segment64(segment, _) if segment.name() == b"__RESTRICT" => {
                image.signature.get_or_insert_default().restricted = true;
            }
            _ => {}
        }
    }
    Ok(image)
}

fn split_path(all: &str) -> Vec<String> {
    all.split(':')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
