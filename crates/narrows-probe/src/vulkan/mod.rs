//! The Vulkan layer `VK_LAYER_NARROWS_probe`, served by the same library.
//!
//! The loader finds it through a manifest ([`MANIFEST`], [`manifest_json`]) in a folder named by
//! `VK_ADD_LAYER_PATH` and loads it when `VK_INSTANCE_LAYERS` names it. `VK_ADD_LAYER_PATH` is
//! ignored when `VK_LAYER_PATH` is set: then the folder must be appended to that.
//!
//! The layer wraps the device functions of [`table`] and never claims one that the layer below
//! lacks. The next functions are taken while the instance or device is made. With GPU times asked
//! for, [`times`] puts timestamps around submissions. Not covered: functions that record commands
//! (`vkCmd*`), physical device queries.

mod abi;
mod call;
mod device;
mod layer;
pub(crate) mod table;
mod times;

pub(crate) use layer::{FUNCTIONS as LAYER_FUNCTIONS, note_coverage};
pub(crate) use times::finish;

#[cfg(test)]
mod tests;

/// The layer's name, for `VK_INSTANCE_LAYERS`.
pub const LAYER: &str = "VK_LAYER_NARROWS_probe";

/// The manifest, with `@LIBRARY@` where the library's absolute path goes.
pub const MANIFEST: &str = include_str!("manifest.json");

/// The manifest of the library at `path`, to be written to a file that ends in `.json`.
pub fn manifest_json(path: &str) -> String {
    let escaped: String = path
        .chars()
        .flat_map(|letter| match letter {
            '"' | '\\' => vec!['\\', letter],
            letter if letter.is_control() => format!("\\u{:04x}", letter as u32).chars().collect(),
            letter => vec![letter],
        })
        .collect();
    MANIFEST.replace("@LIBRARY@", &escaped)
}
