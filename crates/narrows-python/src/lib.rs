//! `narrows._marks`: the marks of ops and regions for Python, in the stable ABI of CPython 3.9.
//!
//! The whole crate is about the cost of a mark when nobody traces: a call of a built-in function
//! that tests one pointer. So it is written against Python's C interface itself: wrappers that
//! unpack arguments and keep their own books cost more than the mark.
//!
//! Not here: what a mark does (`narrows-probe`, found through `narrows_trace::mark`), and the
//! Python side (`python/narrows`).

mod region;

use narrows_trace::mark::{OpMark, RegionMark};
use pyo3_ffi::{
    METH_NOARGS, METH_O, Py_None, Py_mod_exec, Py_ssize_t, PyMethodDef, PyMethodDefPointer,
    PyModule_AddIntConstant, PyModule_AddStringConstant, PyModuleDef, PyModuleDef_HEAD_INIT,
    PyModuleDef_Init, PyModuleDef_Slot, PyObject,
};
use region::{State, region};
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_long, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The probe's functions; empty when the program is not traced.
#[derive(Clone, Copy)]
struct Probe {
    op: Option<OpMark>,
    region: Option<RegionMark>,
}

static PROBE: OnceLock<Probe> = OnceLock::new();

fn probe() -> Probe {
    *PROBE.get_or_init(|| Probe {
        op: OpMark::find(),
        region: RegionMark::find(),
    })
}

/// A new reference to `None`.
fn none() -> *mut PyObject {
    // SAFETY: Python called us, so it is there.
    let none = unsafe { Py_None() };
    new_reference(none)
}

/// One more reference to an object that somebody holds.
fn new_reference(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: every caller has it from Python or from the module's state, with the GIL held.
    unsafe { pyo3_ffi::Py_INCREF(object) };
    object
}

const OP_DOC: &CStr = c"op()\n--\n\n\
The calling thread has completed one op. Its time counts from the thread's previous mark\n\
(the first one only begins to count). Does nothing when the program is not traced.";

const REGION_DOC: &CStr = c"region(name, /)\n--\n\n\
`with narrows.region(\"decode\"):` marks a part of the program for the calling thread. Regions\n\
nest, up to 8 deep, and end in the order they nest. Does nothing when the program is not traced.";

unsafe extern "C" fn op(_module: *mut PyObject, _none: *mut PyObject) -> *mut PyObject {
    if let Some(op) = probe().op {
        op.done();
    }
    none()
}

/// Tables that Python writes into: its reference counts, its own fields.
#[repr(transparent)]
struct Table<T>(UnsafeCell<T>);

// SAFETY: only Python uses what is inside, with the GIL held.
unsafe impl<T> Sync for Table<T> {}

static METHODS: Table<[PyMethodDef; 3]> = Table(UnsafeCell::new([
    PyMethodDef {
        ml_name: c"op".as_ptr(),
        ml_meth: PyMethodDefPointer { PyCFunction: op },
        ml_flags: METH_NOARGS,
        ml_doc: OP_DOC.as_ptr(),
    },
    PyMethodDef {
        ml_name: c"region".as_ptr(),
        ml_meth: PyMethodDefPointer {
            PyCFunction: region,
        },
        ml_flags: METH_O,
        ml_doc: REGION_DOC.as_ptr(),
    },
    PyMethodDef::zeroed(),
]));

static SLOTS: Table<[PyModuleDef_Slot; 2]> = Table(UnsafeCell::new([
    PyModuleDef_Slot {
        slot: Py_mod_exec,
        value: execute as *mut c_void,
    },
    PyModuleDef_Slot {
        slot: 0,
        value: ptr::null_mut(),
    },
]));

static MODULE: Table<PyModuleDef> = Table(UnsafeCell::new(PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"_marks".as_ptr(),
    m_doc: c"Marks of ops and regions; use them through `narrows`.".as_ptr(),
    m_size: size_of::<State>() as Py_ssize_t,
    m_methods: METHODS.0.get().cast(),
    m_slots: SLOTS.0.get().cast(),
    m_traverse: None,
    m_clear: None,
    m_free: Some(region::free),
}));

/// Fills a new module.
unsafe extern "C" fn execute(module: *mut PyObject) -> c_int {
    let traced = c_long::from(probe().op.is_some());
    // SAFETY: Python gives its own new module.
    let status = unsafe { PyModule_AddIntConstant(module, c"traced".as_ptr(), traced) };
    if status != 0 {
        return status;
    }
    let version = concat!(env!("CARGO_PKG_VERSION"), "\0");
    // SAFETY: as above; the text ends with a zero.
    let status =
        unsafe { PyModule_AddStringConstant(module, c"version".as_ptr(), version.as_ptr().cast()) };
    if status != 0 {
        return status;
    }
    region::prepare(module)
}

/// Python's way in.
///
/// # Safety
/// Called by Python's import alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit__marks() -> *mut PyObject {
    // SAFETY: the table lives as long as the library, which Python never unloads.
    unsafe { PyModuleDef_Init(MODULE.0.get()) }
}
