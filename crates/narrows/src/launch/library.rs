//! The probe as files: the library itself and the manifest of its Vulkan layer.

use super::environment::{INSERTED, VULKAN_LAYER, can_preload};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Where the extracted probe is.
#[derive(Clone, Debug)]
pub(super) struct Library {
    /// The shared object.
    pub(super) file: PathBuf,
    /// Folder of the Vulkan layer's manifest.
    pub(super) manifests: PathBuf,
}

/// Extracts the probe that this command carries, and writes the layer's manifest beside it.
pub(super) fn extract() -> anyhow::Result<Library> {
    let file = crate::probe_image::extract().context("trace: the probe cannot be extracted")?;
    anyhow::ensure!(
        can_preload(&file),
        "trace: {}: {INSERTED} cannot name a file whose path holds spaces or colons; \
         set XDG_CACHE_HOME to another folder",
        file.display()
    );
    let manifests = file.with_extension("layers");
    write_manifest(&manifests, &file)
        .with_context(|| format!("trace: {}: cannot be written", manifests.display()))?;
    Ok(Library { file, manifests })
}

fn write_manifest(folder: &Path, library: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let manifest = serde_json::json!({
        "file_format_version": "1.2.0",
        "layer": {
            "name": VULKAN_LAYER,
            "type": "GLOBAL",
            "library_path": library,
            "api_version": "1.3.239",
            "implementation_version": "1",
            "description": "Records calls and waits for narrows",
        },
    });
    // Another narrows may write the same file now: rename puts a whole one in place.
    let new = folder.join(format!("narrows.json.{}", std::process::id()));
    std::fs::write(&new, manifest.to_string())?;
    std::fs::rename(new, folder.join("narrows.json"))
}
