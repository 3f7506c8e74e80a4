//! The context managers: one that does nothing, which every region is when nobody traces, and one
//! per name when somebody does. They hold no state but their name, so that threads and nested
//! `with`s share them.

use crate::{Table, new_reference, none, probe};
use pyo3_ffi::{
    METH_NOARGS, Py_DECREF, Py_TPFLAGS_DEFAULT, Py_TYPE, Py_XDECREF, Py_ssize_t, Py_tp_dealloc,
    Py_tp_doc, Py_tp_methods, PyBytes_AsString, PyCFunction_NewEx, PyDict_GetItemWithError,
    PyDict_New, PyDict_SetItem, PyDict_Size, PyErr_Format, PyErr_Occurred, PyExc_TypeError,
    PyMethodDef, PyMethodDefPointer, PyModule_GetState, PyObject, PyObject_Free,
    PyObject_SetAttrString, PyType_FromSpec, PyType_GenericAlloc, PyType_Slot, PyType_Spec,
    PyTypeObject, PyUnicode_AsEncodedString, PyUnicode_Check,
};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

/// Names whose context managers are kept. Programs that make up names have them made each time.
const KEPT: Py_ssize_t = 1024;

/// What a module keeps. All null until [`prepare`].
#[repr(C)]
pub(crate) struct State {
    /// The type of the context managers.
    kind: *mut PyObject,
    /// The one without a name.
    idle: *mut PyObject,
    /// `{name: context manager}`.
    kept: *mut PyObject,
}

/// A context manager as Python lays it out.
#[repr(C)]
struct Region {
    base: PyObject,
    /// `bytes`, or null: does nothing.
    name: *mut PyObject,
}

/// The module's state.
fn state(module: *mut PyObject) -> *mut State {
    // SAFETY: `module` is ours: Python passes it to its own functions.
    unsafe { PyModule_GetState(module) }.cast()
}

/// The module's state as it is now.
fn read(module: *mut PyObject) -> Option<State> {
    let state = state(module);
    if state.is_null() {
        return None;
    }
    // SAFETY: Python made it as large as `State`, zeroed; only `prepare` and `free` write.
    Some(unsafe { state.read() })
}

/// `region(name)`.
pub(crate) unsafe extern "C" fn region(
    module: *mut PyObject,
    name: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an argument is an object.
    if unsafe { PyUnicode_Check(name) } == 0 {
        return wrong_type(name);
    }
    let Some(state) = read(module) else {
        return ptr::null_mut();
    };
    if probe().region.is_none() {
        return new_reference(state.idle);
    }
    // SAFETY: both are objects, the first one a dictionary.
    let kept = unsafe { PyDict_GetItemWithError(state.kept, name) };
    if !kept.is_null() {
        return new_reference(kept);
    }
    // SAFETY: the GIL is held.
    if !unsafe { PyErr_Occurred() }.is_null() {
        return ptr::null_mut();
    }
    named(&state, name)
}

fn wrong_type(name: *mut PyObject) -> *mut PyObject {
    let words = c"narrows.region: the name has to be a str, not %R";
    // SAFETY: an argument is an object.
    let found = unsafe { Py_TYPE(name) };
    // SAFETY: a static of Python's.
    let exception = unsafe { PyExc_TypeError };
    // SAFETY: the format has one place, for an object.
    unsafe { PyErr_Format(exception, words.as_ptr(), found) }
}

/// Makes the context manager of a name, and keeps it while there is room.
fn named(state: &State, name: *mut PyObject) -> *mut PyObject {
    let (encoding, errors) = (c"utf-8", c"backslashreplace");
    // SAFETY: the name is a str.
    let bytes = unsafe { PyUnicode_AsEncodedString(name, encoding.as_ptr(), errors.as_ptr()) };
    if bytes.is_null() {
        return ptr::null_mut();
    }
    let made = make(state.kind);
    if made.is_null() {
        // SAFETY: our only reference.
        unsafe { Py_DECREF(bytes) };
        return made;
    }
    // SAFETY: `make` gave a whole `Region`, which owns the bytes from here on.
    unsafe { (*made.cast::<Region>()).name = bytes };
    // SAFETY: a dictionary.
    if unsafe { PyDict_Size(state.kept) } < KEPT {
        // SAFETY: a dictionary and two objects; it takes its own references.
        if unsafe { PyDict_SetItem(state.kept, name, made) } != 0 {
            // SAFETY: our only reference.
            unsafe { Py_DECREF(made) };
            return ptr::null_mut();
        }
    }
    made
}

fn make(kind: *mut PyObject) -> *mut PyObject {
    // SAFETY: the type that `prepare` made; the rest of the object is zeroed.
    unsafe { PyType_GenericAlloc(kind.cast::<PyTypeObject>(), 0) }
}

/// The name of a context manager; `None`: it does nothing.
///
/// # Safety
/// `this` is a [`Region`] that lives as long as `'a`.
unsafe fn name<'a>(this: *mut PyObject) -> Option<&'a CStr> {
    // SAFETY: a `Region`, says the caller.
    let name = unsafe { (*this.cast::<Region>()).name };
    if name.is_null() {
        return None;
    }
    // SAFETY: `bytes`, made by `named`.
    let text = unsafe { PyBytes_AsString(name) };
    // SAFETY: the text of `bytes` ends with a zero and never changes; a zero within cuts the name.
    Some(unsafe { CStr::from_ptr(text) })
}

unsafe extern "C" fn enter(this: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method gets an object of its type, held by the caller.
    if let (Some(mark), Some(name)) = (probe().region, unsafe { name(this) }) {
        mark.begin(name);
    }
    none()
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    _exception: *mut *mut PyObject,
    _count: Py_ssize_t,
) -> *mut PyObject {
    // SAFETY: as in `enter`.
    if let (Some(mark), Some(name)) = (probe().region, unsafe { name(this) }) {
        mark.end(name);
    }
    none()
}

