//! Kernels: pipelines, their inputs, calibration and the check against the CPU.

use super::NAME;
use super::api::{error, status};
use super::buffer::Buffer;
use super::device::Logical;
use crate::calibrate::calibrate;
use crate::matmul::{self, Inputs};
use crate::{Calibration, Error, Precision, Preparation, Work};
use ash::vk;
use std::sync::Arc;
use std::time::Duration;

/// SPIR-V of `shaders/*.comp`; made by `shaders/compile.sh`, which a test runs again.
const BUSY: &[u8] = include_bytes!("shaders/busy.spv");
const MATMUL_F32: &[u8] = include_bytes!("shaders/matmul_f32.spv");
const MATMUL_F16: &[u8] = include_bytes!("shaders/matmul_f16.spv");
/// Edge of what a work group of the matmul shaders computes: 8 x 8 invocations of 4 x 4 entries.
const TILE: u32 = 32;
/// Iterations of `busy` in one dispatch; more are split, as some software drivers end all loops of
/// an invocation after 65,535 iterations.
const MAX_ITERATIONS: u64 = 1 << 15;

/// What an op of one work needs on the device. `None` for an empty command buffer.
pub(super) struct Program {
    kernel: Option<Kernel>,
}

struct Kernel {
    logical: Arc<Logical>,
    pipeline: vk::Pipeline,
    layout: vk::PipelineLayout,
    set_layout: vk::DescriptorSetLayout,
    /// The shader's only push constant, one dispatch each: iterations, or rows and columns.
    dispatches: Vec<u32>,
    /// Work groups in x and y.
    groups: u32,
    result_size: u64,
    /// `A` and `B` of a matmul.
    inputs: Vec<Buffer>,
}

/// Results and descriptor sets of one lane: one per submission in flight.
pub(super) struct Bindings {
    logical: Arc<Logical>,
    pool: vk::DescriptorPool,
    sets: Vec<vk::DescriptorSet>,
    results: Vec<Buffer>,
}

impl Program {
    /// Builds what `work` needs; `known` is what an earlier preparation on the same physical
    /// device found, so that all lanes of a run get the same kernel.
    pub(super) fn build(
        logical: &Arc<Logical>,
        work: Work,
        known: Option<&Preparation>,
    ) -> Result<(Self, Preparation), Error> {
        match work {
            Work::Noop => Ok((Self { kernel: None }, Preparation::default())),
            Work::Busy(wanted) => Self::busy(logical, wanted, known.and_then(|k| k.calibration)),
            Work::Matmul { n, precision } => Self::matmul(logical, n, precision),
        }
    }

    fn busy(
        logical: &Arc<Logical>,
        wanted: Duration,
        known: Option<Calibration>,
    ) -> Result<(Self, Preparation), Error> {
        let mut kernel = Kernel::new(logical, BUSY, 1, 4)?;
        let calibration = match known {
            Some(calibration) => calibration,
            None => kernel.calibrate(wanted)?,
        };
        kernel.dispatches = split(calibration.iterations);
        let preparation = Preparation {
            calibration: Some(calibration),
            max_relative_error: None,
        };
        Ok((
            Self {
                kernel: Some(kernel),
            },
            preparation,
        ))
    }

    fn matmul(
        logical: &Arc<Logical>,
        n: u32,
        precision: Precision,
    ) -> Result<(Self, Preparation), Error> {
        let code = match precision {
            Precision::F32 => MATMUL_F32,
            Precision::F16 => MATMUL_F16,
        };
        // Memory is bound in whole words.
        let size = matmul::size(n, precision).next_multiple_of(4);
        let mut kernel = Kernel::new(logical, code, n.div_ceil(TILE), size)?;
        kernel.dispatches = vec![n];
        let inputs = Inputs::new(n, precision);
        let (a, b) = inputs.bytes();
        for bytes in [a, b] {
            let buffer = Buffer::on_device(logical, size)?;
            buffer.upload(&bytes)?;
            kernel.inputs.push(buffer);
        }
        let bindings = kernel.bindings(1)?;
        logical.run_once(|commands| kernel.dispatch(commands, &bindings, 0))?;
        let mut result = bindings.download(0)?;
        result.truncate(matmul::size(n, precision) as usize);
        let worst = inputs.check(NAME, &result)?;
        let preparation = Preparation {
            calibration: None,
            max_relative_error: Some(worst),
        };
        Ok((
            Self {
                kernel: Some(kernel),
            },
            preparation,
        ))
    }

