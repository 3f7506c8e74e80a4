//! `MPSMatrixMultiplication`.

use super::framework::{class, made};
use super::{Matrices, Memory, Object, Shared};
use crate::Error;
use objc2::msg_send;
use objc2::rc::{Allocated, Retained};
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_metal::MTLCommandBuffer;
use std::sync::Arc;

/// A kernel with its matrices.
pub(super) struct Multiplication {
    kernel: Object,
    a: Object,
    b: Object,
    c: Object,
    result: Memory,
}

impl Multiplication {
    pub(super) fn new(shared: &Shared, matrices: &Arc<Matrices>) -> Result<Self, Error> {
        let n = matrices.n;
        // SAFETY: `alloc` of a class gives an object without a value.
        let empty: Allocated<AnyObject> =
            unsafe { msg_send![class(c"MPSMatrixMultiplication")?, alloc] };
        // SAFETY: the initialiser of that class, with the types that its header has.
        let kernel: Option<Retained<AnyObject>> = unsafe {
            msg_send![
                empty,
                initWithDevice: &*shared.metal,
                transposeLeft: false,
                transposeRight: false,
                resultRows: n,
                resultColumns: n,
                interiorColumns: n,
                alpha: 1.0_f64,
                beta: 0.0_f64,
            ]
        };
        let result = shared.memory(matrices.size())?;
        Ok(Self {
            kernel: Object(made(
                "-[MPSMatrixMultiplication initWithDevice:...]",
                kernel,
            )?),
            a: matrix(&matrices.a, matrices)?,
            b: matrix(&matrices.b, matrices)?,
            c: matrix(&result, matrices)?,
            result,
        })
    }

    pub(super) fn result(&self) -> &Memory {
        &self.result
    }

    pub(super) fn encode(&self, buffer: &ProtocolObject<dyn MTLCommandBuffer>) {
        // SAFETY: the method's types; the matrices have the kernel's shape, and their buffers are
        // retained by the command buffer.
        unsafe {
            msg_send![
                &*self.kernel.0,
                encodeToCommandBuffer: buffer,
                leftMatrix: &*self.a.0,
                rightMatrix: &*self.b.0,
                resultMatrix: &*self.c.0,
            ]
        }
    }
}

/// An `MPSMatrix` over all of `memory`, row by row without gaps.
fn matrix(memory: &Memory, matrices: &Matrices) -> Result<Object, Error> {
    // SAFETY: the class method's types.
    let shape: Option<Retained<AnyObject>> = unsafe {
        msg_send![
            class(c"MPSMatrixDescriptor")?,
            matrixDescriptorWithRows: matrices.n,
            columns: matrices.n,
            rowBytes: matrices.row_bytes(),
            dataType: matrices.data_type(),
        ]
    };
    let shape = made("+[MPSMatrixDescriptor matrixDescriptorWithRows:...]", shape)?;
    // SAFETY: `alloc` of a class gives an object without a value.
    let empty: Allocated<AnyObject> = unsafe { msg_send![class(c"MPSMatrix")?, alloc] };
    // SAFETY: the initialiser's types; the buffer is as large as the descriptor says.
    let made_matrix: Option<Retained<AnyObject>> =
        unsafe { msg_send![empty, initWithBuffer: &*memory.0, descriptor: &*shape] };
    made("-[MPSMatrix initWithBuffer:descriptor:]", made_matrix).map(Object)
}
