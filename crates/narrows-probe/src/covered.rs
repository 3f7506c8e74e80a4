//! The names of all functions that are reached through pointers and wrapped, one a line, in a
//! section of the library that the command's audit reads. They come from the hooks' own tables.

use crate::{cuda, opencl, vulkan};

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

const VULKAN: [&[u8]; vulkan::table::COUNT] = {
    let mut names: [&[u8]; vulkan::table::COUNT] = [b""; vulkan::table::COUNT];
    let mut at = 0;
    while at < names.len() {
        names[at] = vulkan::table::NAMES[at].to_bytes();
        at += 1;
    }
    names
};

const OPENCL: [&[u8]; opencl::table::NAMES.len()] = {
    let mut names: [&[u8]; opencl::table::NAMES.len()] = [b""; opencl::table::NAMES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = opencl::table::NAMES[at].as_bytes();
        at += 1;
    }
    names
};

const LISTS: [&[&[u8]]; 4] = [&CUDA, &VULKAN, &OPENCL, &vulkan::LAYER_FUNCTIONS];

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
#[unsafe(link_section = "narrows_covered")]
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
        ] {
            assert!(set.contains(name), "{name}");
        }
    }
}