    /// Results for `slots` submissions in flight; `None` when nothing is computed.
    pub(super) fn bindings(&self, slots: u32) -> Result<Option<Bindings>, Error> {
        self.kernel.as_ref().map(|k| k.bindings(slots)).transpose()
    }

    /// Records op number `op` of a submission that uses result `slot`.
    pub(super) fn record(
        &self,
        logical: &Logical,
        commands: vk::CommandBuffer,
        bindings: Option<&Bindings>,
        slot: usize,
        op: usize,
    ) {
        let (Some(kernel), Some(bindings)) = (&self.kernel, bindings) else {
            return;
        };
        if op > 0 {
            wait_for_earlier_kernels(logical, commands);
        }
        kernel.dispatch(commands, bindings, slot);
    }
}

/// Iterations of each dispatch.
fn split(iterations: u64) -> Vec<u32> {
    let parts = iterations.div_ceil(MAX_ITERATIONS).max(1);
    // Even parts, so that the last is not a stub; the total is exact.
    let part = |index| (iterations * (index + 1) / parts - iterations * index / parts) as u32;
    (0..parts).map(part).collect()
}

/// Ops of one submission write one result, so each waits for the one before.
fn wait_for_earlier_kernels(logical: &Logical, commands: vk::CommandBuffer) {
    let barrier = [vk::MemoryBarrier::default()
        .src_access_mask(vk::AccessFlags::SHADER_WRITE)
        .dst_access_mask(vk::AccessFlags::SHADER_WRITE)];
    let stage = vk::PipelineStageFlags::COMPUTE_SHADER;
    let flags = vk::DependencyFlags::empty();
    // SAFETY: `commands` is being recorded by its owner.
    unsafe {
        logical
            .raw()
            .cmd_pipeline_barrier(commands, stage, stage, flags, &barrier, &[], &[])
    };
}

