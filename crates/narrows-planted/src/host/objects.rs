//! Loads the objects from the driver up, and tells each what it is.

use super::arguments::Arguments;
use narrows_planted::setup::{
    ALLOCATE, AllocateFn, CALL, CallFn, Driver, FINISH, FinishFn, SETUP, Setup, SetupFn, SpanFn,
};
use narrows_planted::{Layer, object_name};
use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;

/// What the threads call.
pub(crate) struct Program {
    /// The topmost object's work function.
    pub(crate) top: CallFn,
    /// Every layer's function for the end of a thread.
    pub(crate) finish: Vec<FinishFn>,
    /// The probe's mark of a finished op, if there is a probe.
    pub(crate) mark: Option<unsafe extern "C" fn()>,
}

/// Reads a symbol as a function.
///
/// # Safety
/// The symbol is a function of type `$type`.
macro_rules! function {
    ($object:expr, $name:expr, $type:ty) => {
        symbol($object, $name).map(|found| {
            // SAFETY: the object is a copy of this crate's, whose functions have these types.
            unsafe { std::mem::transmute::<*mut c_void, $type>(found) }
        })
    };
}

/// Loads all objects.
pub(crate) fn load(arguments: &Arguments) -> Result<Program, String> {
    let guilty = arguments.plant.guilty(arguments.layer);
    let allocator = open(arguments, None)?;
    let allocate = function!(allocator, ALLOCATE, AllocateFn)?;
    set_up(
        allocator,
        arguments,
        Setup {
            allocate: None,
            ..setup(arguments, None, &guilty)
        },
    )?;

    let (mut next, mut driver, mut finish) = (None, None, Vec::new());
    for layer in Layer::ALL.into_iter().rev() {
        let object = open(arguments, Some(layer))?;
        let mut settings = setup(arguments, Some(layer), &guilty);
        settings.allocate = Some(allocate);
        match layer {
            Layer::Driver => driver = Some(driver_of(object)?),
            Layer::Runtime => settings.driver = driver,
            _ => settings.next = next,
        }
        set_up(object, arguments, settings)?;
        next = Some(function!(object, CALL, CallFn)?);
        finish.push(function!(object, FINISH, FinishFn)?);
    }
    let top = next.ok_or("no objects")?;
    Ok(Program {
        top,
        finish,
        mark: mark(),
    })
}

fn setup(arguments: &Arguments, layer: Option<Layer>, guilty: &[Layer]) -> Setup {
    let here = layer.is_some_and(|layer| guilty.contains(&layer));
    Setup {
        layer: layer.map_or(u32::MAX, Layer::number),
        guilty: here.into(),
        plant: arguments.plant.number(),
        threads: arguments.threads,
        removed: arguments.removed.into(),
        hold_ns: arguments.timing.hold_ns,
        device_ns: arguments.timing.device_ns,
        next: None,
        driver: None,
        allocate: None,
        span: function!(libc::RTLD_DEFAULT, c"narrows_gpu_span", SpanFn).ok(),
    }
}

fn driver_of(object: *mut c_void) -> Result<Driver, String> {
    use narrows_planted::setup::{LoadFn, SynchronizeFn};
    Ok(Driver {
        launch: function!(object, c"cuLaunchKernel", narrows_planted::setup::LaunchFn)?,
        synchronize: function!(object, c"cuStreamSynchronize", SynchronizeFn)?,
        load: function!(object, c"cuModuleLoadData", LoadFn)?,
    })
}

fn open(arguments: &Arguments, layer: Option<Layer>) -> Result<*mut c_void, String> {
    let path = arguments.objects.join(object_name(layer));
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the object's constructors are the Rust library's own.
    let object = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if object.is_null() {
        Err(format!("{}: {}", path.display(), why()))
    } else {
        Ok(object)
    }
}

fn symbol(object: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
    // SAFETY: the handle is open, or one of the linker's own.
    let found = unsafe { libc::dlsym(object, name.as_ptr()) };
    if found.is_null() {
        Err(format!("{}: {}", name.to_string_lossy(), why()))
    } else {
        Ok(found)
    }
}

fn why() -> String {
    // SAFETY: gives null or a string that stays until the next call of its kind by this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "not found".into();
    }
    // SAFETY: not null, so a C string.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn set_up(object: *mut c_void, arguments: &Arguments, setup: Setup) -> Result<(), String> {
    let function = function!(object, SETUP, SetupFn)?;
    // SAFETY: the settings are whole and the objects are never closed.
    match unsafe { function(&setup) } {
        0 => Ok(()),
        status => Err(format!(
            "set-up of {} failed: {status}",
            arguments.plant.name()
        )),
    }
}

/// The probe's mark. Weak: it is there or not.
fn mark() -> Option<unsafe extern "C" fn()> {
    function!(libc::RTLD_DEFAULT, c"narrows_op", unsafe extern "C" fn()).ok()
}
