//! The AArch64 (AAPCS64) stubs; the same steps as the x86-64 ones.
//!
//! A stub loads its slot number into `w17` and branches to the shared body. The body saves
//! `x0`-`x8` (`x8`: where a large result goes) and `q0`-`q7`, asks [`super::enter`], jumps on if
//! nothing is to be done after the call, else copies
//! [`super::STACK_WORDS`] stack words, calls, keeps `x0`, `x1` and `q0`-`q3` over
//! [`super::leave`] and returns. `x29` is a frame pointer throughout and the CFI says so.
//!
//! Functions that only ask (`Rule::query`) have stubs of their own, which ask [`super::query`] first
//! and save integer arguments only.
//!
//! Not kept: scalable vector registers.

use core::arch::global_asm;

global_asm!(
    // 16 bytes a stub: bti c, movz, b, nop.
    ".text",
    ".p2align 4",
    ".hidden narrows_trampoline_stubs",
    ".globl narrows_trampoline_stubs",
    ".type narrows_trampoline_stubs, %function",
    "narrows_trampoline_stubs:",
    ".cfi_startproc",
    ".set narrows_trampoline_index, 0",
    ".rept {slots}",
    "hint #34",
    "movz w17, #narrows_trampoline_index",
    "b narrows_trampoline_body",
    "nop",
    ".set narrows_trampoline_index, narrows_trampoline_index + 1",
    ".endr",
    // The same again for queries.
    ".set narrows_trampoline_index, 0",
    ".rept {slots}",
    "hint #34",
    "movz w17, #narrows_trampoline_index",
    "b narrows_trampoline_query",
    "nop",
    ".set narrows_trampoline_index, narrows_trampoline_index + 1",
    ".endr",
    ".cfi_endproc",
    ".size narrows_trampoline_stubs, . - narrows_trampoline_stubs",
    "",
    // Integer arguments only: counts and jumps on, or goes the long way.
    ".p2align 4",
    ".type narrows_trampoline_query, %function",
    "narrows_trampoline_query:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-96]!",
    ".cfi_def_cfa_offset 96",
    ".cfi_offset x29, -96",
    ".cfi_offset x30, -88",
    "mov x29, sp",
    "stp x0, x1, [sp, #16]",
    "stp x2, x3, [sp, #32]",
    "stp x4, x5, [sp, #48]",
    "stp x6, x7, [sp, #64]",
    "stp x8, x17, [sp, #80]",
    "mov w0, w17",
    "bl {query}",
    "mov x16, x0",
    "ldp x0, x1, [sp, #16]",
    "ldp x2, x3, [sp, #32]",
    "ldp x4, x5, [sp, #48]",
    "ldp x6, x7, [sp, #64]",
    "ldp x8, x17, [sp, #80]",
    "ldp x29, x30, [sp], #96",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "cbz x16, narrows_trampoline_body",
    "br x16",
    ".cfi_endproc",
    ".size narrows_trampoline_query, . - narrows_trampoline_query",
    "",
    ".p2align 4",
    ".type narrows_trampoline_body, %function",
    "narrows_trampoline_body:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x29, sp",
    ".cfi_def_cfa x29, 16",
    // The layout is super::Frame.
    "sub sp, sp, #384",
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
    "str x30, [sp, #208]",
    "str x8, [sp, #368]",
    "mov x0, sp",
    "bl {enter}",
    "mov x16, x0",
    "mov x17, sp",
    "cbnz x1, 2f",
    "sub sp, sp, #128",
    "ldp q0, q1, [x29, #16]",
    "ldp q2, q3, [x29, #48]",
    "ldp q4, q5, [x29, #80]",
    "ldp q6, q7, [x29, #112]",
    "stp q0, q1, [sp, #0]",
    "stp q2, q3, [sp, #32]",
    "stp q4, q5, [sp, #64]",
    "stp q6, q7, [sp, #96]",
    "ldp x0, x1, [x17, #0]",
    "ldp x2, x3, [x17, #16]",
    "ldp x4, x5, [x17, #32]",
    "ldp x6, x7, [x17, #48]",
    "ldp q0, q1, [x17, #64]",
    "ldp q2, q3, [x17, #96]",
    "ldp q4, q5, [x17, #128]",
    "ldp q6, q7, [x17, #160]",
    "ldr x8, [x17, #368]",
    "blr x16",
    "add sp, sp, #128",
    "stp x0, x1, [sp, #280]",
    "stp q0, q1, [sp, #304]",
    "stp q2, q3, [sp, #336]",
    "mov x0, sp",
    "bl {leave}",
    "ldp x0, x1, [sp, #280]",
    "ldp q0, q1, [sp, #304]",
    "ldp q2, q3, [sp, #336]",
    "mov sp, x29",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa sp, 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    // Nothing to do afterwards: on to the function, as if the caller had called it.
    "2:",
    ".cfi_def_cfa x29, 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "ldp x0, x1, [x17, #0]",
    "ldp x2, x3, [x17, #16]",
    "ldp x4, x5, [x17, #32]",
    "ldp x6, x7, [x17, #48]",
    "ldp q0, q1, [x17, #64]",
    "ldp q2, q3, [x17, #96]",
    "ldp q4, q5, [x17, #128]",
    "ldp q6, q7, [x17, #160]",
    "ldr x8, [x17, #368]",
    "mov sp, x29",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa sp, 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "br x16",
    ".cfi_endproc",
    ".size narrows_trampoline_body, . - narrows_trampoline_body",
    slots = const super::SLOTS,
    query = sym super::query,
    enter = sym super::enter,
    leave = sym super::leave,
);

/// Distance between two stubs.
pub(super) const STUB_BYTES: usize = 16;

/// What [`super::enter`] and [`super::leave`] read; the assembly above writes it by offset.
#[repr(C)]
pub(crate) struct Frame {
    /// Integer argument registers (0).
    pub(super) ints: [u64; 8],
    /// Vector argument registers (64).
    vectors: [[u8; 16]; 8],
    /// Index of the stub (192).
    pub(super) slot: u64,
    /// The first stack argument (200).
    pub(super) stack: *const u64,
    /// Where the caller goes on (208).
    pub(super) caller: u64,
    /// Room for the hook between enter and leave (216).
    pub(super) cookie: [u64; 8],
    /// Integer result (280, 288).
    pub(super) result: [u64; 2],
    /// Padding (296), vector results (304 to 368).
    result_vectors: [u64; 9],
    /// `x8` at entry (368), padding (376).
    scratch: [u64; 2],
}

const _: () = {
    assert!(size_of::<Frame>() == 384);
    assert!(core::mem::offset_of!(Frame, slot) == 192);
    assert!(core::mem::offset_of!(Frame, cookie) == 216);
    assert!(core::mem::offset_of!(Frame, result) == 280);
    assert!(core::mem::offset_of!(Frame, scratch) == 368);
};
