//! CUDA through the driver API; `libcuda.so.1` is opened at run time.
//!
//! What stands for what:
//!
//! | ours | CUDA |
//! |---|---|
//! | queue | a `CUstream` that does not wait for the default stream; as many as asked for |
//! | queue `per-thread` | `CU_STREAM_PER_THREAD`, the calling thread's default stream |
//! | op | one `cuLaunchKernel` |
//! | submission | `batch` of them; with `record once`, one `cuGraphLaunch` of a graph of `batch` |
//! | `noop` | a kernel that does nothing, of one thread: CUDA has no empty submission |
//! | wait for the queue, device, event | `cuStreamSynchronize`, `cuCtxSynchronize`, `cuEventSynchronize` on an event that `cuEventRecord` puts behind the submission |
//! | context `shared` | the device's primary context, which the CUDA runtime uses as well |
//! | context `own` | a `cuCtxCreate` per thread |
//! | context `green` | a `cuGreenCtxCreate` per thread, each with its own multiprocessors |
//! | wait `spin`, `yield`, `block` | flags of a context of our own, for `block` of the events as well |
//! | wait `poll` | `cuEventQuery`, `cuStreamQuery` again and again |
//!
//! "Device" in a wait is the lane's context. The driver's functions are thread-safe, so there is no
//! lock here. Streams map to the device's hardware queues, 8 unless the environment has
//! `CUDA_DEVICE_MAX_CONNECTIONS`. In the primary context `auto` spins or yields depending on how
//! many contexts the process has (`CU_CTX_SCHED_AUTO`).
//!
//! Kernels are PTX text (`kernels.ptx`), which the driver compiles. `busy:T` is calibrated with
//! timed events around kernels in a row. Matmuls are checked once per context.
//!
//! A device whose name says that it is a stand-in is one: it is never taken for a GPU.

mod api;
pub(crate) mod blas;
mod context;
mod device;
mod lane;
pub mod mps;
mod sys;
mod work;

use crate::{Backend, Device, DeviceInfo, Error};

/// Backend name.
pub(crate) const NAME: &str = "cuda";

/// CUDA as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct CudaBackend;

impl Backend for CudaBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        Ok(api::devices()?.into_iter().map(|(_, info)| info).collect())
    }

    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error> {
        let mut devices = api::devices()?;
        if index >= devices.len() {
            let infos: Vec<_> = devices.into_iter().map(|(_, info)| info).collect();
            return Err(crate::unknown_device(NAME, index.to_string(), &infos));
        }
        let (device, info) = devices.swap_remove(index);
        Ok(Box::new(device::CudaDevice::new(device, info)?))
    }
}
