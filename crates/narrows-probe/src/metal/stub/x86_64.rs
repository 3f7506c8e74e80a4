//! The x86-64 (System V) stubs. Not kept: upper halves of `ymm` arguments, `x87` results.

use super::super::call::{called, called_with};
use super::Words;

/// Integer argument registers of this processor.
pub(in crate::metal) const REGISTERS: usize = 6;

/// What a stub saves; the assembly below writes it by offset.
#[repr(C)]
pub(in crate::metal) struct Frame {
    /// Integer argument registers (0).
    pub(in crate::metal) ints: [u64; 6],
    /// Vector argument registers (48).
    vectors: [[u8; 16]; 8],
    /// Index of the stub (176).
    pub(in crate::metal) slot: u64,
    /// The first stack argument (184).
    stack: *const u64,
    /// `rax` at entry: vector registers of a variadic call (192).
    rax: u64,
    /// Padding (200).
    _padding: u64,
    /// Integer results (208, 216).
    pub(in crate::metal) result: Words,
    /// Vector results (224, 240).
    result_vectors: [[u8; 16]; 2],
}

const _: () = {
    assert!(size_of::<Frame>() == 256);
    assert!(core::mem::offset_of!(Frame, slot) == 176);
    assert!(core::mem::offset_of!(Frame, stack) == 184);
    assert!(core::mem::offset_of!(Frame, result) == 208);
};

/// The stubs, one behind the other: endbr64 (4), mov imm32 (6), jmp rel32 (5), nop (1).
#[unsafe(naked)]
pub(super) unsafe extern "C-unwind" fn stubs() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        ".set .Lnarrows_metal_index, 0",
        ".rept {registers}",
        "endbr64",
        ".byte 0x41, 0xbb",
        ".long .Lnarrows_metal_index",
        ".byte 0xe9",
        ".long {registers_body} - . - 4",
        "nop",
        ".set .Lnarrows_metal_index, .Lnarrows_metal_index + 1",
        ".endr",
        ".rept {stack}",
        "endbr64",
        ".byte 0x41, 0xbb",
        ".long .Lnarrows_metal_index",
        ".byte 0xe9",
        ".long {stack_body} - . - 4",
        "nop",
        ".set .Lnarrows_metal_index, .Lnarrows_metal_index + 1",
        ".endr",
        ".rept {any}",
        "endbr64",
        ".byte 0x41, 0xbb",
        ".long .Lnarrows_metal_index",
        ".byte 0xe9",
        ".long {any_body} - . - 4",
        "nop",
        ".set .Lnarrows_metal_index, .Lnarrows_metal_index + 1",
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

/// What the stubs of methods with a few integers jump to, with their number in `r11`: it becomes a
/// seventh argument.
#[unsafe(naked)]
unsafe extern "C-unwind" fn registers_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        // Twice: the stack stays aligned.
        "push r11",
        "push r11",
        "call {called}",
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        called = sym called_with,
    );
}

/// What the stubs of all other methods jump to, with their number in `r11`.
#[unsafe(naked)]
unsafe extern "C-unwind" fn any_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, 256",
        "mov [rsp], rdi",
        "mov [rsp + 8], rsi",
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], rcx",
        "mov [rsp + 32], r8",
        "mov [rsp + 40], r9",
        "movups [rsp + 48], xmm0",
        "movups [rsp + 64], xmm1",
        "movups [rsp + 80], xmm2",
        "movups [rsp + 96], xmm3",
        "movups [rsp + 112], xmm4",
        "movups [rsp + 128], xmm5",
        "movups [rsp + 144], xmm6",
        "movups [rsp + 160], xmm7",
        "mov [rsp + 176], r11",
        "lea r11, [rbp + 16]",
        "mov [rsp + 184], r11",
        "mov [rsp + 192], rax",
        "mov rdi, rsp",
        "call {called}",
        "mov rax, [rsp + 208]",
        "mov rdx, [rsp + 216]",
        "movups xmm0, [rsp + 224]",
        "movups xmm1, [rsp + 240]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        called = sym called,
    );
}

/// What the stubs of methods with stack arguments jump to, with their number in `r11`: it and the
/// place of those arguments become further ones.
#[unsafe(naked)]
unsafe extern "C-unwind" fn stack_body() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "lea rax, [rbp + 16]",
        "push rax",
        "push r11",
        "call {called}",
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
        called = sym called_on_stack,
    );
}

called_on_stack!(a, b, c, d, e, f);

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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        "sub rsp, 8",
        ".cfi_offset rbx, -24",
        "mov rbx, rdi",
        "mov r11, rsi",
        "test rdx, rdx",
        "jz 3f",
        "lea rax, [rdx * 8 + 15]",
        "and rax, -16",
        "sub rsp, rax",
        "mov rax, [rbx + 184]",
        "2:",
        "mov rcx, [rax + rdx * 8 - 8]",
        "mov [rsp + rdx * 8 - 8], rcx",
        "dec rdx",
        "jnz 2b",
        "3:",
        "movups xmm0, [rbx + 48]",
        "movups xmm1, [rbx + 64]",
        "movups xmm2, [rbx + 80]",
        "movups xmm3, [rbx + 96]",
        "movups xmm4, [rbx + 112]",
        "movups xmm5, [rbx + 128]",
        "movups xmm6, [rbx + 144]",
        "movups xmm7, [rbx + 160]",
        "mov rdi, [rbx]",
        "mov rsi, [rbx + 8]",
        "mov rdx, [rbx + 16]",
        "mov rcx, [rbx + 24]",
        "mov r8, [rbx + 32]",
        "mov r9, [rbx + 40]",
        "mov rax, [rbx + 192]",
        "call r11",
        "mov [rbx + 208], rax",
        "mov [rbx + 216], rdx",
        "movups [rbx + 224], xmm0",
        "movups [rbx + 240], xmm1",
        "mov rbx, [rbp - 8]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        ".cfi_restore rbx",
        "ret",
        ".cfi_endproc",
    );
}