impl Kernel {
    fn new(
        logical: &Arc<Logical>,
        code: &[u8],
        groups: u32,
        result_size: u64,
    ) -> Result<Self, Error> {
        let device = logical.raw();
        let mut kernel = Self {
            logical: Arc::clone(logical),
            pipeline: vk::Pipeline::null(),
            layout: vk::PipelineLayout::null(),
            set_layout: vk::DescriptorSetLayout::null(),
            dispatches: Vec::new(),
            groups,
            result_size,
            inputs: Vec::new(),
        };
        let bindings = [0, 1, 2].map(|binding| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        });
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: the device is alive; `info` lives until the call returns; destroyed in `drop`.
        let made = unsafe { device.create_descriptor_set_layout(&info, None) };
        kernel.set_layout = status("vkCreateDescriptorSetLayout", made)?;
        let layouts = [kernel.set_layout];
        let push = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(4)];
        let info = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(&layouts)
            .push_constant_ranges(&push);
        // SAFETY: as above; the set layout is from this device.
        let made = unsafe { device.create_pipeline_layout(&info, None) };
        kernel.layout = status("vkCreatePipelineLayout", made)?;
        kernel.pipeline = pipeline(logical, code, kernel.layout)?;
        Ok(kernel)
    }

    /// By the device's own clock.
    fn calibrate(&mut self, wanted: Duration) -> Result<Calibration, Error> {
        let logical = Arc::clone(&self.logical);
        let Some(clock) = logical.timestamps else {
            return Err(Error::Unsupported {
                backend: NAME,
                what: "busy".into(),
                why: "the queue family has no time stamps to calibrate with".into(),
            });
        };
        let bindings = self.bindings(1)?;
        let stopwatch = Stopwatch::new(&logical, clock)?;
        calibrate(NAME, wanted, |iterations| {
            self.dispatches = split(iterations);
            stopwatch.time(|commands| self.dispatch(commands, &bindings, 0))
        })
    }

    fn bindings(&self, slots: u32) -> Result<Bindings, Error> {
        let device = self.logical.raw();
        let sizes = [vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(3 * slots)];
        let info = vk::DescriptorPoolCreateInfo::default()
            .max_sets(slots)
            .pool_sizes(&sizes);
        // SAFETY: the device is alive; `info` lives until the call returns; destroyed in `drop`.
        let pool = unsafe { device.create_descriptor_pool(&info, None) };
        let mut bindings = Bindings {
            logical: Arc::clone(&self.logical),
            pool: status("vkCreateDescriptorPool", pool)?,
            sets: Vec::new(),
            results: Vec::new(),
        };
        let layouts = vec![self.set_layout; slots as usize];
        let info = vk::DescriptorSetAllocateInfo::default()
            .descriptor_pool(bindings.pool)
            .set_layouts(&layouts);
        // SAFETY: pool and layouts are from this device; the pool has room for `slots` sets.
        let sets = unsafe { device.allocate_descriptor_sets(&info) };
        bindings.sets = status("vkAllocateDescriptorSets", sets)?;
        for set in bindings.sets.iter().copied() {
            let result = Buffer::on_device(&self.logical, self.result_size)?;
            self.bind(set, &result);
            bindings.results.push(result);
        }
        Ok(bindings)
    }

    /// Inputs at 0 and 1, result at 2. A kernel without inputs uses binding 2 only.
    fn bind(&self, set: vk::DescriptorSet, result: &Buffer) {
        let whole = |buffer: &Buffer| {
            [vk::DescriptorBufferInfo::default()
                .buffer(buffer.raw())
                .range(vk::WHOLE_SIZE)]
        };
        let mut infos: Vec<_> = self.inputs.iter().map(whole).zip(0..).collect();
        infos.push((whole(result), 2));
        let writes: Vec<_> = infos
            .iter()
            .map(|(info, binding)| {
                vk::WriteDescriptorSet::default()
                    .dst_set(set)
                    .dst_binding(*binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .buffer_info(info)
            })
            .collect();
        // SAFETY: the set is new and in no command buffer yet; all buffers are from this device.
        unsafe { self.logical.raw().update_descriptor_sets(&writes, &[]) };
    }

    fn dispatch(&self, commands: vk::CommandBuffer, bindings: &Bindings, slot: usize) {
        let device = self.logical.raw();
        let point = vk::PipelineBindPoint::COMPUTE;
        let set = bindings.sets.get(slot..=slot).unwrap_or_default();
        // SAFETY: `commands` is being recorded by its owner; the pipeline outlives the lanes.
        unsafe { device.cmd_bind_pipeline(commands, point, self.pipeline) };
        // SAFETY: the set has the layout that the pipeline layout was made with.
        unsafe { device.cmd_bind_descriptor_sets(commands, point, self.layout, 0, set, &[]) };
        let stage = vk::ShaderStageFlags::COMPUTE;
        for (index, push) in self.dispatches.iter().enumerate() {
            if index > 0 {
                wait_for_earlier_kernels(&self.logical, commands);
            }
            let bytes = push.to_ne_bytes();
            // SAFETY: four bytes, as the layout says.
            unsafe { device.cmd_push_constants(commands, self.layout, stage, 0, &bytes) };
            // SAFETY: pipeline, set and constants are bound above.
            unsafe { device.cmd_dispatch(commands, self.groups, self.groups, 1) };
        }
    }
}

fn pipeline(
    logical: &Logical,
    code: &[u8],
    layout: vk::PipelineLayout,
) -> Result<vk::Pipeline, Error> {
    let device = logical.raw();
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
    let words: Vec<u32> = code.chunks_exact(4).map(word).collect();
    let info = vk::ShaderModuleCreateInfo::default().code(&words);
    // SAFETY: the words are valid SPIR-V, which a test checks; destroyed below.
    let module = unsafe { device.create_shader_module(&info, None) };
    let module = status("vkCreateShaderModule", module)?;
    let stage = vk::PipelineShaderStageCreateInfo::default()
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(module)
        .name(c"main");
    let info = [vk::ComputePipelineCreateInfo::default()
        .stage(stage)
        .layout(layout)];
    // SAFETY: module and layout are from this device and fit each other.
    let made = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &info, None) };
    // SAFETY: a pipeline does not need its modules once it is made.
    unsafe { device.destroy_shader_module(module, None) };
    match made {
        Ok(pipelines) => Ok(pipelines.first().copied().unwrap_or_default()),
        Err((_, code)) => Err(error("vkCreateComputePipelines", code)),
    }
}

