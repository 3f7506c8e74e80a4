//! What can be planted, and where.

/// A layer that an object poses as, from the program down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The program.
    App,
    /// As PyTorch would be.
    Framework,
    /// As cuBLAS would be.
    Library,
    /// As libcudart would be.
    Runtime,
    /// As libcuda would be: it serves `cuLaunchKernel` and its like.
    Driver,
}

impl Layer {
    /// All, from the program down.
    pub const ALL: [Layer; 5] = [
        Layer::App,
        Layer::Framework,
        Layer::Library,
        Layer::Runtime,
        Layer::Driver,
    ];

    /// Its name, as in a rules file.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::App => "app",
            Layer::Framework => "framework",
            Layer::Library => "library",
            Layer::Runtime => "runtime",
            Layer::Driver => "driver",
        }
    }

    /// The layer of that name.
    pub fn from_name(name: &str) -> Option<Layer> {
        Layer::ALL.into_iter().find(|layer| layer.name() == name)
    }

    /// Its place from the program down, from 0.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// File name of the object that poses as `layer`; `None`: as an allocator.
pub const fn object_name(layer: Option<Layer>) -> &'static str {
    match layer {
        Some(Layer::App) => "libplanted_app.so",
        Some(Layer::Framework) => "libplanted_framework.so",
        Some(Layer::Library) => "libplanted_library.so",
        Some(Layer::Runtime) => "libplanted_runtime.so",
        Some(Layer::Driver) => "libplanted_driver.so",
        None => "libplanted_alloc.so",
    }
}

/// Names that the object is copied to, in the host's folder.
pub const OBJECTS: [&str; 6] = [
    object_name(Some(Layer::App)),
    object_name(Some(Layer::Framework)),
    object_name(Some(Layer::Library)),
    object_name(Some(Layer::Runtime)),
    object_name(Some(Layer::Driver)),
    object_name(None),
];

/// A layers file that puts the objects into the layers that they pose as.
pub const RULES: &str = r#"# The planted programs of `narrows selftest`.
[[rule]]
layer = "app"
objects = ["planted-host", "libplanted_app.so"]

[[rule]]
layer = "framework"
objects = ["libplanted_framework.so"]

[[rule]]
layer = "library"
objects = ["libplanted_library.so"]

[[rule]]
layer = "runtime"
objects = ["libplanted_runtime.so"]

[[rule]]
layer = "driver"
objects = ["libplanted_driver.so"]

# An allocator works for whoever calls it.
[[rule]]
layer = "caller"
objects = ["libplanted_alloc.so"]
"#;

macro_rules! plants {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Plant {
            $($(#[$doc])* $variant,)*
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Plant] = &[$(Plant::$variant,)*];

            /// Its name on the command line and in tables.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Plant::$variant => $name,)*
                }
            }
        }
    };
}

plants! {
    /// A `pthread_mutex_t` around a section of every op.
    Mutex = "mutex",
    /// A `pthread_rwlock_t`: a short read, then a section under the write side.
    Rwlock = "rwlock",
    /// A global interpreter lock as CPython builds it, released around the way down.
    Gil = "gil",
    /// The same, kept while the device works.
    GilHeld = "gil-held",
    /// A lock made of a futex word and system calls.
    Futex = "futex",
    /// A lock that spins; no hook sees it.
    Spin = "spin",
    /// One worker thread does a part of every op; submitters wait for theirs.
    Worker = "worker",
    /// A submit that blocks while the queue in front of the one engine is full.
    BackPressure = "back-pressure",
    /// No lock: threads count in neighbouring words of one cache line.
    FalseSharing = "false-sharing",
    /// An allocator with one lock; the guilty layer calls it.
    Allocator = "allocator",
    /// Loading a module takes the lock that every launch needs for a moment.
    LazyLoad = "lazy-load",
    /// Two locks in two layers, one after the other, equally loaded.
    TwoLocks = "two-locks",
    /// One engine, always busy.
    Saturated = "saturated",
    /// Computing on more threads than there are cores.
    Cores = "cores",
    /// No bottleneck.
    Nothing = "nothing",
}

/// How long the parts of an op take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The planted section, on the host.
    pub hold_ns: u64,
    /// The device.
    pub device_ns: u64,
}

impl Plant {
    /// The plant of that name.
    pub fn from_name(name: &str) -> Option<Plant> {
        Plant::ALL
            .iter()
            .copied()
            .find(|plant| plant.name() == name)
    }

    /// Its number in [`crate::setup::Setup`].
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The plant of that number.
    pub fn from_number(number: u32) -> Option<Plant> {
        Plant::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The usual times: long against the kernel's wake-ups, short enough for thousands of ops.
    pub const fn timing(self) -> Timing {
        let (hold_us, device_us) = match self {
            Plant::BackPressure | Plant::Saturated => (200, 800),
            Plant::GilHeld => (600, 400),
            Plant::TwoLocks => (500, 200),
            Plant::Nothing => (400, 600),
            Plant::Cores => (800, 0),
            _ => (800, 200),
        };
        Timing {
            hold_ns: hold_us * 1000,
            device_ns: device_us * 1000,
        }
    }

    /// The layers that are guilty when `layer` is asked for: two for [`Plant::TwoLocks`], none for
    /// those that blame no layer of the program.
    pub fn guilty(self, layer: Layer) -> Vec<Layer> {
        match self {
            Plant::TwoLocks if layer == Layer::Driver => vec![Layer::Framework, Layer::Driver],
            Plant::TwoLocks => vec![layer, Layer::Driver],
            _ => vec![layer],
        }
    }

    /// Whether all threads' ops go to one engine of the device.
    pub const fn one_engine(self) -> bool {
        matches!(self, Plant::BackPressure | Plant::Saturated)
    }
}

#[cfg(test)]
mod tests {
    use super::{Layer, Plant};

    #[test]
    fn names_and_numbers_lead_back() {
        for &plant in Plant::ALL {
            assert_eq!(Plant::from_name(plant.name()), Some(plant));
            assert_eq!(Plant::from_number(plant.number()), Some(plant));
        }
        for layer in Layer::ALL {
            assert_eq!(Layer::from_name(layer.name()), Some(layer));
        }
        assert_eq!(Plant::from_name("lock"), None);
        assert_eq!(Plant::from_number(99), None);
    }

    #[test]
    fn two_locks_are_in_two_layers() {
        for layer in Layer::ALL {
            let guilty = Plant::TwoLocks.guilty(layer);
            assert_eq!(guilty.len(), 2);
            assert_ne!(guilty[0], guilty[1]);
            assert!(guilty.contains(&layer));
        }
    }
}