unsafe extern "C" fn enter_idle(_this: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    none()
}

unsafe extern "C" fn exit_idle(
    _this: *mut PyObject,
    _exception: *mut *mut PyObject,
    _count: Py_ssize_t,
) -> *mut PyObject {
    none()
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    // SAFETY: Python calls this once, with an object of the type.
    let name = unsafe { (*this.cast::<Region>()).name };
    // SAFETY: as above.
    let kind = unsafe { Py_TYPE(this) };
    // SAFETY: the object owns its name; null is left alone.
    unsafe { Py_XDECREF(name) };
    // SAFETY: made by `PyType_GenericAlloc` of a type without garbage collection.
    unsafe { PyObject_Free(this.cast::<c_void>()) };
    // SAFETY: an object of a type made at run time holds a reference to it.
    unsafe { Py_DECREF(kind.cast::<PyObject>()) };
}

type Enter = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject;
type Exit = unsafe extern "C" fn(*mut PyObject, *mut *mut PyObject, Py_ssize_t) -> *mut PyObject;

/// Arguments as they lie on the interpreter's stack, without a tuple around them. In the stable
/// ABI since 3.10; 3.9, which will not change any more, has it with the same meaning.
const METH_FASTCALL: c_int = 0x0080;

/// `__enter__`, `__exit__`, end.
const fn methods(enter: Enter, exit: Exit) -> Table<[PyMethodDef; 3]> {
    // SAFETY: a slot for functions of all kinds; Python calls them as the flags say.
    let exit = unsafe { std::mem::transmute::<Exit, Enter>(exit) };
    Table(UnsafeCell::new([
        PyMethodDef {
            ml_name: c"__enter__".as_ptr(),
            ml_meth: PyMethodDefPointer { PyCFunction: enter },
            ml_flags: METH_NOARGS,
            ml_doc: ptr::null(),
        },
        PyMethodDef {
            ml_name: c"__exit__".as_ptr(),
            ml_meth: PyMethodDefPointer { PyCFunction: exit },
            ml_flags: METH_FASTCALL,
            ml_doc: ptr::null(),
        },
        PyMethodDef::zeroed(),
    ]))
}

static METHODS: Table<[PyMethodDef; 3]> = methods(enter, exit);
static IDLE_METHODS: Table<[PyMethodDef; 3]> = methods(enter_idle, exit_idle);

/// Makes the types, the context manager that does nothing and the empty table.
pub(crate) fn prepare(module: *mut PyObject) -> c_int {
    let state = state(module);
    if state.is_null() {
        return -1;
    }
    let kind = kind(c"narrows.Region", METHODS.0.get().cast());
    let idle = idle();
    // SAFETY: the GIL is held.
    let kept = unsafe { PyDict_New() };
    // SAFETY: the new module's state, as large as `State`; `free` releases what is in it.
    unsafe { state.write(State { kind, idle, kept }) };
    if kind.is_null() || idle.is_null() || kept.is_null() {
        -1
    } else {
        0
    }
}

/// A type of context managers. `methods` and `name` have to stay.
fn kind(name: &'static CStr, methods: *mut PyMethodDef) -> *mut PyObject {
    let doc = c"A named part of the program.";
    let slot = |slot, pfunc| PyType_Slot { slot, pfunc };
    let mut slots = [
        slot(Py_tp_dealloc, dealloc as *mut c_void),
        slot(Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(Py_tp_methods, methods.cast()),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = PyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<Region>() as c_int,
        itemsize: 0,
        flags: Py_TPFLAGS_DEFAULT as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: Python copies all but the methods and the name, which stay.
    unsafe { PyType_FromSpec(&raw mut spec) }
}

/// The context manager that does nothing. What its type calls are functions, not methods: Python
/// makes a bound method of a method for each call, of a function it does not.
fn idle() -> *mut PyObject {
    static NONE: Table<PyMethodDef> = Table(UnsafeCell::new(PyMethodDef::zeroed()));
    let kind = kind(c"narrows.IdleRegion", NONE.0.get());
    if kind.is_null() {
        return kind;
    }
    let methods = IDLE_METHODS.0.get().cast::<PyMethodDef>();
    for (at, name) in [c"__enter__", c"__exit__"].into_iter().enumerate() {
        if !add_function(kind, name, methods.wrapping_add(at)) {
            // SAFETY: our only reference.
            unsafe { Py_DECREF(kind) };
            return ptr::null_mut();
        }
    }
    let made = make(kind);
    // SAFETY: our own reference; the object holds another one.
    unsafe { Py_DECREF(kind) };
    made
}

fn add_function(kind: *mut PyObject, name: &CStr, method: *mut PyMethodDef) -> bool {
    // SAFETY: a row of a table that stays.
    let function = unsafe { PyCFunction_NewEx(method, ptr::null_mut(), ptr::null_mut()) };
    if function.is_null() {
        return false;
    }
    // SAFETY: a type and a function; it takes its own reference.
    let status = unsafe { PyObject_SetAttrString(kind, name.as_ptr(), function) };
    // SAFETY: our only reference.
    unsafe { Py_DECREF(function) };
    status == 0
}

/// Releases a module's state.
pub(crate) unsafe extern "C" fn free(module: *mut c_void) {
    let Some(state) = read(module.cast()) else {
        return;
    };
    for object in [state.kept, state.idle, state.kind] {
        // SAFETY: the module's own references; null is left alone.
        unsafe { Py_XDECREF(object) };
    }
}