impl Bindings {
    fn download(&self, slot: usize) -> Result<Vec<u8>, Error> {
        self.results
            .get(slot)
            .map_or_else(|| Ok(Vec::new()), Buffer::download)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let device = self.logical.raw();
        // SAFETY: lanes keep their program alive and wait for their submissions before they go.
        unsafe { device.destroy_pipeline(self.pipeline, None) };
        // SAFETY: as above; null handles are allowed.
        unsafe { device.destroy_pipeline_layout(self.layout, None) };
        // SAFETY: as above.
        unsafe { device.destroy_descriptor_set_layout(self.set_layout, None) };
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        // SAFETY: the owner drops this only when the device has done with its submissions; sets
        // go with their pool.
        unsafe { self.logical.raw().destroy_descriptor_pool(self.pool, None) };
    }
}

/// Device time of commands, from two time stamps.
struct Stopwatch<'a> {
    logical: &'a Logical,
    pool: vk::QueryPool,
    nanos_per_tick: f64,
    mask: u64,
}

impl<'a> Stopwatch<'a> {
    fn new(logical: &'a Logical, (nanos_per_tick, bits): (f64, u32)) -> Result<Self, Error> {
        let info = vk::QueryPoolCreateInfo::default()
            .query_type(vk::QueryType::TIMESTAMP)
            .query_count(2);
        // SAFETY: the device is alive; destroyed in `drop`.
        let pool = unsafe { logical.raw().create_query_pool(&info, None) };
        let pool = status("vkCreateQueryPool", pool)?;
        let mask = u64::MAX.checked_shr(64 - bits).unwrap_or(u64::MAX);
        Ok(Self {
            logical,
            pool,
            nanos_per_tick,
            mask,
        })
    }

    fn time(&self, commands: impl FnOnce(vk::CommandBuffer)) -> Result<Duration, Error> {
        let device = self.logical.raw();
        self.logical.run_once(|buffer| {
            // SAFETY: the buffer is being recorded; the pool has two queries.
            unsafe { device.cmd_reset_query_pool(buffer, self.pool, 0, 2) };
            let stage = vk::PipelineStageFlags::COMPUTE_SHADER;
            // SAFETY: as above; the family has time stamps.
            unsafe { device.cmd_write_timestamp(buffer, stage, self.pool, 0) };
            commands(buffer);
            // SAFETY: as above.
            unsafe { device.cmd_write_timestamp(buffer, stage, self.pool, 1) };
        })?;
        let mut ticks = [0_u64; 2];
        let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
        // SAFETY: both queries were written by the submission that has ended.
        let read = unsafe { device.get_query_pool_results(self.pool, 0, &mut ticks, flags) };
        status("vkGetQueryPoolResults", read)?;
        let elapsed = ticks[1].wrapping_sub(ticks[0]) & self.mask;
        Ok(Duration::from_nanos(
            (elapsed as f64 * self.nanos_per_tick) as u64,
        ))
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        // SAFETY: every use was waited for.
        unsafe { self.logical.raw().destroy_query_pool(self.pool, None) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_keeps_the_total_and_the_limit() {
        for total in [
            1,
            5,
            MAX_ITERATIONS,
            MAX_ITERATIONS + 1,
            10 * MAX_ITERATIONS + 7,
        ] {
            let parts = split(total);
            assert_eq!(parts.iter().map(|p| u64::from(*p)).sum::<u64>(), total);
            assert!(
                parts
                    .iter()
                    .all(|p| (1..=MAX_ITERATIONS).contains(&u64::from(*p)))
            );
        }
        assert_eq!(split(MAX_ITERATIONS).len(), 1);
    }
}
