//! `dlsym`, hooked: names of the driver API (and of CUPTI, see `times`) get a wrapped answer, everything else goes to the
//! system's function by a jump, so that it sees the caller's return address (`RTLD_NEXT` and
//! `RTLD_DEFAULT` depend on it).
//!
//! The exported symbol itself is one jump, so that a test binary or a program that contains this
//! crate keeps the system's `dlsym`.

use super::{Way, rule, times, wrap};
use crate::base::Inside;
use crate::base::real::system_dlsym;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

/// The system's `dlsym`; null until [`resolve`] has run.
static SYSTEM: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Finds the system's `dlsym` for the assembly below.
extern "C-unwind" fn resolve() -> *mut c_void {
    let found = system_dlsym().map_or(null_mut(), |function| function as *mut c_void);
    SYSTEM.store(found, Ordering::Relaxed);
    found
}

/// An object may have been opened since the last call.
extern "C-unwind" fn changed() {
    let _inside = Inside::enter();
    super::modules_changed();
}

/// The wrapped answer to a name that looks like the driver API's, or null: ask the system.
///
/// # Safety
/// The arguments are those of `dlsym`, with a name.
unsafe extern "C-unwind" fn look_up(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: as promised.
    let text = unsafe { CStr::from_ptr(name) };
    let rule = rule(text);
    if rule.is_none() && !text.to_bytes().starts_with(b"cupti") {
        return null_mut();
    }
    let Some(dlsym) = system_dlsym() else {
        return null_mut();
    };
    let _inside = Inside::enter();
    // SAFETY: as promised. With RTLD_DEFAULT this asks for the global scope only; what only the
    // caller's own scope has is then answered by the jump, unwrapped.
    let real = unsafe { dlsym(handle, name) };
    let real = real.cast_const().cast();
    let answer = match rule {
        Some(rule) => wrap(real, rule, Way::Name),
        None => times::guarded(text, real).unwrap_or(real),
    };
    answer.cast_mut().cast()
}

/// The object and the exported name behind an address, as far as the dynamic linker knows them.
pub(super) fn origin(address: *const ()) -> (Option<&'static CStr>, Option<&'static CStr>) {
    let mut info = libc::Dl_info {
        dli_fname: null(),
        dli_fbase: null_mut(),
        dli_sname: null(),
        dli_saddr: null_mut(),
    };
    // SAFETY: any address may be asked about; `info` is ours.
    if unsafe { libc::dladdr(address.cast(), &mut info) } == 0 {
        return (None, None);
    }
    let text = |text: *const c_char| {
        // SAFETY: the dynamic linker's strings live as long as the object, which is the driver
        // that the caller has just been given a function of.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
    };
    let exact = core::ptr::addr_eq(info.dli_saddr, address);
    (
        text(info.dli_fname),
        exact.then_some(info.dli_sname).and_then(text),
    )
}

