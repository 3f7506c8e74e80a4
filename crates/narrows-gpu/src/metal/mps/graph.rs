//! `MPSGraph`: a graph of one matrix product.

use super::framework::{class, made};
use super::{Buffer, Matrices, Memory, Object, Shared};
use crate::Error;
use objc2::msg_send;
use objc2::rc::{Allocated, Retained};
use objc2::runtime::{AnyObject, ProtocolObject};
use objc2_foundation::NSArray;
use objc2_metal::MTLCommandBuffer;
use std::sync::Arc;

/// A graph with its inputs and its result.
pub(super) struct Graph {
    graph: Object,
    /// `NSDictionary`: placeholders and their data.
    feeds: Object,
    /// `NSDictionary`: the product and where it goes.
    results: Object,
    result: Memory,
}

impl Graph {
    pub(super) fn new(shared: &Shared, matrices: &Arc<Matrices>) -> Result<Self, Error> {
        // SAFETY: `new` of a class without arguments.
        let graph: Option<Retained<AnyObject>> = unsafe { msg_send![class(c"MPSGraph")?, new] };
        let graph = made("+[MPSGraph new]", graph)?;
        let shape = shape(matrices.n)?;
        let (a, b) = (
            placeholder(&graph, &shape, matrices)?,
            placeholder(&graph, &shape, matrices)?,
        );
        // SAFETY: the method's types; the name may be nil.
        let product: Option<Retained<AnyObject>> = unsafe {
            msg_send![
                &*graph,
                matrixMultiplicationWithPrimaryTensor: &*a,
                secondaryTensor: &*b,
                name: None::<&AnyObject>,
            ]
        };
        let product = made(
            "-[MPSGraph matrixMultiplicationWithPrimaryTensor:...]",
            product,
        )?;
        let result = shared.memory(matrices.size())?;
        let data = |memory| data(memory, &shape, matrices);
        Ok(Self {
            feeds: dictionary(&[a, b], &[data(&matrices.a)?, data(&matrices.b)?])?,
            results: dictionary(&[product], &[data(&result)?])?,
            graph: Object(graph),
            result,
        })
    }

    pub(super) fn result(&self) -> &Memory {
        &self.result
    }

    /// Encodes the graph `times` times; the buffer that comes back is the one to commit.
    pub(super) fn encode(
        &self,
        buffer: &ProtocolObject<dyn MTLCommandBuffer>,
        times: u32,
    ) -> Result<Buffer, Error> {
        // SAFETY: the class method's types.
        let around: Option<Retained<AnyObject>> = unsafe {
            msg_send![class(c"MPSCommandBuffer")?, commandBufferWithCommandBuffer: buffer]
        };
        let around = made(
            "+[MPSCommandBuffer commandBufferWithCommandBuffer:]",
            around,
        )?;
        for _ in 0..times {
            // SAFETY: the method's types. Operations and descriptor may be nil; feeds and results
            // name tensors of this graph, with data of their shapes.
            unsafe {
                let () = msg_send![
                    &*self.graph.0,
                    encodeToCommandBuffer: &*around,
                    feeds: &*self.feeds.0,
                    targetOperations: None::<&AnyObject>,
                    resultsDictionary: &*self.results.0,
                    executionDescriptor: None::<&AnyObject>,
                ];
            }
        }
        // SAFETY: a property that is never nil: the command buffer that is open now.
        Ok(unsafe { msg_send![&*around, rootCommandBuffer] })
    }
}

/// `@[n, n]`.
fn shape(n: usize) -> Result<Retained<NSArray<AnyObject>>, Error> {
    // SAFETY: the class method's types.
    let number: Option<Retained<AnyObject>> =
        unsafe { msg_send![class(c"NSNumber")?, numberWithUnsignedInteger: n] };
    let number = made("+[NSNumber numberWithUnsignedInteger:]", number)?;
    Ok(NSArray::from_slice(&[&*number, &*number]))
}

fn placeholder(
    graph: &AnyObject,
    shape: &NSArray<AnyObject>,
    matrices: &Matrices,
) -> Result<Retained<AnyObject>, Error> {
    // SAFETY: the method's types; the name may be nil.
    let tensor: Option<Retained<AnyObject>> = unsafe {
        msg_send![
            graph,
            placeholderWithShape: shape,
            dataType: matrices.data_type(),
            name: None::<&AnyObject>,
        ]
    };
    made("-[MPSGraph placeholderWithShape:dataType:name:]", tensor)
}

/// All of `memory` as a tensor.
fn data(
    memory: &Memory,
    shape: &NSArray<AnyObject>,
    matrices: &Matrices,
) -> Result<Retained<AnyObject>, Error> {
    // SAFETY: `alloc` of a class gives an object without a value.
    let empty: Allocated<AnyObject> = unsafe { msg_send![class(c"MPSGraphTensorData")?, alloc] };
    // SAFETY: the initialiser's types; the buffer is as large as the shape says.
    let data: Option<Retained<AnyObject>> = unsafe {
        msg_send![
            empty,
            initWithMTLBuffer: &*memory.0,
            shape: shape,
            dataType: matrices.data_type(),
        ]
    };
    made(
        "-[MPSGraphTensorData initWithMTLBuffer:shape:dataType:]",
        data,
    )
}

fn dictionary(
    keys: &[Retained<AnyObject>],
    values: &[Retained<AnyObject>],
) -> Result<Object, Error> {
    let (keys, values) = (
        NSArray::from_retained_slice(keys),
        NSArray::from_retained_slice(values),
    );
    // SAFETY: the class method's types; as many keys as values, and tensors can be copied.
    let made_dictionary: Option<Retained<AnyObject>> = unsafe {
        msg_send![class(c"NSDictionary")?, dictionaryWithObjects: &*values, forKeys: &*keys]
    };
    made(
        "+[NSDictionary dictionaryWithObjects:forKeys:]",
        made_dictionary,
    )
    .map(Object)
}
