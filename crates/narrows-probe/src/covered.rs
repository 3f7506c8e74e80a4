//! The names of all functions that are reached through pointers and wrapped, one a line, in a
//! section of the library that the command's audit reads. They come from the hooks' own tables.

#[cfg(target_os = "linux")]
use crate::{cuda, opencl, vulkan};
use crate::{interposed, metal};

#[cfg(target_os = "linux")]
const CUDA: [&[u8]; cuda::table::ROWS.len()] = {
    let mut names: [&[u8]; cuda::table::ROWS.len()] = [b""; cuda::table::ROWS.len()];
    let rows = cuda::table::ROWS;
    let mut at = 0;
    while at < names.len() {
        names[at] = rows[at].name().as_bytes();
        at += 1;
    }
    names
};

#[cfg(target_os = "linux")]
const VULKAN: [&[u8]; vulkan::table::COUNT] = {
    let mut names: [&[u8]; vulkan::table::COUNT] = [b""; vulkan::table::COUNT];
    let mut at = 0;
    while at < names.len() {
        names[at] = vulkan::table::NAMES[at].to_bytes();
        at += 1;
    }
    names
};

#[cfg(target_os = "linux")]
const OPENCL: [&[u8]; opencl::table::NAMES.len()] = {
    let mut names: [&[u8]; opencl::table::NAMES.len()] = [b""; opencl::table::NAMES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = opencl::table::NAMES[at].as_bytes();
        at += 1;
    }
    names
};

/// Metal's selectors, each once, and its functions; an empty name where a selector was met before.
const METAL: [&[u8]; metal::table::COUNT + 3] = {
    let mut names: [&[u8]; metal::table::COUNT + 3] = [b""; metal::table::COUNT + 3];
    let rows = metal::table::ROWS;
    let mut at = 0;
    while at < rows.len() {
        let name = rows[at].selector.to_bytes();
        let mut before = 0;
        while before < at && !same(names[before], name) {
            before += 1;
        }
        if before == at {
            names[at] = name;
        }
        at += 1;
    }
    names[at] = b"MTLCreateSystemDefaultDevice";
    names[at + 1] = b"MTLCopyAllDevices";
    names[at + 2] = b"MTLCopyAllDevicesWithObserver";
    names
};

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// What the macOS library interposes, behind `macos:`, on every system.
const INTERPOSED: [&[u8]; interposed::NAMES.len()] = {
    let mut names: [&[u8]; interposed::NAMES.len()] = [b""; interposed::NAMES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = interposed::NAMES[at].as_bytes();
        at += 1;
    }
    names
};

#[cfg(target_os = "linux")]
const LISTS: [&[&[u8]]; 6] = [
    &CUDA,
    &VULKAN,
    &OPENCL,
    &vulkan::LAYER_FUNCTIONS,
    &METAL,
    &INTERPOSED,
];
#[cfg(target_os = "macos")]
const LISTS: [&[&[u8]]; 2] = [&METAL, &INTERPOSED];

const LENGTH: usize = {
    let (mut length, mut list) = (0, 0);
    while list < LISTS.len() {
        let mut at = 0;
        while at < LISTS[list].len() {
            length += LISTS[list][at].len() + 1;
            at += 1;
        }
        list += 1;
    }
    length
};

const fn joined() -> [u8; LENGTH] {
    let mut text = [b'\n'; LENGTH];
    let (mut end, mut list) = (0, 0);
    while list < LISTS.len() {
        let mut at = 0;
        while at < LISTS[list].len() {
            let name = LISTS[list][at];
            let mut byte = 0;
            while byte < name.len() {
                text[end + byte] = name[byte];
                byte += 1;
            }
            end += name.len() + 1;
            at += 1;
        }
        list += 1;
    }
    text
}

/// The list. Exported, so that the linker keeps it.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(target_os = "linux", unsafe(link_section = "narrows_covered"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,narrows_covered"))]
pub(crate) static NARROWS_COVERED: [u8; LENGTH] = joined();

#[cfg(test)]
mod tests {
    use super::NARROWS_COVERED;
    use std::collections::BTreeSet;

    #[test]
    fn every_wrapped_function_is_listed_once() {
        let text = std::str::from_utf8(&NARROWS_COVERED).expect("names are text");
        let names: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let set: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), set.len());
        for name in [
            "cuLaunchKernel",
            "vkQueueSubmit",
            "vkCreateDevice",
            "clFinish",
            "commit",
            "waitUntilSignaledValue:timeoutMS:",
            "MTLCopyAllDevices",
            "macos:dispatch_sync",
        ] {
            assert!(set.contains(name), "{name}");
        }
    }
}
