//! Marks of ops from Rust: what `narrows_op` of `narrows-probe/include/narrows.h` is to C. The
//! function is there when the program runs under narrows, and not otherwise; nothing is linked.

use std::ffi::c_void;

/// The probe's `narrows_op`.
#[derive(Clone, Copy, Debug)]
pub struct OpMark(extern "C" fn());

impl OpMark {
    /// Looks it up; `None`: no probe in this process.
    pub fn find() -> Option<OpMark> {
        // SAFETY: a lookup by name in what is loaded; the name is a C string.
        let found: *mut c_void = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"narrows_op".as_ptr()) };
        if found.is_null() {
            return None;
        }
        // SAFETY: the header fixes the function's type: no argument, no result, safe to call from
        // any thread at any time.
        let op = unsafe { std::mem::transmute::<*mut c_void, extern "C" fn()>(found) };
        Some(OpMark(op))
    }

    /// The calling thread has completed one op.
    pub fn done(self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::OpMark;

    #[test]
    fn without_the_probe_there_is_no_mark() {
        assert!(OpMark::find().is_none());
    }
}