unsafe extern "C-unwind" {
    /// The hook, in assembly below.
    fn narrows_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The exported symbol: see the module's words.
#[unsafe(naked)]
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C-unwind" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("jmp {hook}", hook = sym narrows_dlsym);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("b {hook}", hook = sym narrows_dlsym);
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".text",
    ".p2align 4",
    ".hidden narrows_dlsym",
    ".globl narrows_dlsym",
    ".type narrows_dlsym, @function",
    "narrows_dlsym:",
    ".cfi_startproc",
    "endbr64",
    "cmpb $0, {maybe}(%rip)",
    "jne 5f",
    "1:",
    "testq %rsi, %rsi",
    "je 2f",
    "cmpq $-1, %rdi", // RTLD_NEXT
    "je 2f",
    "cmpb $0x63, (%rsi)", // 'c'
    "jne 2f",
    "cmpb $0x75, 1(%rsi)", // 'u'
    "jne 2f",
    "movzbl 2(%rsi), %eax",
    "cmpl $0x70, %eax", // 'p'
    "je 6f",
    "subl $0x41, %eax", // 'A' to 'Z'
    "cmpl $25, %eax",
    "ja 2f",
    "6:",
    "pushq %rdi",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rsi",
    ".cfi_adjust_cfa_offset 8",
    "subq $8, %rsp",
    ".cfi_adjust_cfa_offset 8",
    "call {look_up}",
    "addq $8, %rsp",
    ".cfi_adjust_cfa_offset -8",
    "popq %rsi",
    ".cfi_adjust_cfa_offset -8",
    "popq %rdi",
    ".cfi_adjust_cfa_offset -8",
    "testq %rax, %rax",
    "je 2f",
    "ret",
    "2:",
    "movq {system}(%rip), %rax",
    "testq %rax, %rax",
    "je 3f",
    "jmp *%rax",
    "3:",
    "pushq %rdi",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rsi",
    ".cfi_adjust_cfa_offset 8",
    "subq $8, %rsp",
    ".cfi_adjust_cfa_offset 8",
    "call {resolve}",
    "addq $8, %rsp",
    ".cfi_adjust_cfa_offset -8",
    "popq %rsi",
    ".cfi_adjust_cfa_offset -8",
    "popq %rdi",
    ".cfi_adjust_cfa_offset -8",
    "testq %rax, %rax",
    "je 4f",
    "jmp *%rax",
    "4:",
    "ret",
    "5:",
    "pushq %rdi",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rsi",
    ".cfi_adjust_cfa_offset 8",
    "subq $8, %rsp",
    ".cfi_adjust_cfa_offset 8",
    "call {changed}",
    "addq $8, %rsp",
    ".cfi_adjust_cfa_offset -8",
    "popq %rsi",
    ".cfi_adjust_cfa_offset -8",
    "popq %rdi",
    ".cfi_adjust_cfa_offset -8",
    "jmp 1b",
    ".cfi_endproc",
    ".size narrows_dlsym, . - narrows_dlsym",
    look_up = sym look_up,
    resolve = sym resolve,
    system = sym SYSTEM,
    maybe = sym super::direct::MAYBE,
    changed = sym changed,
    options(att_syntax),
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".text",
    ".p2align 4",
    ".hidden narrows_dlsym",
    ".globl narrows_dlsym",
    ".type narrows_dlsym, %function",
    "narrows_dlsym:",
    ".cfi_startproc",
    "hint #34",
    "adrp x2, {maybe}",
    "ldrb w2, [x2, :lo12:{maybe}]",
    "cbnz w2, 5f",
    "1:",
    "cbz x1, 2f",
    "cmn x0, #1", // RTLD_NEXT
    "b.eq 2f",
    "ldrb w2, [x1]",
    "cmp w2, #0x63", // 'c'
    "b.ne 2f",
    "ldrb w2, [x1, #1]",
    "cmp w2, #0x75", // 'u'
    "b.ne 2f",
    "ldrb w2, [x1, #2]",
    "cmp w2, #0x70", // 'p'
    "b.eq 6f",
    "sub w2, w2, #0x41", // 'A' to 'Z'
    "cmp w2, #25",
    "b.hi 2f",
    "6:",
    "stp x29, x30, [sp, #-32]!",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset x29, -32",
    ".cfi_offset x30, -24",
    "mov x29, sp",
    "stp x0, x1, [sp, #16]",
    "bl {look_up}",
    "mov x2, x0",
    "ldp x0, x1, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "cbz x2, 2f",
    "mov x0, x2",
    "ret",
    "2:",
    "adrp x16, {system}",
    "ldr x16, [x16, :lo12:{system}]",
    "cbz x16, 3f",
    "br x16",
    "3:",
    "stp x29, x30, [sp, #-32]!",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset x29, -32",
    ".cfi_offset x30, -24",
    "mov x29, sp",
    "stp x0, x1, [sp, #16]",
    "bl {resolve}",
    "mov x16, x0",
    "ldp x0, x1, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "cbz x16, 4f",
    "br x16",
    "4:",
    "mov x0, #0",
    "ret",
    "5:",
    "stp x29, x30, [sp, #-32]!",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset x29, -32",
    ".cfi_offset x30, -24",
    "mov x29, sp",
    "stp x0, x1, [sp, #16]",
    "bl {changed}",
    "ldp x0, x1, [sp, #16]",
    "ldp x29, x30, [sp], #32",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "b 1b",
    ".cfi_endproc",
    ".size narrows_dlsym, . - narrows_dlsym",
    look_up = sym look_up,
    resolve = sym resolve,
    system = sym SYSTEM,
    maybe = sym super::direct::MAYBE,
    changed = sym changed,
);

#[cfg(test)]
mod tests {
    use super::narrows_dlsym;
    use core::ffi::c_void;
    use core::ptr::null_mut;

    fn ask(handle: *mut c_void, name: &core::ffi::CStr) -> *mut c_void {
        // SAFETY: a handle that `dlsym` takes, and a C string.
        unsafe { narrows_dlsym(handle, name.as_ptr()) }
    }

    #[test]
    fn other_names_get_the_systems_answer() {
        let handle = libc::RTLD_DEFAULT;
        for name in [
            c"strlen",
            c"curl_easy_init",
            c"cuserid",
            c"c",
            c"",
            c"cu",
            c"cuInit",
        ] {
            // SAFETY: as above.
            let system = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert_eq!(ask(handle, name), system, "{name:?}");
        }
        assert!(!ask(handle, c"strlen").is_null());
    }

    #[test]
    fn a_machine_without_the_driver_has_no_driver_function() {
        assert!(ask(libc::RTLD_DEFAULT, c"cuInit").is_null());
        assert!(ask(null_mut(), c"cuGetProcAddress_v2").is_null());
        // SAFETY: takes no arguments.
        let message = unsafe { libc::dlerror() };
        assert!(!message.is_null(), "the system's message is there");
    }

    #[test]
    fn the_next_definition_is_the_callers() {
        // The jump keeps the return address, or this would be the next object behind the library.
        assert!(!ask(libc::RTLD_NEXT, c"malloc").is_null());
    }
}
