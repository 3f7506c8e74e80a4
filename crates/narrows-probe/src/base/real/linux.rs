//! Looked up behind this library.

use core::ffi::{CStr, c_void};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A function looked up on first use. `F` is its `unsafe extern "C-unwind" fn` type.
pub(crate) struct Real<F> {
    address: AtomicPtr<c_void>,
    name: &'static CStr,
    /// Symbol versions to try before the unversioned lookup.
    versions: &'static [&'static CStr],
    function: PhantomData<F>,
}

// SAFETY: holds an address and names; `F` is a function pointer type.
unsafe impl<F> Sync for Real<F> {}

impl<F: Copy> Real<F> {
    /// The default version of `name`.
    ///
    /// # Safety
    /// `F` is the function's type as an `extern` function pointer.
    pub(crate) const unsafe fn new(name: &'static CStr) -> Self {
        // SAFETY: passed on.
        unsafe { Self::versioned(name, &[]) }
    }

    /// The first of `versions` that exists, else the default version.
    ///
    /// # Safety
    /// `F` is the function's type as an `extern` function pointer.
    pub(crate) const unsafe fn versioned(
        name: &'static CStr,
        versions: &'static [&'static CStr],
    ) -> Self {
        assert!(size_of::<F>() == size_of::<*mut c_void>());
        Self {
            address: AtomicPtr::new(core::ptr::null_mut()),
            name,
            versions,
            function: PhantomData,
        }
    }

    /// The function, or `None` when this system lacks it.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<F> {
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            address = self.resolve();
            if address.is_null() {
                return None;
            }
        }
        // SAFETY: the constructor's caller says that `F` is a pointer to this function, and
        // `new` checked the size.
        Some(unsafe { core::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    /// The function, if it was looked up before.
    #[inline(always)]
    pub(crate) fn known(&self) -> Option<F> {
        let address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            return None;
        }
        // SAFETY: as in `get`.
        Some(unsafe { core::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    /// Looks the function up; used by [`Real::get`] and, for all functions at once, at the start.
    #[cold]
    #[inline(never)]
    pub(crate) fn resolve(&self) -> *mut c_void {
        let mut address = core::ptr::null_mut();
        for version in self.versions {
            // SAFETY: both names are C strings.
            address =
                unsafe { libc::dlvsym(libc::RTLD_NEXT, self.name.as_ptr(), version.as_ptr()) };
            if !address.is_null() {
                break;
            }
        }
        if address.is_null() {
            address = next(self.name);
        }
        self.address.store(address, Ordering::Relaxed);
        address
    }
}

type Dlsym = unsafe extern "C-unwind" fn(*mut c_void, *const libc::c_char) -> *mut c_void;

static DLSYM: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// The system's own `dlsym`, past any hook of it in this library. Null before the dynamic linker
/// can answer, which does not happen in practice.
pub(crate) fn system_dlsym() -> Option<Dlsym> {
    let mut address = DLSYM.load(Ordering::Relaxed);
    if address.is_null() {
        for version in [c"GLIBC_2.34", c"GLIBC_2.2.5", c"GLIBC_2.17"] {
            // SAFETY: both names are C strings.
            address = unsafe { libc::dlvsym(libc::RTLD_NEXT, c"dlsym".as_ptr(), version.as_ptr()) };
            if !address.is_null() {
                break;
            }
        }
        DLSYM.store(address, Ordering::Relaxed);
    }
    if address.is_null() {
        return None;
    }
    // SAFETY: the address is that of `dlsym`, which has this type.
    Some(unsafe { core::mem::transmute::<*mut c_void, Dlsym>(address) })
}

/// A definition of `name` anywhere in the process but in this library: in the global scope, else
/// in any loaded object, also one that was opened for its opener alone. Null: there is none.
pub(crate) fn anywhere(name: &CStr) -> *mut c_void {
    let found = next(name);
    if found.is_null() {
        crate::base::modules::find_symbol(name) as *mut c_void
    } else {
        found
    }
}

/// The next definition of `name` behind this library, or null.
pub(crate) fn next(name: &CStr) -> *mut c_void {
    match system_dlsym() {
        // SAFETY: `name` is a C string; the caller address that RTLD_NEXT needs is ours.
        Some(dlsym) => unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) },
        None => core::ptr::null_mut(),
    }
}
