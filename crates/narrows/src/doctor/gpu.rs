//! GPU APIs, their devices, and whether this user may open the GPU's files.

use super::{Finding, Status};
use narrows_gpu::{Backend, DeviceInfo, Error};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

pub(super) fn look() -> Vec<Finding> {
    let backends = narrows_gpu::backends();
    let mut found: Vec<Finding> = backends.iter().map(|b| api(b.as_ref())).collect();
    found.extend(nodes());
    found
}

fn api(backend: &dyn Backend) -> Finding {
    match backend.devices() {
        Ok(devices) => {
            let names: Vec<String> = devices.iter().map(device).collect();
            Finding::ok(backend.name(), names.join("; "))
        }
        Err(Error::NoLoader {
            library, remedy, ..
        }) => Finding::bad(
            Status::Missing,
            backend.name(),
            format!("no loader: {library} cannot be opened"),
            remedy,
        ),
        Err(Error::NoDevice { remedy, .. }) => Finding::bad(
            Status::Missing,
            backend.name(),
            "the loader is there, and no device",
            remedy,
        ),
        Err(other) => Finding::bad(
            Status::Warning,
            backend.name(),
            other.to_string(),
            "see whether another program of this API runs; reinstall its driver if none does",
        ),
    }
}

fn device(info: &DeviceInfo) -> String {
    let kind = match (info.stand_in, info.software) {
        (true, _) => ", stand-in",
        (_, true) => ", software",
        _ => "",
    };
    let layers = match info.layers.as_slice() {
        [] => String::new(),
        layers => format!(", layers that add locks: {}", layers.join(" ")),
    };
    format!("{} (driver {}{kind}{layers})", info.name, info.driver)
}

/// A device file that is there and may not be opened is the usual reason for "no device".
fn nodes() -> Vec<Finding> {
    let folder = |path: &str, start: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let is_node = |p: &PathBuf| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned());
            name.is_some_and(|n| n.starts_with(start))
        };
        entries.map(|e| e.path()).filter(is_node).collect()
    };
    let mut all = folder("/dev/dri", "renderD");
    all.extend(folder("/dev", "nvidia"));
    all.extend(folder("/dev", "kfd"));
    all.retain(|path| !path.is_dir());
    if all.is_empty() {
        return vec![Finding::note(
            "permissions",
            "no GPU device file in /dev: software devices only",
        )];
    }
    let closed: Vec<String> = all
        .iter()
        .filter(|path| !may_open(path))
        .map(|path| path.display().to_string())
        .collect();
    if closed.is_empty() {
        return vec![Finding::ok(
            "permissions",
            format!("{} GPU device files can be opened", all.len()),
        )];
    }
    vec![Finding::bad(
        Status::Warning,
        "permissions",
        format!("this user may not open {}", closed.join(", ")),
        "sudo usermod -aG render,video $USER, then log in again (in a container: pass the device in)",
    )]
}

/// Opening a capability file of the driver may be refused to everybody: only refusals for lack of
/// rights count.
fn may_open(path: &Path) -> bool {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
    }
}
