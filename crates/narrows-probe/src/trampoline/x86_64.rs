//! The x86-64 (System V) stubs.
//!
//! A stub loads its slot number into `r11` (free at a call) and jumps to the shared body. The body
//! saves everything a caller may pass in registers, asks [`super::enter`] for the real function
//! and jumps there if nothing is to be done after it; else it copies [`super::STACK_WORDS`] stack words, calls, keeps the result registers over
//! [`super::leave`] and returns. `rbp` is a frame pointer throughout and the CFI says so, so
//! exceptions, `pthread_cancel` and backtraces pass.
//!
//! Functions that only ask (`Rule::query`) have stubs of their own, which ask [`super::query`] first
//! and save integer arguments only.
//!
//! Not kept: the upper halves of `ymm` arguments and `x87` results (no C GPU API passes either).

use core::arch::global_asm;

global_asm!(
    // 16 bytes a stub: endbr64 (4), movl imm32 (6), jmp rel32 (5), padding (1).
    ".text",
    ".p2align 4",
    ".hidden narrows_trampoline_stubs",
    ".globl narrows_trampoline_stubs",
    ".type narrows_trampoline_stubs, @function",
    "narrows_trampoline_stubs:",
    ".cfi_startproc",
    ".set narrows_trampoline_index, 0",
    ".rept {slots}",
    ".p2align 4",
    "endbr64",
    "movl $narrows_trampoline_index, %r11d",
    ".byte 0xe9",
    ".long narrows_trampoline_body - . - 4",
    ".set narrows_trampoline_index, narrows_trampoline_index + 1",
    ".endr",
    // The same again for queries.
    ".set narrows_trampoline_index, 0",
    ".rept {slots}",
    ".p2align 4",
    "endbr64",
    "movl $narrows_trampoline_index, %r11d",
    ".byte 0xe9",
    ".long narrows_trampoline_query - . - 4",
    ".set narrows_trampoline_index, narrows_trampoline_index + 1",
    ".endr",
    ".cfi_endproc",
    ".size narrows_trampoline_stubs, . - narrows_trampoline_stubs",
    "",
    // Integer arguments only: counts and jumps on, or goes the long way.
    ".p2align 4",
    ".type narrows_trampoline_query, @function",
    "narrows_trampoline_query:",
    ".cfi_startproc",
    "pushq %rdi",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rsi",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rdx",
    ".cfi_adjust_cfa_offset 8",
    "pushq %rcx",
    ".cfi_adjust_cfa_offset 8",
    "pushq %r8",
    ".cfi_adjust_cfa_offset 8",
    "pushq %r9",
    ".cfi_adjust_cfa_offset 8",
    "pushq %r11",
    ".cfi_adjust_cfa_offset 8",
    "movl %r11d, %edi",
    "call {query}",
    "popq %r11",
    ".cfi_adjust_cfa_offset -8",
    "popq %r9",
    ".cfi_adjust_cfa_offset -8",
    "popq %r8",
    ".cfi_adjust_cfa_offset -8",
    "popq %rcx",
    ".cfi_adjust_cfa_offset -8",
    "popq %rdx",
    ".cfi_adjust_cfa_offset -8",
    "popq %rsi",
    ".cfi_adjust_cfa_offset -8",
    "popq %rdi",
    ".cfi_adjust_cfa_offset -8",
    "testq %rax, %rax",
    "je narrows_trampoline_body",
    "jmp *%rax",
    ".cfi_endproc",
    ".size narrows_trampoline_query, . - narrows_trampoline_query",
    "",
    ".p2align 4",
    ".type narrows_trampoline_body, @function",
    "narrows_trampoline_body:",
    ".cfi_startproc",
    "pushq %rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset %rbp, -16",
    "movq %rsp, %rbp",
    ".cfi_def_cfa_register %rbp",
    // The layout is super::Frame. 336 keeps rsp a multiple of 16.
    "subq $336, %rsp",
    "movq %rdi, 0(%rsp)",
    "movq %rsi, 8(%rsp)",
    "movq %rdx, 16(%rsp)",
    "movq %rcx, 24(%rsp)",
    "movq %r8, 32(%rsp)",
    "movq %r9, 40(%rsp)",
    "movups %xmm0, 48(%rsp)",
    "movups %xmm1, 64(%rsp)",
    "movups %xmm2, 80(%rsp)",
    "movups %xmm3, 96(%rsp)",
    "movups %xmm4, 112(%rsp)",
    "movups %xmm5, 128(%rsp)",
    "movups %xmm6, 144(%rsp)",
    "movups %xmm7, 160(%rsp)",
    "movl %r11d, %r11d",
    "movq %r11, 176(%rsp)",
    "leaq 16(%rbp), %r11",
    "movq %r11, 184(%rsp)",
    "movq 8(%rbp), %r11",
    "movq %r11, 192(%rsp)",
    // rax holds the number of vector registers of a variadic call, r10 the static chain.
    "movq %rax, 312(%rsp)",
    "movq %r10, 320(%rsp)",
    "movq %rsp, %rdi",
    "call {enter}",
    "movq %rax, %r11",
    "testq %rdx, %rdx",
    "jne 2f",
    "movq %rsp, %r10",
    "subq $128, %rsp",
    "movups 16(%rbp), %xmm0",
    "movups 32(%rbp), %xmm1",
    "movups 48(%rbp), %xmm2",
    "movups 64(%rbp), %xmm3",
    "movups 80(%rbp), %xmm4",
    "movups 96(%rbp), %xmm5",
    "movups 112(%rbp), %xmm6",
    "movups 128(%rbp), %xmm7",
    "movups %xmm0, 0(%rsp)",
    "movups %xmm1, 16(%rsp)",
    "movups %xmm2, 32(%rsp)",
    "movups %xmm3, 48(%rsp)",
    "movups %xmm4, 64(%rsp)",
    "movups %xmm5, 80(%rsp)",
    "movups %xmm6, 96(%rsp)",
    "movups %xmm7, 112(%rsp)",
    "movq 0(%r10), %rdi",
    "movq 8(%r10), %rsi",
    "movq 16(%r10), %rdx",
    "movq 24(%r10), %rcx",
    "movq 32(%r10), %r8",
    "movq 40(%r10), %r9",
    "movups 48(%r10), %xmm0",
    "movups 64(%r10), %xmm1",
    "movups 80(%r10), %xmm2",
    "movups 96(%r10), %xmm3",
    "movups 112(%r10), %xmm4",
    "movups 128(%r10), %xmm5",
    "movups 144(%r10), %xmm6",
    "movups 160(%r10), %xmm7",
    "movq 312(%r10), %rax",
    "movq 320(%r10), %r10",
    "call *%r11",
    "addq $128, %rsp",
    "movq %rax, 264(%rsp)",
    "movq %rdx, 272(%rsp)",
    "movups %xmm0, 280(%rsp)",
    "movups %xmm1, 296(%rsp)",
    "movq %rsp, %rdi",
    "call {leave}",
    "movq 264(%rsp), %rax",
    "movq 272(%rsp), %rdx",
    "movups 280(%rsp), %xmm0",
    "movups 296(%rsp), %xmm1",
    "leave",
    ".cfi_def_cfa %rsp, 8",
    ".cfi_restore %rbp",
    "ret",
    // Nothing to do afterwards: on to the function, as if the caller had called it.
    "2:",
    ".cfi_def_cfa %rbp, 16",
    ".cfi_offset %rbp, -16",
    "movq 0(%rsp), %rdi",
    "movq 8(%rsp), %rsi",
    "movq 16(%rsp), %rdx",
    "movq 24(%rsp), %rcx",
    "movq 32(%rsp), %r8",
    "movq 40(%rsp), %r9",
    "movups 48(%rsp), %xmm0",
    "movups 64(%rsp), %xmm1",
    "movups 80(%rsp), %xmm2",
    "movups 96(%rsp), %xmm3",
    "movups 112(%rsp), %xmm4",
    "movups 128(%rsp), %xmm5",
    "movups 144(%rsp), %xmm6",
    "movups 160(%rsp), %xmm7",
    "movq 312(%rsp), %rax",
    "movq 320(%rsp), %r10",
    "leave",
    ".cfi_def_cfa %rsp, 8",
    ".cfi_restore %rbp",
    "jmp *%r11",
    ".cfi_endproc",
    ".size narrows_trampoline_body, . - narrows_trampoline_body",
    slots = const super::SLOTS,
    query = sym super::query,
    enter = sym super::enter,
    leave = sym super::leave,
    options(att_syntax),
);

