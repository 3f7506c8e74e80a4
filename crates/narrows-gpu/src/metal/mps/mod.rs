//! MetalPerformanceShaders and MPSGraph: the matmul of the ladder through Apple's libraries, on the
//! backend's own queues, commits and waits.
//!
//! | ours | the libraries |
//! |---|---|
//! | op of `mps` | `-[MPSMatrixMultiplication encodeToCommandBuffer:leftMatrix:rightMatrix:resultMatrix:]`, with a kernel per lane: kernels are not thread-safe |
//! | op of `mpsgraph` | `-[MPSGraph encodeToCommandBuffer:feeds:targetOperations:resultsDictionary:executionDescriptor:]`, the call that PyTorch makes, with a graph per lane and an `MPSCommandBuffer` around the submission's command buffer |
//!
//! Both store matrices by rows, as we do. The frameworks are opened when a rung asks for them and
//! their classes looked up by name, so the command itself does not load them.
//!
//! Nobody has run this on a Mac: the stand-in's classes have these selectors too.

mod framework;
mod graph;
mod matrix;

use super::NAME;
use super::api::{Memory, Physical, Queue, physical};
use super::device::{ABILITIES, Shared};
use super::lane::{Buffer, Ops};
use super::work::time;
use crate::matmul::{self, Inputs};
use crate::{Device, DeviceInfo, Error, Lane, LaneSpec, Precision, Preparation, Work};
use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::AnyObject;
use std::sync::{Arc, Mutex, PoisonError};

/// Which library does the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Matrix,
    Graph,
}

/// A library on a device.
struct MpsDevice {
    info: DeviceInfo,
    shared: Arc<Shared>,
    via: Via,
    prepared: Mutex<Option<(Work, Arc<Matrices>, Preparation)>>,
}

/// A and B, which all lanes read.
struct Matrices {
    a: Memory,
    b: Memory,
    n: usize,
    precision: Precision,
}

/// An object of the libraries that one lane owns, moved to the lane's thread before its first use.
struct Object(Retained<AnyObject>);

// SAFETY: the libraries' objects are bound to no thread; what their documentation forbids is use by
// two threads at a time, and a lane, which owns its objects alone, is used by one.
unsafe impl Send for Object {}

/// A lane's product with a result of its own.
enum Product {
    Matrix(matrix::Multiplication),
    Graph(graph::Graph),
}

/// Opens `mps` or `mpsgraph` on device `index`.
pub(crate) fn open(name: &str, index: usize) -> Result<Box<dyn Device>, Error> {
    let via = match name {
        "mps" => Via::Matrix,
        "mpsgraph" => Via::Graph,
        _ => return Err(crate::library::unknown(NAME, name)),
    };
    let Physical { metal, mut info } = physical(index)?;
    framework::open(framework::MPS)?;
    framework::check_support(&metal, &info)?;
    let title = match via {
        Via::Matrix => "MetalPerformanceShaders",
        Via::Graph => {
            framework::open(framework::GRAPH)?;
            "MPSGraph"
        }
    };
    let stand_in = if info.stand_in { " stand-in" } else { "" };
    info.driver = format!("{title}{stand_in}, {}", info.driver);
    Ok(Box::new(MpsDevice {
        info,
        shared: Arc::new(Shared { metal }),
        via,
        prepared: Mutex::default(),
    }))
}

impl MpsDevice {
    fn matrices(&self, work: Work) -> Result<(Arc<Matrices>, Preparation), Error> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, matrices, preparation)) = &*prepared
            && *known == work
        {
            return Ok((Arc::clone(matrices), preparation.clone()));
        }
        let Work::Matmul { n, precision } = work else {
            return Err(Error::Unsupported {
                backend: NAME,
                what: work.to_string(),
                why: "a library rung does matmul only".into(),
            });
        };
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        let matrices = Arc::new(Matrices {
            a: self.shared.filled(&a)?,
            b: self.shared.filled(&b)?,
            n: n as usize,
            precision,
        });
        let worst = autoreleasepool(|_| {
            let product = self.product(&matrices)?;
            let queue: Queue = self.shared.queue(1)?;
            time(&product, &queue)?;
            inputs.check(NAME, &product.result().read(matrices.size()))
        })?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        *prepared = Some((work, Arc::clone(&matrices), preparation.clone()));
        Ok((matrices, preparation))
    }

    fn product(&self, matrices: &Arc<Matrices>) -> Result<Product, Error> {
        Ok(match self.via {
            Via::Matrix => Product::Matrix(matrix::Multiplication::new(&self.shared, matrices)?),
            Via::Graph => Product::Graph(graph::Graph::new(&self.shared, matrices)?),
        })
    }
}

impl Device for MpsDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        self.matrices(work).map(|(_, preparation)| preparation)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &ABILITIES, &self.info, spec, threads)?;
        let (matrices, _) = self.matrices(spec.work)?;
        autoreleasepool(|_| {
            self.shared
                .lanes(spec, threads, 1, || self.product(&matrices))
        })
    }
}

impl Matrices {
    /// Bytes of each of the three.
    fn size(&self) -> usize {
        matmul::size(self.n as u32, self.precision) as usize
    }

    fn row_bytes(&self) -> usize {
        match self.precision {
            Precision::F32 => self.n * 4,
            Precision::F16 => self.n * 2,
        }
    }

    /// `MPSDataType`: the float bit and the width.
    fn data_type(&self) -> u32 {
        const FLOAT: u32 = 0x1000_0000;
        match self.precision {
            Precision::F32 => FLOAT | 32,
            Precision::F16 => FLOAT | 16,
        }
    }
}

impl Product {
    /// What the last op wrote.
    fn result(&self) -> &Memory {
        match self {
            Product::Matrix(product) => product.result(),
            Product::Graph(product) => product.result(),
        }
    }
}

impl Ops for Product {
    fn is_empty(&self) -> bool {
        false
    }

    fn encode(&self, buffer: Buffer, times: u32) -> Result<Buffer, Error> {
        match self {
            Product::Matrix(product) => {
                (0..times).for_each(|_| product.encode(&buffer));
                Ok(buffer)
            }
            Product::Graph(product) => product.encode(&buffer, times),
        }
    }
}
