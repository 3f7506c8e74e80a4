//! Which GPU entry points and lock functions an object can call.
//!
//! Two kinds of evidence: a name that is imported, and a name that stands as a string in the
//! object's constants, ready for `dlsym`, `cuGetProcAddress`, `vkGetInstanceProcAddr`. A string
//! alone does not prove a call, so the two are kept apart. Calls through tables of pointers that
//! an object gets in another way are not seen.

mod carried;
mod strings;

pub use carried::Carried;

use crate::{Error, file};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::collections::BTreeSet;
use std::path::Path;

/// The interface that a function belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// CUDA's driver interface, `cu*`.
    CudaDriver,
    /// CUDA's runtime, `cuda*`.
    CudaRuntime,
    /// Vulkan, `vk*`.
    Vulkan,
    /// OpenCL, `cl*`.
    OpenCl,
    /// HIP, `hip*`.
    Hip,
    /// HSA, `hsa_*`.
    Hsa,
    /// Level Zero, `ze*`.
    LevelZero,
    /// Metal: functions and Objective-C selectors that submit or wait.
    Metal,
    /// Locks and waits of the C library.
    Locks,
    /// System calls that may reach a device.
    Kernel,
}

impl Api {
    /// All interfaces.
    pub const ALL: [Api; 10] = [
        Api::CudaDriver,
        Api::CudaRuntime,
        Api::Vulkan,
        Api::OpenCl,
        Api::Hip,
        Api::Hsa,
        Api::LevelZero,
        Api::Metal,
        Api::Locks,
        Api::Kernel,
    ];

    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Api::CudaDriver => "cuda-driver",
            Api::CudaRuntime => "cuda-runtime",
            Api::Vulkan => "vulkan",
            Api::OpenCl => "opencl",
            Api::Hip => "hip",
            Api::Hsa => "hsa",
            Api::LevelZero => "level-zero",
            Api::Metal => "metal",
            Api::Locks => "locks",
            Api::Kernel => "kernel",
        }
    }

    /// The interface of the function `name`, if it belongs to one.
    pub fn of(name: &str) -> Option<Api> {
        if LOCKS.binary_search(&name).is_ok() {
            return Some(Api::Locks);
        }
        if KERNEL.binary_search(&name).is_ok() {
            return Some(Api::Kernel);
        }
        if METAL.binary_search(&name).is_ok() {
            return Some(Api::Metal);
        }
        if name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return None;
        }
        let families = [
            ("cuda", Api::CudaRuntime),
            ("cu", Api::CudaDriver),
            ("vk", Api::Vulkan),
            ("cl", Api::OpenCl),
            ("hip", Api::Hip),
            ("ze", Api::LevelZero),
        ];
        let found = families.iter().find(|(prefix, _)| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| camel_case(rest.as_bytes()))
        });
        match found {
            Some(&(_, api)) => Some(api),
            None => (name.starts_with("hsa_") && name.len() > 6).then_some(Api::Hsa),
        }
    }
}

/// A capital, then a small letter somewhere near: `cuInit`, `vkCmdDraw`; not `cuDNN`, `clUNKNOWN`.
fn camel_case(rest: &[u8]) -> bool {
    let [first, second, ..] = rest else {
        return false;
    };
    // Two capitals stand at the head of a few real names (cuGLGetDevices, clSVMAlloc).
    let head = rest.iter().take(5);
    let known_capitals = ["GL", "SVM", "EGL", "D3D", "VDPAU"];
    first.is_ascii_uppercase()
        && (second.is_ascii_lowercase()
            || known_capitals
                .iter()
                .any(|word| rest.starts_with(word.as_bytes()))
                && head.count() == 5)
}

/// No function of these interfaces has a longer name.
const MAX_NAME: usize = 96;

/// Waiting and locking functions of libc, sorted.
const LOCKS: &[&str] = &[
    "dispatch_semaphore_wait",
    "dispatch_sync",
    "dispatch_sync_f",
    "mtx_lock",
    "os_unfair_lock_lock",
    "pthread_barrier_wait",
    "pthread_cond_broadcast",
    "pthread_cond_clockwait",
    "pthread_cond_signal",
    "pthread_cond_timedwait",
    "pthread_cond_wait",
    "pthread_join",
    "pthread_mutex_clocklock",
    "pthread_mutex_lock",
    "pthread_mutex_timedlock",
    "pthread_mutex_trylock",
    "pthread_mutex_unlock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_timedrdlock",
    "pthread_rwlock_timedwrlock",
    "pthread_rwlock_unlock",
    "pthread_rwlock_wrlock",
    "pthread_spin_lock",
    "pthread_spin_unlock",
    "sem_clockwait",
    "sem_post",
    "sem_timedwait",
    "sem_wait",
    "syscall",
];