/// Distance between two stubs.
pub(super) const STUB_BYTES: usize = 16;

/// What [`super::enter`] and [`super::leave`] read; the assembly above writes it by offset.
#[repr(C)]
pub(crate) struct Frame {
    /// Integer argument registers (0).
    pub(super) ints: [u64; 6],
    /// Vector argument registers (48).
    vectors: [[u8; 16]; 8],
    /// Index of the stub (176).
    pub(super) slot: u64,
    /// The first stack argument (184).
    pub(super) stack: *const u64,
    /// Where the caller goes on (192).
    pub(super) caller: u64,
    /// Room for the hook between enter and leave (200).
    pub(super) cookie: [u64; 8],
    /// Integer result (264, 272).
    pub(super) result: [u64; 2],
    /// Vector results (280, 296).
    result_vectors: [[u8; 16]; 2],
    /// `rax`, `r10` at entry (312, 320), padding (328).
    scratch: [u64; 3],
}

const _: () = {
    assert!(size_of::<Frame>() == 336);
    assert!(core::mem::offset_of!(Frame, slot) == 176);
    assert!(core::mem::offset_of!(Frame, cookie) == 200);
    assert!(core::mem::offset_of!(Frame, result) == 264);
    assert!(core::mem::offset_of!(Frame, scratch) == 312);
};
