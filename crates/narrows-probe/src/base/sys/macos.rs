//! macOS has no stable system calls: the same through the C library, whose calls from this library
//! are never interposed.

/// The kernel's number of the calling thread. It has 64 bits and counts up from the start of the
/// machine; the lower 32 tell threads apart.
pub(crate) fn gettid() -> u32 {
    let mut number = 0;
    // SAFETY: 0 means the calling thread; `number` is writable.
    unsafe { libc::pthread_threadid_np(0, &raw mut number) };
    number as u32
}

/// The process id.
pub(crate) fn getpid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// Prints to standard error, as far as it takes it.
pub(crate) fn print(mut text: &[u8]) {
    while !text.is_empty() {
        // SAFETY: the text has the length that is given.
        let count = unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => text = text.get(count..).unwrap_or(&[]),
            _ => return,
        }
    }
}
