//! OpenCL through `cl3`; the loader (`libOpenCL.so.1`) is opened at run time.
//!
//! What stands for what:
//!
//! | ours | OpenCL |
//! |---|---|
//! | queue | an in-order `cl_command_queue`; as many as asked for |
//! | op | one `clEnqueueNDRangeKernel` |
//! | submission | `batch` of them, then `clFlush` if more than one submission may be in flight |
//! | `noop` | a kernel that does nothing, with one work item: OpenCL has no empty submission |
//! | wait for the queue | `clFinish` |
//! | wait for the device | `clFinish` on every queue of the same lanes: OpenCL has no call for it |
//! | wait for an event | `clWaitForEvents` on the event of the submission's last op, `clReleaseEvent` |
//!
//! A wait flushes by itself, so depth 1 needs no `clFlush`. An event is asked for only where it is
//! waited for. OpenCL's calls are thread-safe but for the arguments of one kernel object, so there
//! is no lock here; every lane has its own kernel object and result.
//!
//! `busy:T` is calibrated with the device's profiling clock. All platforms' devices are listed,
//! platform by platform; a CPU device (PoCL) is labelled as software.

mod api;
mod device;
mod lane;
mod work;

use crate::{Backend, Device, DeviceInfo, Error};

/// Backend name.
pub(crate) const NAME: &str = "opencl";

/// The kernels' source, for programs that run the same op through another binding.
pub const KERNELS: &str = include_str!("kernels.cl");

/// OpenCL as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenclBackend;

impl Backend for OpenclBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        Ok(api::physicals()?.into_iter().map(|p| p.info).collect())
    }

    fn open(&self, index: usize) -> Result<Box<dyn Device>, Error> {
        let mut physicals = api::physicals()?;
        if index >= physicals.len() {
            let infos: Vec<_> = physicals.into_iter().map(|p| p.info).collect();
            return Err(crate::unknown_device(NAME, index.to_string(), &infos));
        }
        Ok(Box::new(device::OpenclDevice::open(
            physicals.swap_remove(index),
        )?))
    }
}
