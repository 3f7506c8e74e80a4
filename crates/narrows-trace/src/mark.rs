//! Marks from Rust: what `narrows_op` and `narrows_region_begin` of
//! `narrows-probe/include/narrows.h` are to C. The functions are there when the program runs under
//! narrows, and not otherwise; nothing is linked.
//!
//! ```
//! use narrows_trace::mark::{OpMark, RegionMark};
//!
//! let (op, region) = (OpMark::find(), RegionMark::find()); // once: None without narrows
//! for _ in 0..3 {
//!     if let Some(region) = region {
//!         region.begin(c"decode");
//!     }
//!     // ... the work ...
//!     if let Some(region) = region {
//!         region.end(c"decode");
//!     }
//!     if let Some(op) = op {
//!         op.done();
//!     }
//! }
//! ```

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

/// The probe's `narrows_op`.
#[derive(Clone, Copy, Debug)]
pub struct OpMark(extern "C" fn());

impl OpMark {
    /// Looks it up; `None`: no probe in this process.
    pub fn find() -> Option<OpMark> {
        let found = lookup(c"narrows_op")?;
        // SAFETY: the header fixes the function's type: no argument, no result, safe to call from
        // any thread at any time.
        let op = unsafe { std::mem::transmute::<NonNull<c_void>, extern "C" fn()>(found) };
        Some(OpMark(op))
    }

    /// The calling thread has completed one op.
    #[inline]
    pub fn done(self) {
        (self.0)();
    }
}

/// The type of the probe's functions around a region.
type Edge = unsafe extern "C" fn(*const c_char);

/// The probe's `narrows_region_begin` and `narrows_region_end`: a named part of the program, per
/// thread. Regions nest, up to 8 deep; they end in the order they nest.
#[derive(Clone, Copy, Debug)]
pub struct RegionMark {
    begin: Edge,
    end: Edge,
}

impl RegionMark {
    /// Looks them up; `None`: no probe in this process.
    pub fn find() -> Option<RegionMark> {
        let (begin, end) = (
            lookup(c"narrows_region_begin")?,
            lookup(c"narrows_region_end")?,
        );
        // SAFETY: the header fixes the type of both.
        let begin = unsafe { std::mem::transmute::<NonNull<c_void>, Edge>(begin) };
        // SAFETY: as above.
        let end = unsafe { std::mem::transmute::<NonNull<c_void>, Edge>(end) };
        Some(RegionMark { begin, end })
    }

    /// The calling thread enters the region `name`.
    #[inline]
    pub fn begin(self, name: &CStr) {
        // SAFETY: a C string, and the probe copies what it keeps of it.
        unsafe { (self.begin)(name.as_ptr()) };
    }

    /// The calling thread leaves the region it entered last; `name` is for the reader of the code.
    #[inline]
    pub fn end(self, name: &CStr) {
        // SAFETY: as in `begin`.
        unsafe { (self.end)(name.as_ptr()) };
    }
}

fn lookup(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: a lookup by name in what is loaded; the name is a C string.
    let found: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    NonNull::new(found)
}

#[cfg(test)]
mod tests {
    use super::{OpMark, RegionMark};

    #[test]
    fn without_the_probe_there_is_no_mark() {
        assert!(OpMark::find().is_none());
        assert!(RegionMark::find().is_none());
    }
}
