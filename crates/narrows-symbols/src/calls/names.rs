//! Which interface a function or a selector belongs to.

use std::sync::OnceLock;

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
    /// Metal: functions and Objective-C selectors.
    Metal,
    /// Metal Performance Shaders: Objective-C selectors.
    Mps,
    /// Metal Performance Shaders Graph: Objective-C selectors.
    MpsGraph,
    /// Locks and waits of the C library.
    Locks,
    /// System calls that may reach a device.
    Kernel,
}

impl Api {
    /// All interfaces.
    pub const ALL: [Api; 12] = [
        Api::CudaDriver,
        Api::CudaRuntime,
        Api::Vulkan,
        Api::OpenCl,
        Api::Hip,
        Api::Hsa,
        Api::LevelZero,
        Api::Metal,
        Api::Mps,
        Api::MpsGraph,
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
            Api::Mps => "mps",
            Api::MpsGraph => "mpsgraph",
            Api::Locks => "locks",
            Api::Kernel => "kernel",
        }
    }

    /// The interface of the function `name`, if it belongs to one.
    pub fn of(name: &str) -> Option<Api> {
        Api::of_function(name, false)
    }

    /// Like [`Api::of`]; with `mach`, names mean macOS's functions, without the leading
    /// underscore of its symbols.
    pub fn of_function(name: &str, mach: bool) -> Option<Api> {
        if LOCKS.binary_search(&name).is_ok() || mach && MACH_LOCKS.binary_search(&name).is_ok() {
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

    /// The interface that has methods of this Objective-C selector; the lowest where several do.
    pub fn of_selector(selector: &str) -> Option<Api> {
        let families = selectors();
        let at = families.binary_search_by_key(&selector, |(name, _)| name);
        at.ok().and_then(|at| families.get(at)).map(|(_, api)| *api)
    }
}

/// Every selector of the public bindings, sorted (`scripts/make-metal-selectors`).
fn selectors() -> &'static [(&'static str, Api)] {
    static PARSED: OnceLock<Vec<(&'static str, Api)>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let lines = include_str!("selectors.tsv").lines();
        let rows = lines.filter_map(|line| line.split_once('\t'));
        rows.map(|(selector, family)| match family {
            "metal" => (selector, Api::Metal),
            "mps" => (selector, Api::Mps),
            _ => (selector, Api::MpsGraph),
        })
        .collect()
    })
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
pub(super) const MAX_NAME: usize = 96;

/// Waiting and locking functions of libc, sorted.
pub(super) const LOCKS: &[&str] = &[
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
pub(super) const KERNEL: &[&str] = &["epoll_pwait", "epoll_wait", "ioctl", "poll", "ppoll"];

/// Locks and waits that only macOS has, sorted. The mangled ones are libc++'s `std::mutex` and the
/// like.
pub(super) const MACH_LOCKS: &[&str] = &[
    "_ZNSt3__115recursive_mutex4lockEv",
    "_ZNSt3__115recursive_mutex6unlockEv",
    "_ZNSt3__115recursive_mutex8try_lockEv",
    "_ZNSt3__118condition_variable10notify_allEv",
    "_ZNSt3__118condition_variable10notify_oneEv",
    "_ZNSt3__118condition_variable15__do_timed_waitERNS_11unique_lockINS_5mutexEEENS_6chrono10time_pointINS5_12system_clockENS5_8durationIxNS_5ratioILl1ELl1000000000EEEEEEE",
    "_ZNSt3__118condition_variable4waitERNS_11unique_lockINS_5mutexEEE",
    "_ZNSt3__119__shared_mutex_base11lock_sharedEv",
    "_ZNSt3__119__shared_mutex_base13unlock_sharedEv",
    "_ZNSt3__119__shared_mutex_base15try_lock_sharedEv",
    "_ZNSt3__119__shared_mutex_base4lockEv",
    "_ZNSt3__119__shared_mutex_base6unlockEv",
    "_ZNSt3__119__shared_mutex_base8try_lockEv",
    "_ZNSt3__15mutex4lockEv",
    "_ZNSt3__15mutex6unlockEv",
    "_ZNSt3__15mutex8try_lockEv",
    "__ulock_wait",
    "__ulock_wait2",
    "__ulock_wake",
    "dispatch_async_and_wait",
    "dispatch_async_and_wait_f",
    "dispatch_barrier_async_and_wait",
    "dispatch_barrier_async_and_wait_f",
    "dispatch_barrier_sync",
    "dispatch_barrier_sync_f",
    "dispatch_group_wait",
    "dispatch_semaphore_signal",
    "os_unfair_lock_lock_with_options",
    "os_unfair_lock_trylock",
    "os_unfair_lock_unlock",
    "pthread_cond_timedwait_relative_np",
    "pthread_rwlock_tryrdlock",
    "pthread_rwlock_trywrlock",
    "semaphore_wait",
];

/// Metal's functions, sorted. Its methods are in `selectors.tsv`.
pub(super) const METAL: &[&str] = &[
    "MTLCopyAllDevices",
    "MTLCopyAllDevicesWithObserver",
    "MTLCreateSystemDefaultDevice",
];
