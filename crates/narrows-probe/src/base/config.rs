//! What the environment asks for. Read once, before the program's own code runs.

use super::{environ, modules};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU32, Ordering};

/// Longest folder name, with the final zero.
const FOLDER: usize = 4096;

/// The settings of this process.
pub(crate) struct Config {
    folder: [u8; FOLDER],
    /// Timeline bytes per process.
    pub(crate) timeline_bytes: u64,
    /// Whether child processes are followed.
    pub(crate) children: bool,
    /// Whether GPU times are wanted.
    pub(crate) gpu_times: bool,
    /// Take orders for delays (the causal test).
    pub(crate) control: bool,
    /// Whether a summary is printed at the end.
    pub(crate) log: bool,
    /// Whether the folder is a temporary one of our own.
    pub(crate) own_folder: bool,
}

const DEFAULT_TIMELINE: u64 = 256 << 20;

struct ConfigCell(UnsafeCell<Config>);
// SAFETY: written once by the thread that moves `READ` from unread, read only after that.
unsafe impl Sync for ConfigCell {}
static CONFIG: ConfigCell = ConfigCell(UnsafeCell::new(Config {
    folder: [0; FOLDER],
    timeline_bytes: DEFAULT_TIMELINE,
    children: true,
    gpu_times: false,
    control: false,
    log: false,
    own_folder: false,
}));

const UNREAD: u32 = 0;
const WANTED: u32 = 1;
const UNWANTED: u32 = 2;
static READ: AtomicU32 = AtomicU32::new(UNREAD);

/// The settings; `None` when this process is not to be recorded.
///
/// First called while the probe is `Resolving`, which one thread does at a time.
pub(crate) fn get() -> Option<&'static Config> {
    if READ.load(Ordering::Acquire) == UNREAD {
        // SAFETY: nobody else looks at the settings before `READ` changes, and one thread at a
        // time is resolving.
        let config = unsafe { &mut *CONFIG.0.get() };
        let wanted = read(config);
        READ.store(if wanted { WANTED } else { UNWANTED }, Ordering::Release);
    }
    if READ.load(Ordering::Acquire) == WANTED {
        // SAFETY: not written any more.
        Some(unsafe { &*CONFIG.0.get() })
    } else {
        None
    }
}

impl Config {
    /// The trace folder.
    pub(crate) fn folder(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.folder).unwrap_or(c"")
    }
}

fn read(config: &mut Config) -> bool {
    let folder = variable(c"NARROWS_TRACE").filter(|value| !value.is_empty());
    // The second name is that of the hand-made interposer that came before.
    let log = flag(c"NARROWS_LOG").or_else(|| flag(c"METAL_INTERPOSE_LOG"));
    config.log = log.unwrap_or(false);
    let wanted = match folder {
        Some(folder) => copy_folder(&mut config.folder, folder),
        None if config.log => {
            config.own_folder = temporary_folder(&mut config.folder);
            config.own_folder
        }
        None => false,
    };
    config.children = flag(c"NARROWS_CHILDREN").unwrap_or(true);
    config.gpu_times = flag(c"NARROWS_GPU_TIMES").unwrap_or(false);
    config.control = flag(c"NARROWS_CONTROL").unwrap_or(false);
    config.timeline_bytes = variable(c"NARROWS_TIMELINE")
        .and_then(number)
        .unwrap_or(DEFAULT_TIMELINE);
    let wanted = wanted && this_program_is_meant();
    if !config.children {
        environ::strip();
    }
    wanted
}

fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: `name` is a C string; no other thread of ours changes the environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: `getenv` gives a C string that lives in the process's environment; the slice is
    // used before the program's own code can change it.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes())
}

fn flag(name: &CStr) -> Option<bool> {
    variable(name).map(|value| !matches!(value, b"" | b"0"))
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn copy_folder(into: &mut [u8; FOLDER], folder: &[u8]) -> bool {
    if folder.len() >= FOLDER || folder.first() != Some(&b'/') {
        return false;
    }
    for (to, from) in into.iter_mut().zip(folder) {
        *to = *from;
    }
    true
}

fn temporary_folder(into: &mut [u8; FOLDER]) -> bool {
    let parent = variable(c"TMPDIR")
        .filter(|value| value.first() == Some(&b'/') && value.len() < FOLDER - 32)
        .unwrap_or(b"/tmp");
    let tail = b"/narrows-XXXXXX";
    for (to, from) in into.iter_mut().zip(parent.iter().chain(tail)) {
        *to = *from;
    }
    let template: *mut c_char = into.as_mut_ptr().cast();
    // SAFETY: `template` is a writable C string that ends in six X.
    !unsafe { libc::mkdtemp(template) }.is_null()
}

/// Whether `NARROWS_ONLY` and `NARROWS_EXCLUDE` let this executable be recorded.
fn this_program_is_meant() -> bool {
    let only = variable(c"NARROWS_ONLY").filter(|value| !value.is_empty());
    let exclude = variable(c"NARROWS_EXCLUDE").filter(|value| !value.is_empty());
    if only.is_none() && exclude.is_none() {
        return true;
    }
    let mut path = [0_u8; FOLDER];
    let length = modules::program_path(&mut path);
    let path = path
        .get(..usize::try_from(length).unwrap_or(0))
        .unwrap_or(&[]);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
    only.is_none_or(|globs| any_matches(globs, name))
        && !exclude.is_some_and(|globs| any_matches(globs, name))
}

fn any_matches(globs: &[u8], name: &[u8]) -> bool {
    globs
        .split(|byte| *byte == b',')
        .any(|glob| matches(glob, name))
}

/// Shell-like patterns of `*` and `?`; everything else stands for itself.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        match glob.get(at.0) {
            Some(b'*') => {
                star = Some(at);
                at.0 += 1;
            }
            Some(letter) if *letter == b'?' || Some(letter) == name.get(at.1) => {
                at = (at.0 + 1, at.1 + 1);
            }
            _ => match star {
                Some((glob_at, name_at)) => {
                    star = Some((glob_at, name_at + 1));
                    at = (glob_at + 1, name_at + 1);
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(at.0).all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::{any_matches, matches};

    #[test]
    fn globs() {
        for (glob, name, expected) in [
            ("python*", "python3.11", true),
            ("python*", "ipython", false),
            ("*py*n3", "python3", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("***", "x", true),
        ] {
            assert_eq!(
                matches(glob.as_bytes(), name.as_bytes()),
                expected,
                "{glob} {name}"
            );
        }
    }

    #[test]
    fn any_glob_of_a_list() {
        assert!(any_matches(b"git,python*", b"python3"));
        assert!(any_matches(b"git,python*", b"git"));
        assert!(!any_matches(b"git,python*", b"bash"));
    }
}
