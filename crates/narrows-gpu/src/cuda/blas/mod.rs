//! cuBLAS and cuBLASLt: the matmul of the ladder through NVIDIA's libraries, on the driver's own
//! streams and events.
//!
//! | ours | the libraries |
//! |---|---|
//! | op of `cublas` | one `cublasGemmEx`, f32 sums, with a handle per lane as the library asks |
//! | op of `cublaslt` | one `cublasLtMatmul` with the library's first choice of algorithm; one handle for all lanes, which the library allows, and a workspace per lane |
//!
//! The libraries work in the device's primary context, as the CUDA runtime does. They store
//! matrices by columns: `C = A B` by rows is `C' = B' A'` by columns, so A and B change places.
//! TF32 is not used: the work is that of the other rungs.

mod lane;
mod sys;

use super::NAME;
use super::api::{api, devices};
use super::context::{Buffer, Context, Stream};
use crate::matmul::{self, Inputs};
use crate::{
    Abilities, Device, DeviceInfo, Error, Lane, LaneSpec, Precision, Preparation, QueueLayout, Work,
};
use lane::{BlasLane, Product};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use sys::{Cublas, CublasLt};

/// An open library; `Arc`s of it live in lanes.
enum Blas {
    Cublas(Cublas),
    Lt(lane::LtHandle),
}

/// A library on a device.
struct BlasDevice {
    info: DeviceInfo,
    context: Arc<Context>,
    blas: Arc<Blas>,
    prepared: Mutex<Option<(Work, Arc<Matrices>, Preparation)>>,
}

/// A and B on the device.
struct Matrices {
    a: Buffer,
    b: Buffer,
    n: u32,
    precision: Precision,
}

/// Opens `cublas` or `cublaslt` on device `index`.
pub(crate) fn open(
    name: &str,
    index: usize,
    folders: &[PathBuf],
) -> Result<Box<dyn Device>, Error> {
    let mut devices = devices()?;
    if index >= devices.len() {
        let infos: Vec<_> = devices.into_iter().map(|(_, info)| info).collect();
        return Err(crate::unknown_device(NAME, index.to_string(), &infos));
    }
    let (device, mut info) = devices.swap_remove(index);
    let context = Context::primary(api()?, device)?;
    context.enter()?;
    let (blas, title) = match name {
        "cublas" => {
            let table = Cublas::open("cublas", folders)?;
            let title = format!("cuBLAS {}", lane::version(&table)?);
            let file = table.file.clone();
            (Blas::Cublas(table), format!("{title} ({file})"))
        }
        "cublaslt" => {
            let table = CublasLt::open("cublasLt", folders)?;
            let title = format!("cuBLASLt ({})", table.file);
            (Blas::Lt(lane::LtHandle::new(table)?), title)
        }
        _ => return Err(crate::library::unknown(NAME, name)),
    };
    info.driver = format!("{title}, {}", info.driver);
    Ok(Box::new(BlasDevice {
        info,
        context,
        blas: Arc::new(blas),
        prepared: Mutex::default(),
    }))
}

fn only_matmul(work: Work) -> Error {
    Error::Unsupported {
        backend: NAME,
        what: work.to_string(),
        why: "a library rung does matmul only".into(),
    }
}

impl BlasDevice {
    fn matrices(&self, work: Work) -> Result<(Arc<Matrices>, Preparation), Error> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, matrices, preparation)) = &*prepared
            && *known == work
        {
            return Ok((Arc::clone(matrices), preparation.clone()));
        }
        let Work::Matmul { n, precision } = work else {
            return Err(only_matmul(work));
        };
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        let matrices = Arc::new(Matrices {
            a: Buffer::filled(&self.context, &a)?,
            b: Buffer::filled(&self.context, &b)?,
            n,
            precision,
        });
        let stream = Stream::new(&self.context)?;
        let product = Product::new(&self.context, &self.blas, &matrices, &stream)?;
        product.enqueue(&stream)?;
        let worst = inputs.check(NAME, &product.result()?)?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        *prepared = Some((work, Arc::clone(&matrices), preparation.clone()));
        Ok((matrices, preparation))
    }
}

impl Device for BlasDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn prepare(&self, work: Work) -> Result<Preparation, Error> {
        crate::check_work(NAME, &self.info, work)?;
        self.matrices(work).map(|(_, preparation)| preparation)
    }

    fn lanes(&self, spec: LaneSpec, threads: u32) -> Result<Vec<Box<dyn Lane>>, Error> {
        crate::check_spec(NAME, &Abilities::NONE, &self.info, spec, threads)?;
        if spec.depth != 1 {
            return Err(Error::Unsupported {
                backend: NAME,
                what: format!("depth {}", spec.depth),
                why: "a library rung keeps one submission in flight".into(),
            });
        }
        let (matrices, _) = self.matrices(spec.work)?;
        let one = match spec.queue {
            QueueLayout::Shared => Some(Arc::new(Stream::new(&self.context)?)),
            _ => None,
        };
        (0..threads)
            .map(|_| {
                let stream = match &one {
                    Some(stream) => Arc::clone(stream),
                    None => Arc::new(Stream::new(&self.context)?),
                };
                let product = Product::new(&self.context, &self.blas, &matrices, &stream)?;
                let lane = BlasLane::new(&self.context, product, spec, stream)?;
                Ok(Box::new(lane) as Box<dyn Lane>)
            })
            .collect()
    }
}

/// Bytes of a matrix.
fn bytes(matrices: &Matrices) -> usize {
    matmul::size(matrices.n, matrices.precision) as usize
}
