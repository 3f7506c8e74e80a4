//! The AArch64 stubs (AAPCS64 and Apple's form of it). Not kept: scalable vector registers.

use super::super::call::{called, called_with};
use super::Words;

/// Integer argument registers of this processor.
pub(in crate::metal) const REGISTERS: usize = 8;

/// What a stub saves; the assembly below writes it by offset.
#[repr(C)]
pub(in crate::metal) struct Frame {
    /// Integer argument registers (0).
    pub(in crate::metal) ints: [u64; 8],
    /// Vector argument registers (64).
    vectors: [[u8; 16]; 8],
    /// Index of the stub (192).
    pub(in crate::metal) slot: u64,
    /// The first stack argument (200).
    stack: *const u64,
    /// Where a large result goes: `x8` at entry (208).
    x8: u64,
    /// Padding (216).
    _padding: u64,
    /// Integer results (224, 232).
    pub(in crate::metal) result: Words,
    /// Vector results (240 to 288).
    result_vectors: [[u8; 16]; 4],
}

const _: () = {
    assert!(size_of::<Frame>() == 304);
    assert!(core::mem::offset_of!(Frame, slot) == 192);
    assert!(core::mem::offset_of!(Frame, stack) == 200);
    assert!(core::mem::offset_of!(Frame, result) == 224);
};

/// The stubs, one behind the other: bti c, movz, b, nop.
#[unsafe(naked)]
pub(super) unsafe extern "C-unwind" fn stubs() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        ".set narrows_metal_index, 0",
        ".rept {registers}",
        "hint #34",
        "movz w17, #narrows_metal_index",
        "b {registers_body}",
        "nop",
        ".set narrows_metal_index, narrows_metal_index + 1",
        ".endr",
        ".rept {stack}",
        "hint #34",
        "movz w17, #narrows_metal_index",
        "b {stack_body}",
        "nop",
        ".set narrows_metal_index, narrows_metal_index + 1",
        ".endr",
        ".rept {any}",
        "hint #34",
        "movz w17, #narrows_metal_index",
        "b {any_body}",
        "nop",
        ".set narrows_metal_index, narrows_metal_index + 1",
        ".endr",
        ".cfi_endproc",
        registers = const super::STACK,
        stack = const super::ANY - super::STACK,
        any = const super::STUBS - super::ANY,
        registers_body = sym registers_body,
        stack_body = sym stack_body,
        any_body = sym any_body,
    );
}

/// What the stubs of methods with a few integers jump to, with their number in `x17`: it becomes a
/// seventh argument.
#[unsafe(naked)]
unsafe extern "C-unwind" fn registers_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa x29, 16",
        "mov x6, x17",
        "bl {called}",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        called = sym called_with,
    );
}

/// What the stubs of all other methods jump to, with their number in `x17`.
#[unsafe(naked)]
unsafe extern "C-unwind" fn any_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa x29, 16",
        "sub sp, sp, #304",
        "stp x0, x1, [sp, #0]",
        "stp x2, x3, [sp, #16]",
        "stp x4, x5, [sp, #32]",
        "stp x6, x7, [sp, #48]",
        "stp q0, q1, [sp, #64]",
        "stp q2, q3, [sp, #96]",
        "stp q4, q5, [sp, #128]",
        "stp q6, q7, [sp, #160]",
        "add x16, x29, #16",
        "stp x17, x16, [sp, #192]",
        "str x8, [sp, #208]",
        "mov x0, sp",
        "bl {called}",
        "ldp x0, x1, [sp, #224]",
        "ldp q0, q1, [sp, #240]",
        "ldp q2, q3, [sp, #272]",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        called = sym called,
    );
}

/// What the stubs of methods with stack arguments jump to, with their number in `x17`: it and the
/// place of those arguments become further ones.
#[unsafe(naked)]
unsafe extern "C-unwind" fn stack_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa x29, 16",
        "add x16, x29, #16",
        "stp x17, x16, [sp, #-16]!",
        "bl {called}",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
        called = sym called_on_stack,
    );
}

called_on_stack!(a, b, c, d, e, f, g, h);

/// Calls `method` with the arguments in `frame`, `words` of them copied from the caller's stack,
/// and stores its results in `frame`.
///
/// # Safety
/// `frame` is a stub's, and the caller's stack holds so many words of arguments or more.
#[unsafe(naked)]
pub(in crate::metal) unsafe extern "C-unwind" fn invoke(
    frame: *mut Frame,
    method: *const (),
    words: usize,
) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "str x19, [sp, #16]",
        ".cfi_offset x19, -16",
        "mov x29, sp",
        ".cfi_def_cfa x29, 32",
        "mov x19, x0",
        "mov x16, x1",
        "cbz x2, 3f",
        "add x9, x2, #1",
        "lsl x9, x9, #3",
        "and x9, x9, #-16",
        "sub sp, sp, x9",
        "ldr x10, [x19, #200]",
        "2:",
        "sub x2, x2, #1",
        "ldr x11, [x10, x2, lsl #3]",
        "str x11, [sp, x2, lsl #3]",
        "cbnz x2, 2b",
        "3:",
        "ldp q0, q1, [x19, #64]",
        "ldp q2, q3, [x19, #96]",
        "ldp q4, q5, [x19, #128]",
        "ldp q6, q7, [x19, #160]",
        "ldr x8, [x19, #208]",
        "ldp x0, x1, [x19, #0]",
        "ldp x2, x3, [x19, #16]",
        "ldp x4, x5, [x19, #32]",
        "ldp x6, x7, [x19, #48]",
        "blr x16",
        "stp x0, x1, [x19, #224]",
        "stp q0, q1, [x19, #240]",
        "stp q2, q3, [x19, #272]",
        "mov sp, x29",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        ".cfi_def_cfa sp, 0",
        ".cfi_restore x19",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
    );
}