/// System calls that reach device files, sorted.
const KERNEL: &[&str] = &["epoll_pwait", "epoll_wait", "ioctl", "poll", "ppoll"];

/// Metal's functions and the selectors that create, submit or wait, sorted.
const METAL: &[&str] = &[
    "MTLCopyAllDevices",
    "MTLCreateSystemDefaultDevice",
    "commandBuffer",
    "commandBufferWithDescriptor:",
    "commandBufferWithUnretainedReferences",
    "commit",
    "commit:count:",
    "commitAndContinue",
    "computeCommandEncoder",
    "computeCommandEncoderWithDescriptor:",
    "computeCommandEncoderWithDispatchType:",
    "encodeSignalEvent:value:",
    "encodeWaitForEvent:value:",
    "newCommandQueue",
    "newCommandQueueWithDescriptor:",
    "newCommandQueueWithMaxCommandBufferCount:",
    "waitUntilCompleted",
    "waitUntilScheduled",
    "waitUntilSignaledValue:timeoutMS:",
];

/// What one object can call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Functions that the dynamic linker binds.
    pub imported: BTreeSet<String>,
    /// Names among the constants that are not also imported.
    pub by_string: BTreeSet<String>,
    /// Functions of these interfaces that the object itself offers.
    pub offered: BTreeSet<String>,
    /// Libraries that the constants name (`libcuda.so.1`), which it may open.
    pub opens: BTreeSet<String>,
    /// The object has no symbol table at all, so imports are unknown (a packed or broken file).
    pub no_symbols: bool,
}

/// Reads what the object at `path` can call. Memory is bounded by the tables of names, not by
/// the size of its constants.
pub fn read(path: &Path) -> Result<Calls, Error> {
    let mut calls = Calls::default();
    let (ranges, mach) = file::with_object(path, |object| {
        tables(object, &mut calls)?;
        Ok((
            constant_ranges(object),
            object.format() == object::BinaryFormat::MachO,
        ))
    })?;
    for (start, size) in ranges {
        strings::scan(path, start, size, |text| {
            if is_library(text) {
                calls.opens.insert(text.to_owned());
            } else if is_gpu(text, mach)
                && !calls.imported.contains(text)
                && !calls.offered.contains(text)
            {
                calls.by_string.insert(text.to_owned());
            }
        })?;
    }
    Ok(calls)
}

fn tables(object: &file::Parsed<'_>, calls: &mut Calls) -> object::read::Result<()> {
    let mut any = false;
    for symbol in object.dynamic_symbols().chain(object.symbols()) {
        any = true;
        let bytes = symbol.name_bytes()?;
        let name = String::from_utf8_lossy(bytes);
        let name = name.split('@').next().unwrap_or_default();
        let name = if object.format() == object::BinaryFormat::MachO {
            name.strip_prefix('_').unwrap_or(name)
        } else {
            name
        };
        if Api::of(name).is_none() {
            continue;
        }
        if symbol.is_undefined() {
            calls.imported.insert(name.to_owned());
        } else if symbol.is_global() && symbol.kind() == object::SymbolKind::Text {
            calls.offered.insert(name.to_owned());
        }
    }
    calls.no_symbols = !any;
    Ok(())
}

/// Names of locks and system calls are words that any text may hold, and so are selectors outside
/// macOS; only names of GPU functions count.
fn is_gpu(text: &str, mach: bool) -> bool {
    match Api::of(text) {
        None | Some(Api::Locks | Api::Kernel) => false,
        Some(Api::Metal) => mach,
        Some(_) => true,
    }
}

/// GPU libraries that are opened by name.
fn is_library(text: &str) -> bool {
    let heads = [
        "libcuda.so",
        "libcudart.so",
        "libvulkan.so",
        "libOpenCL.so",
        "libamdhip64.so",
        "libhsa-runtime64.so",
        "libze_loader.so",
        "libnvidia-ml.so",
        "libMoltenVK",
    ];
    text.len() < MAX_NAME && heads.iter().any(|head| text.starts_with(head))
}

fn constant_ranges(object: &file::Parsed<'_>) -> Vec<(u64, u64)> {
    let constant = |section: &object::Section<'_, '_, file::Bytes<'_>>| {
        matches!(
            section.kind(),
            SectionKind::ReadOnlyData
                | SectionKind::ReadOnlyString
                | SectionKind::ReadOnlyDataWithRel
                | SectionKind::Data
        )
    };
    object
        .sections()
        .filter(constant)
        .filter_map(|section| section.file_range())
        .collect()
}

#[cfg(test)]
mod tests;
