//! The Objective-C runtime of this process, looked up by name: nothing here is linked with it, and
//! a process without one is none the worse.

use core::ffi::{CStr, c_char, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// An object.
pub(crate) type Id = *mut c_void;
/// A class.
pub(crate) type Class = *mut c_void;
/// A selector.
pub(crate) type Sel = *mut c_void;
/// A method of a class.
pub(crate) type Method = *mut c_void;
/// A method's code.
pub(crate) type Imp = *const ();

macro_rules! functions {
    ($($static:ident = $name:literal, $function:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)?;)+) => {
        $(
            static $static: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

            /// The runtime's function of this name.
            ///
            /// # Safety
            /// [`ready`] said yes, and the arguments are ones that the runtime takes.
            pub(crate) unsafe fn $function($($arg: $type),*) $(-> $ret)? {
                type Function = unsafe extern "C-unwind" fn($($type),*) $(-> $ret)?;
                let address = $static.load(Ordering::Relaxed);
                // SAFETY: `ready` stored the function of this name, which has this type.
                let function = unsafe { transmute::<*mut c_void, Function>(address) };
                // SAFETY: passed on.
                unsafe { function($($arg),*) }
            }
        )+

        /// Looks all of them up; false if one is missing.
        fn resolve() -> bool {
            $(
                let address = crate::base::real::anywhere($name);
                if address.is_null() {
                    return false;
                }
                $static.store(address, Ordering::Relaxed);
            )+
            true
        }
    };
}

functions! {
    SEL_REGISTER_NAME = c"sel_registerName", sel_register_name(name: *const c_char) -> Sel;
    LOOK_UP_CLASS = c"objc_lookUpClass", look_up_class(name: *const c_char) -> Class;
    GET_SUPERCLASS = c"class_getSuperclass", get_superclass(class: Class) -> Class;
    GET_INSTANCE_METHOD = c"class_getInstanceMethod",
        get_instance_method(class: Class, selector: Sel) -> Method;
    GET_CLASS_METHOD = c"class_getClassMethod",
        get_class_method(class: Class, selector: Sel) -> Method;
    GET_IMPLEMENTATION = c"method_getImplementation",
        method_implementation(method: Method) -> Imp;
    GET_TYPE_ENCODING = c"method_getTypeEncoding",
        method_encoding(method: Method) -> *const c_char;
    ADD_METHOD = c"class_addMethod",
        add_method(class: Class, selector: Sel, imp: Imp, types: *const c_char) -> u8;
    REPLACE_METHOD = c"class_replaceMethod",
        replace_method(class: Class, selector: Sel, imp: Imp, types: *const c_char) -> Imp;
    METHOD_OF_CLASS = c"class_getMethodImplementation",
        class_implementation(class: Class, selector: Sel) -> Imp;
}

/// `object_getClass`, which GNU's runtime has only as an inline function.
static OBJECT_GET_CLASS: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
static READY: AtomicBool = AtomicBool::new(false);

/// Whether the process has an Objective-C runtime with all that is needed.
pub(crate) fn ready() -> bool {
    if READY.load(Ordering::Acquire) {
        return true;
    }
    if !resolve() {
        return false;
    }
    let address = crate::base::real::anywhere(c"object_getClass");
    OBJECT_GET_CLASS.store(address, Ordering::Relaxed);
    READY.store(true, Ordering::Release);
    true
}

/// The class of an object.
///
/// # Safety
/// [`ready`] said yes; `object` is an object.
#[inline(always)]
pub(crate) unsafe fn class_of(object: Id) -> Class {
    type Function = unsafe extern "C-unwind" fn(Id) -> Class;
    let address = OBJECT_GET_CLASS.load(Ordering::Relaxed);
    if address.is_null() {
        // SAFETY: GNU's objects begin with their class.
        return unsafe { object.cast::<Class>().read() };
    }
    // SAFETY: the runtime's function, which has this type.
    let function = unsafe { transmute::<*mut c_void, Function>(address) };
    // SAFETY: an object, says the caller.
    unsafe { function(object) }
}

/// A selector that is looked up on first use.
pub(crate) struct Selector {
    name: &'static CStr,
    known: AtomicPtr<c_void>,
}

impl Selector {
    /// Of this name.
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            known: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The selector; null before the runtime is ready.
    pub(crate) fn get(&self) -> Sel {
        let mut known = self.known.load(Ordering::Relaxed);
        if known.is_null() && ready() {
            // SAFETY: the runtime is ready; a C string.
            known = unsafe { sel_register_name(self.name.as_ptr()) };
            self.known.store(known, Ordering::Relaxed);
        }
        known
    }

    /// The code that `object` runs for this message; `None`: it does not understand it.
    ///
    /// # Safety
    /// `object` is an object.
    unsafe fn code(&self, object: Id) -> Option<(Imp, Sel)> {
        let selector = self.get();
        if selector.is_null() || object.is_null() {
            return None;
        }
        // SAFETY: an object, and the runtime is ready.
        let class = unsafe { class_of(object) };
        // SAFETY: a class and a selector.
        if unsafe { get_instance_method(class, selector) }.is_null() {
            return None;
        }
        // SAFETY: as above.
        Some((unsafe { class_implementation(class, selector) }, selector))
    }

    /// Sends a message without arguments whose answer is an object, pointer or integer.
    ///
    /// # Safety
    /// `object` is null or an object whose method of this name has that form.
    pub(crate) unsafe fn word(&self, object: Id) -> Option<usize> {
        // SAFETY: passed on.
        let (code, selector) = unsafe { self.code(object) }?;
        // SAFETY: the method has this form, says the caller.
        let code = unsafe { transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel) -> usize>(code) };
        // SAFETY: as above.
        Some(unsafe { code(object, selector) })
    }

    /// Sends a message without arguments whose answer is a double.
    ///
    /// # Safety
    /// `object` is null or an object whose method of this name has that form.
    pub(crate) unsafe fn double(&self, object: Id) -> Option<f64> {
        // SAFETY: passed on.
        let (code, selector) = unsafe { self.code(object) }?;
        // SAFETY: the method has this form, says the caller.
        let code = unsafe { transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel) -> f64>(code) };
        // SAFETY: as above.
        Some(unsafe { code(object, selector) })
    }

    /// Sends a message with one argument, an integer or a pointer.
    ///
    /// # Safety
    /// `object` is null or an object whose method of this name has that form.
    pub(crate) unsafe fn with(&self, object: Id, argument: usize) -> Option<usize> {
        // SAFETY: passed on.
        let (code, selector) = unsafe { self.code(object) }?;
        // SAFETY: the method has this form, says the caller.
        let code =
            unsafe { transmute::<Imp, unsafe extern "C-unwind" fn(Id, Sel, usize) -> usize>(code) };
        // SAFETY: as above.
        Some(unsafe { code(object, selector, argument) })
    }
}
