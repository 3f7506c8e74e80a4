//! The environment that brings the probe into a program, and tells it what to do.
//!
//! Whatever the user has set already stays in force: our entries are added to the lists.

use super::library::Library;
use std::ffi::{OsStr, OsString};

/// What the user asked of the recorder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Bytes of timeline kept per process.
    pub(crate) timeline_bytes: u64,
    /// Read GPU timestamps too.
    pub(crate) gpu_times: bool,
    /// Follow child processes.
    pub(crate) children: bool,
    /// Record only programs whose file name matches one of these globs; empty: all.
    pub(crate) only: Vec<String>,
    /// Do not record programs whose file name matches one of these globs.
    pub(crate) exclude: Vec<String>,
}

/// The variable that the dynamic linker reads for libraries to load first.
pub(super) const INSERTED: &str = if cfg!(target_os = "macos") {
    "DYLD_INSERT_LIBRARIES"
} else {
    "LD_PRELOAD"
};

/// Name of the Vulkan layer in the probe.
pub(super) const VULKAN_LAYER: &str = "VK_LAYER_NARROWS_probe";

/// The variables to set for the program. `current` looks the user's own value up.
pub(super) fn variables(
    library: &Library,
    trace: &OsStr,
    settings: &Settings,
    current: impl Fn(&str) -> Option<OsString>,
) -> Vec<(&'static str, OsString)> {
    let joined = |name: &str, ours: &OsStr, first: bool| join(current(name), ours, first);
    let manifests = library.manifests.as_os_str();
    // VK_ADD_LAYER_PATH is ignored where VK_LAYER_PATH is set.
    let layer_path = match current("VK_LAYER_PATH").filter(|value| !value.is_empty()) {
        Some(_) => "VK_LAYER_PATH",
        None => "VK_ADD_LAYER_PATH",
    };
    let mut variables = vec![
        (INSERTED, joined(INSERTED, library.file.as_os_str(), true)),
        ("NARROWS_TRACE", trace.to_owned()),
        (
            "NARROWS_TIMELINE",
            settings.timeline_bytes.to_string().into(),
        ),
        (
            "NARROWS_CHILDREN",
            if settings.children { "1" } else { "0" }.into(),
        ),
        (
            "VK_INSTANCE_LAYERS",
            joined("VK_INSTANCE_LAYERS", OsStr::new(VULKAN_LAYER), false),
        ),
        (layer_path, joined(layer_path, manifests, false)),
        (
            "OPENCL_LAYERS",
            joined("OPENCL_LAYERS", library.file.as_os_str(), false),
        ),
    ];
    if settings.gpu_times {
        variables.push(("NARROWS_GPU_TIMES", "1".into()));
    }
    if !settings.only.is_empty() {
        variables.push(("NARROWS_ONLY", settings.only.join(",").into()));
    }
    if !settings.exclude.is_empty() {
        variables.push(("NARROWS_EXCLUDE", settings.exclude.join(",").into()));
    }
    variables
}

/// `ours` and what is set already, as one list with colons.
fn join(current: Option<OsString>, ours: &OsStr, first: bool) -> OsString {
    let Some(current) = current.filter(|value| !value.is_empty()) else {
        return ours.to_owned();
    };
    let (mut head, tail) = if first {
        (ours.to_owned(), current)
    } else {
        (current, ours.into())
    };
    head.push(":");
    head.push(tail);
    head
}

/// Variables of an outer `narrows trace` that must not reach the program by accident.
pub(super) const OWN: [&str; 5] = [
    "NARROWS_GPU_TIMES",
    "NARROWS_ONLY",
    "NARROWS_EXCLUDE",
    "NARROWS_LOG",
    "NARROWS_TRACE",
];

/// Can this file be named in [`INSERTED`], where colons (on Linux spaces too) part names?
pub(super) fn can_preload(file: &std::path::Path) -> bool {
    let parts: &[char] = if cfg!(target_os = "macos") {
        &[':', '\n']
    } else {
        &[' ', ':', '\t', '\n']
    };
    !file.to_string_lossy().contains(parts)
}

#[cfg(test)]
mod tests {
    use super::{Library, Settings, can_preload, variables};
    use std::collections::BTreeMap;
    use std::ffi::{OsStr, OsString};
    use std::path::Path;

    fn with(current: &[(&str, &str)], settings: &Settings) -> BTreeMap<&'static str, String> {
        let library = Library {
            file: "/c/lib.so".into(),
            manifests: "/c/vulkan".into(),
        };
        let current: BTreeMap<String, OsString> = current
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.into()))
            .collect();
        variables(&library, OsStr::new("/t"), settings, |name| {
            current.get(name).cloned()
        })
        .into_iter()
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect()
    }

    #[test]
    fn nothing_set_before() {
        let set = with(
            &[],
            &Settings {
                timeline_bytes: 7,
                ..Settings::default()
            },
        );
        assert_eq!(set["LD_PRELOAD"], "/c/lib.so");
        assert_eq!(set["NARROWS_TRACE"], "/t");
        assert_eq!(set["NARROWS_TIMELINE"], "7");
        assert_eq!(set["NARROWS_CHILDREN"], "0");
        assert_eq!(set["VK_INSTANCE_LAYERS"], "VK_LAYER_NARROWS_probe");
        assert_eq!(set["VK_ADD_LAYER_PATH"], "/c/vulkan");
        assert_eq!(set["OPENCL_LAYERS"], "/c/lib.so");
        for absent in [
            "VK_LAYER_PATH",
            "NARROWS_ONLY",
            "NARROWS_EXCLUDE",
            "NARROWS_GPU_TIMES",
        ] {
            assert!(!set.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn what_the_user_set_stays_in_force() {
        let current = [
            ("LD_PRELOAD", "/x/jemalloc.so"),
            ("VK_INSTANCE_LAYERS", "VK_LAYER_X"),
            ("VK_LAYER_PATH", "/x/layers"),
            ("OPENCL_LAYERS", "/x/cl.so"),
        ];
        let settings = Settings {
            only: vec!["vk*".into(), "cl*".into()],
            exclude: vec!["pthread_*".into()],
            gpu_times: true,
            children: true,
            timeline_bytes: 0,
        };
        let set = with(&current, &settings);
        assert_eq!(set["LD_PRELOAD"], "/c/lib.so:/x/jemalloc.so");
        assert_eq!(
            set["VK_INSTANCE_LAYERS"],
            "VK_LAYER_X:VK_LAYER_NARROWS_probe"
        );
        assert_eq!(set["VK_LAYER_PATH"], "/x/layers:/c/vulkan");
        assert_eq!(set["OPENCL_LAYERS"], "/x/cl.so:/c/lib.so");
        assert_eq!(set["NARROWS_ONLY"], "vk*,cl*");
        assert_eq!(set["NARROWS_EXCLUDE"], "pthread_*");
        assert_eq!(set["NARROWS_CHILDREN"], "1");
        assert!(!set.contains_key("VK_ADD_LAYER_PATH"));
    }

    #[test]
    fn names_that_the_linker_would_cut() {
        assert!(can_preload(Path::new("/a/b.so")));
        assert!(!can_preload(Path::new("/a b/c.so")));
        assert!(!can_preload(Path::new("/a:b/c.so")));
    }
}
