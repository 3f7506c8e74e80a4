//! How hooks and the functions behind them are declared.

/// Declares the real functions of a module and `resolve`, which looks them all up.
macro_rules! real {
    ($($(#[versions($($version:literal),+)])? $static:ident = $name:ident($($arg:ty),*) -> $ret:ty;)+) => {
        real_when_called! {
            $($(#[versions($($version),+)])? $static = $name($($arg),*) -> $ret;)+
        }

        /// Looks up every real function of this module.
        pub(crate) fn resolve() {
            $($crate::hooks::Resolve::resolve_now(&$static);)+
        }
    };
}

/// Declares real functions that need not be in the process: each is looked up when its hook is
/// first called, so it is there. A lookup that finds nothing allocates its message, and the start
/// may lie inside an allocator that holds its own lock (jemalloc's first `pthread_mutex_trylock`).
macro_rules! real_when_called {
    ($($(#[versions($($version:literal),+)])? $static:ident = $name:ident($($arg:ty),*) -> $ret:ty;)+) => {
        $(
            static $static: $crate::base::Real<unsafe extern "C-unwind" fn($($arg),*) -> $ret> =
                // SAFETY: the type is the one that the C library documents.
                unsafe {
                    $crate::base::Real::versioned(
                        match core::ffi::CStr::from_bytes_with_nul(
                            concat!(stringify!($name), "\0").as_bytes(),
                        ) {
                            Ok(name) => name,
                            Err(_) => c"",
                        },
                        &[$($($version),+)?],
                    )
                };
        )+
    };
}

/// Register of the first argument behind the given ones.
#[cfg(target_arch = "x86_64")]
macro_rules! next_argument {
    () => {
        "rdi"
    };
    ($a:ident) => {
        "rsi"
    };
    ($a:ident $b:ident) => {
        "rdx"
    };
    ($a:ident $b:ident $c:ident) => {
        "rcx"
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        "r8"
    };
    ($a:ident $b:ident $c:ident $d:ident $e:ident) => {
        "r9"
    };
}

/// Register of the first argument behind the given ones.
#[cfg(target_arch = "aarch64")]
macro_rules! next_argument {
    () => {
        "x0"
    };
    ($a:ident) => {
        "x1"
    };
    ($a:ident $b:ident) => {
        "x2"
    };
    ($a:ident $b:ident $c:ident) => {
        "x3"
    };
    ($a:ident $b:ident $c:ident $d:ident) => {
        "x4"
    };
    ($a:ident $b:ident $c:ident $d:ident $e:ident) => {
        "x5"
    };
}

/// Declares hooks: `fn name(arguments; site) -> type = body_function;` exports `name`, which
/// enters `body_function(arguments, site)`; `site` is the caller's return address.
macro_rules! hooks {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $body:path;)+) => {
        $(
            #[unsafe(naked)]
            #[cfg_attr(not(test), unsafe(no_mangle))]
            #[cfg_attr(test, allow(dead_code))]
            unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $ret {
                #[cfg(target_arch = "x86_64")]
                core::arch::naked_asm!(
                    concat!("mov ", next_argument!($($arg)*), ", qword ptr [rsp]"),
                    "jmp {body}",
                    body = sym $body,
                );
                #[cfg(target_arch = "aarch64")]
                core::arch::naked_asm!(
                    concat!("mov ", next_argument!($($arg)*), ", x30"),
                    "b {body}",
                    body = sym $body,
                );
            }
        )+
    };
}

/// Declares hooks that only look before they jump on to the real function, arguments and return
/// address untouched: `fn name = before_function;`, where the function gives the real one's
/// address and may look at the first arguments.
macro_rules! before {
    ($(fn $name:ident = $before:path;)+) => {
        $(
            #[unsafe(naked)]
            #[cfg_attr(not(test), unsafe(no_mangle))]
            #[cfg_attr(test, allow(dead_code))]
            #[allow(non_snake_case)] // the C library's names
            unsafe extern "C-unwind" fn $name() {
                #[cfg(target_arch = "x86_64")]
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    "push rdi",
                    ".cfi_adjust_cfa_offset 8",
                    "push rsi",
                    ".cfi_adjust_cfa_offset 8",
                    "push rdx",
                    ".cfi_adjust_cfa_offset 8",
                    "push rcx",
                    ".cfi_adjust_cfa_offset 8",
                    "push r8",
                    ".cfi_adjust_cfa_offset 8",
                    "push r9",
                    ".cfi_adjust_cfa_offset 8",
                    "push rax",
                    ".cfi_adjust_cfa_offset 8",
                    "call {before}",
                    "mov r11, rax",
                    "pop rax",
                    ".cfi_adjust_cfa_offset -8",
                    "pop r9",
                    ".cfi_adjust_cfa_offset -8",
                    "pop r8",
                    ".cfi_adjust_cfa_offset -8",
                    "pop rcx",
                    ".cfi_adjust_cfa_offset -8",
                    "pop rdx",
                    ".cfi_adjust_cfa_offset -8",
                    "pop rsi",
                    ".cfi_adjust_cfa_offset -8",
                    "pop rdi",
                    ".cfi_adjust_cfa_offset -8",
                    "test r11, r11",
                    "jz 2f",
                    "jmp r11",
                    "2:",
                    "xor eax, eax",
                    "ret",
                    ".cfi_endproc",
                    before = sym $before,
                );
                #[cfg(target_arch = "aarch64")]
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    "stp x29, x30, [sp, #-80]!",
                    ".cfi_adjust_cfa_offset 80",
                    ".cfi_rel_offset x29, 0",
                    ".cfi_rel_offset x30, 8",
                    "stp x0, x1, [sp, #16]",
                    "stp x2, x3, [sp, #32]",
                    "stp x4, x5, [sp, #48]",
                    "stp x6, x7, [sp, #64]",
                    "bl {before}",
                    "mov x16, x0",
                    "ldp x0, x1, [sp, #16]",
                    "ldp x2, x3, [sp, #32]",
                    "ldp x4, x5, [sp, #48]",
                    "ldp x6, x7, [sp, #64]",
                    "ldp x29, x30, [sp], #80",
                    ".cfi_adjust_cfa_offset -80",
                    ".cfi_restore x29",
                    ".cfi_restore x30",
                    "cbz x16, 2f",
                    "br x16",
                    "2:",
                    "mov x0, #0",
                    "ret",
                    ".cfi_endproc",
                    before = sym $before,
                );
            }
        )+
    };
}
