//! The injected library as bytes inside this command, and as a file that the dynamic linker can
//! load.
//!
//! The file's folder is named after its content, so that versions live side by side, and it is
//! only used if it is exactly ours: same bytes, same owner, writable by nobody else. It appears
//! whole (written elsewhere and renamed) or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The library. Empty where this build has none.
pub(crate) const PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libnarrows_probe.so"));

const NAME: &str = if cfg!(target_os = "macos") {
    "libnarrows_probe.dylib"
} else {
    "libnarrows_probe.so"
};

/// Makes sure that the library is a file, and says where.
pub(crate) fn extract() -> io::Result<PathBuf> {
    if PROBE.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this build of narrows carries no library for this system",
        ));
    }
    let mut first_error = None;
    for folder in candidates() {
        match extract_to(&folder, PROBE) {
            Ok(file) => return Ok(file),
            Err(error) => {
                let error = io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| io::Error::other("no folder to write to")))
}

/// Folders to try, best first: the user's cache, then a folder of this user's own among the
/// temporary files.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("narrows"));
    let user = rustix::process::getuid().as_raw();
    let temporary = std::env::temp_dir().join(format!("narrows-{user}"));
    cache.into_iter().chain([temporary]).collect()
}

fn extract_to(parent: &Path, image: &[u8]) -> io::Result<PathBuf> {
    refuse_unloadable(parent)?;
    own_folder(parent)?;
    let folder = parent.join(format!("probe-{:016x}", fingerprint(image)));
    own_folder(&folder)?;
    let file = folder.join(NAME);
    if !is_ours(&file, image)? {
        write_whole(&folder, &file, image)?;
    }
    Ok(file)
}

/// The dynamic linker splits lists of libraries at spaces and colons and expands `$`.
fn refuse_unloadable(folder: &Path) -> io::Result<()> {
    let bytes = folder.as_os_str().as_encoded_bytes();
    if bytes.iter().any(|byte| b" :$\n".contains(byte)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the dynamic linker cannot load from a path with a space, a colon or a dollar sign",
        ));
    }
    Ok(())
}

/// Makes the folder if need be; refuses one that others could have filled or can fill, and one
/// whose file system forbids code.
pub(crate) fn own_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    let safe = found.is_dir()
        && found.uid() == rustix::process::getuid().as_raw()
        && found.mode() & 0o022 == 0;
    if !safe {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not used: the folder belongs to, or can be written by, another user",
        ));
    }
    if forbids_code(folder)? {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its file system is mounted noexec",
        ));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn forbids_code(folder: &Path) -> io::Result<bool> {
    let system = rustix::fs::statvfs(folder)?;
    Ok(system
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// macOS has no such flag here; where it forbids code, the dynamic linker says so.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps)]
fn forbids_code(_folder: &Path) -> io::Result<bool> {
    Ok(false)
}

fn is_ours(file: &Path, image: &[u8]) -> io::Result<bool> {
    let found = match fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(found.is_file()
        && found.uid() == rustix::process::getuid().as_raw()
        && found.mode() & 0o022 == 0
        && found.len() == image.len() as u64
        && fs::read(file)? == image)
}

fn write_whole(folder: &Path, file: &Path, image: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{NAME}.{}", std::process::id()));
    // A leftover of a killed process that had this number.
    let _ = fs::remove_file(&new);
    let mut options = File::options();
    let mut writer = options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new)?;
    let written = writer
        .write_all(image)
        .and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// FNV-1a: names the folder; the bytes themselves are compared before use.
fn fingerprint(image: &[u8]) -> u64 {
    image.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::{NAME, PROBE, extract_to, fingerprint};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_image_is_a_shared_object() {
        assert_eq!(PROBE.get(..4), Some(&b"\x7fELF"[..]));
        assert_eq!(PROBE.get(16), Some(&3), "ET_DYN");
    }

    #[test]
    fn the_file_has_the_image_and_is_not_written_twice() {
        let parent = tempfile::tempdir().unwrap();
        let file = extract_to(parent.path(), b"image").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"image");
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(extract_to(parent.path(), b"image").unwrap(), file);
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_changed_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let file = extract_to(parent.path(), b"image").unwrap();
        fs::write(&file, b"imagf").unwrap();
        extract_to(parent.path(), b"image").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"image");
    }

    #[test]
    fn a_link_in_the_file_s_place_is_replaced_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let file = extract_to(parent.path(), b"image").unwrap();
        let other = parent.path().join("other");
        fs::write(&other, b"image").unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&other, &file).unwrap();
        extract_to(parent.path(), b"image").unwrap();
        assert!(fs::symlink_metadata(&file).unwrap().is_file());
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("open");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let error = extract_to(&folder, b"image").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(!folder.join(NAME).exists());
    }

    #[test]
    fn a_path_that_cannot_be_preloaded_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["with space", "with:colon", "with$dollar"] {
            assert!(
                extract_to(&parent.path().join(name), b"image").is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn fingerprints_differ() {
        assert_ne!(fingerprint(b"a"), fingerprint(b"b"));
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
    }
}
