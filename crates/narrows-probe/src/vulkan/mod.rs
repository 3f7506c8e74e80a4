//! The Vulkan layer `VK_LAYER_NARROWS_probe`, served by the same library.
//!
//! The loader finds it through a manifest (`manifest.json` beside this file, with the library's
//! absolute path in place of `@LIBRARY@`) in a folder named by
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
