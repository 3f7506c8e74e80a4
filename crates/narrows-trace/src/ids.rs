//! Names for numbers: process, thread, call, lock, code address, object. No bare `u64` crosses a
//! module.
//!
//! Every enum here has a stable number on disk. A number that a reader does not know stays
//! readable as `Unknown`, so that a newer writer does not break an older reader.

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);
    };
}

newtype!(
    /// Process id, as the kernel numbers it in the process's own namespace.
    Pid(u32)
);
newtype!(
    /// Kernel thread id (`gettid`), reused by the kernel after the thread's end.
    Tid(u32)
);
newtype!(
    /// Number of a thread within its process's trace: counted up from 1, never reused.
    ThreadNo(u32)
);
newtype!(
    /// Address of a lock object (mutex, condition variable, semaphore, futex word).
    LockAddr(u64)
);
newtype!(
    /// Address of an instruction: a caller's return address, the base of a module.
    CodeAddr(u64)
);
newtype!(
    /// Handle that a call acts on: queue, stream, command buffer, file descriptor. 0: none.
    ObjectId(u64)
);

/// A registered call: an index into the process's call table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct CallId(pub u16);

impl CallId {
    /// Outside any call.
    pub const NONE: Self = Self(0);
    /// Stands for every call that did not fit into the call table.
    pub const OTHER: Self = Self(1);
    /// The unit of work that is counted (see [`crate::writer::ThreadHandle::op`]).
    pub const OP: Self = Self(2);
    /// First id that [`crate::writer::Writer::register_call`] gives.
    pub const FIRST: Self = Self(8);
    /// Ids are below this.
    pub const LIMIT: u16 = 2048;
}

macro_rules! stable_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A number from a newer writer.
            Unknown(u8),
        }

        impl $name {
            /// Every known value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on disk.
            #[inline]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// From the number on disk.
            pub const fn from_number(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// A short word for tables.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(_) => "unknown",
                }
            }
        }
    };
}

stable_enum!(
    /// Which interface a call belongs to.
    Api {
        /// Not one of the others.
        Other = 0 "other",
        /// CUDA driver.
        Cuda = 1 "cuda",
        /// Vulkan.
        Vulkan = 2 "vulkan",
        /// OpenCL.
        OpenCl = 3 "opencl",
        /// Metal.
        Metal = 4 "metal",
        /// Metal Performance Shaders.
        Mps = 5 "mps",
        /// The C library.
        Libc = 6 "libc",
        /// System calls.
        Kernel = 7 "kernel",
        /// The traced program's own marks.
        App = 8 "app",
        /// CUDA runtime.
        CudaRuntime = 9 "cudart",
        /// HIP or HSA.
        Hip = 10 "hip",
        /// Level Zero.
        LevelZero = 11 "level-zero",
    }
);

stable_enum!(
    /// What a call does.
    CallKind {
        /// Not one of the others.
        Other = 0 "other",
        /// Hands work to the device.
        Submit = 1 "submit",
        /// Blocks until the device has done something.
        Sync = 2 "sync",
        /// Asks without blocking.
        Query = 3 "query",
        /// Creates, records or destroys an event, fence or semaphore.
        Event = 4 "event",
        /// Creates or destroys a queue or stream.
        Queue = 5 "queue",
        /// Allocates or frees memory.
        Alloc = 6 "alloc",
        /// Copies or fills memory.
        Copy = 7 "copy",
        /// Maps or unmaps memory.
        Map = 8 "map",
        /// Builds or updates a graph.
        Graph = 9 "graph",
        /// Creates or switches a context or device.
        Context = 10 "context",
        /// Loads or compiles code.
        Module = 11 "module",
        /// Records commands.
        Encode = 12 "encode",
        /// Takes or releases a lock.
        Lock = 13 "lock",
        /// A system call.
        Kernel = 14 "kernel",
        /// Starts, joins or forks a thread or process.
        Thread = 15 "thread",
        /// A unit of work of the program.
        Op = 16 "op",
        /// A mark of the program.
        Mark = 17 "mark",
        /// Presents an image.
        Present = 18 "present",
    }
);

stable_enum!(
    /// What a thread waited on.
    WaitKind {
        /// Not one of the others.
        Other = 0 "other",
        /// `pthread_mutex_lock` and timed forms.
        Mutex = 1 "mutex",
        /// Read side of a reader-writer lock.
        RwRead = 2 "rwlock-read",
        /// Write side of a reader-writer lock.
        RwWrite = 3 "rwlock-write",
        /// Spin lock.
        Spin = 4 "spin",
        /// Condition variable, untimed.
        Condvar = 5 "condvar",
        /// Condition variable, timed.
        CondvarTimed = 6 "condvar-timed",
        /// Barrier.
        Barrier = 7 "barrier",
        /// Semaphore.
        Semaphore = 8 "semaphore",
        /// Thread join.
        Join = 9 "join",
        /// `syscall(SYS_futex)` with a wait operation.
        Futex = 10 "futex",
        /// `poll`, `select`, `epoll_wait`.
        Poll = 11 "poll",
        /// `ioctl` on a device file.
        Ioctl = 12 "ioctl",
        /// Python's global interpreter lock.
        Gil = 13 "gil",
        /// Sleeping on purpose.
        Sleep = 14 "sleep",
        /// Mach or Darwin unfair lock.
        UnfairLock = 15 "unfair-lock",
        /// Dispatch queue or semaphore.
        Dispatch = 16 "dispatch",
    }
);

stable_enum!(
    /// Why something was not recorded.
    Loss {
        /// Not one of the others.
        Other = 0 "other",
        /// No timeline chunk could be had: every chunk is held by another thread.
        NoChunk = 1 "no-chunk",
        /// The disk (or the file size limit) is full.
        DiskFull = 2 "disk-full",
        /// More threads than the trace has slots for.
        NoThreadSlot = 3 "no-thread-slot",
        /// The call table is full.
        CallTable = 4 "call-table",
        /// The log (names, modules, notes) is full.
        LogFull = 5 "log-full",
        /// A hook ran while the thread was already inside the recorder.
        Reentered = 6 "reentered",
        /// Seen before the recorder was ready or after it was off.
        NotReady = 7 "not-ready",
        /// A site or a lock did not fit its table; counted under "other".
        SiteTable = 8 "site-table",
        /// A GPU time that could not be read back.
        GpuTime = 9 "gpu-time",
        /// The timeline was switched off; statistics are complete.
        TimelineOff = 10 "timeline-off",
    }
);
