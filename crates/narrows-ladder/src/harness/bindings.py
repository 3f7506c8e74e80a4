class PyOpenCL:
    """The raw rung's kernel through pyopencl."""

    def __init__(self, shared=False):
        self.shared = shared

    def open(self, job):
        cl = self.cl = package("pyopencl")
        numpy = self.numpy = package("numpy")
        devices = [d for p in cl.get_platforms() for d in p.get_devices()]
        if not devices:
            raise Unsupported("pyopencl sees no OpenCL device")
        named = [d for d in devices if d.name.strip() == job.device_name]
        device = (named or devices)[0]
        if job.half and "cl_khr_fp16" not in device.extensions and not is_stand_in(cl):
            raise Unsupported(f"{device.name} has no 16-bit floating point")
        self.context = cl.Context([device])
        options = ["-D", "F16"] if job.half else []
        self.program = cl.Program(self.context, job.kernel).build(options=options)
        flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
        self.inputs = [cl.Buffer(self.context, flags, hostbuf=m.copy()) for m in job.numpy()]
        self.n, self.bytes = job.n, job.bytes
        # A block of 4 x 4 entries per work item, groups of 8 x 8: as the raw rung.
        items = ((job.n + 3) // 4 + 7) // 8 * 8
        self.items = (items, items)
        self.group = (8, 8) if device.max_work_group_size >= 64 else None
        self.queue = cl.CommandQueue(self.context)
        notes = [] if named or not job.device_name else [f"device {device.name} instead of {job.device_name}"]
        software = bool(device.type & cl.device_type.CPU)
        version = getattr(cl, "VERSION_TEXT", None) or ".".join(map(str, getattr(cl, "VERSION", ())))
        ready = describe(device.name.strip(), cl, "pyopencl", software, notes)
        ready["software_stack"] = ready["software_stack"].replace("of unknown version", version)
        return ready

    def kernel(self):
        cl = self.cl
        c = cl.Buffer(self.context, cl.mem_flags.WRITE_ONLY, self.bytes)
        kernel = cl.Kernel(self.program, "matmul")
        kernel.set_args(self.numpy.uint32(self.n), c, *self.inputs)
        return kernel, c

    def result(self):
        cl = self.cl
        kernel, c = self.kernel()
        cl.enqueue_nd_range_kernel(self.queue, kernel, self.items, self.group).wait()
        data = self.numpy.empty(self.bytes, self.numpy.uint8)
        cl.enqueue_copy(self.queue, data, c).wait()
        return data.tobytes()

    def lane(self, index):
        enqueue, items, group = self.cl.enqueue_nd_range_kernel, self.items, self.group
        commands = self.queue if self.shared else self.cl.CommandQueue(self.context)
        kernel, c = self.kernel()

        def op(kept=c):
            enqueue(commands, kernel, items, group).wait()

        return op


WGSL = """
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

// A block of 4 x 4 entries per invocation, as in the raw rung's kernel.
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = N;
    let row = id.y * 4u;
    let column = id.x * 4u;
    if (row >= n || column >= n) { return; }
    var sum: array<vec4<f32>, 4>;
    for (var k = 0u; k < n; k++) {
        let at = k * n + column;
        let right = vec4<f32>(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
        for (var i = 0u; i < 4u; i++) {
            sum[i] += a[(row + i) * n + k] * right;
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            c[(row + i) * n + column + j] = sum[i][j];
        }
    }
}
"""


class Wgpu:
    """A compute pass, a submission and a wait per op; one device, as wgpu has one queue. The wait is
    the mapping of 4 bytes of the result: wgpu-py 0.32's wait for submitted work raises TypeError.
    """

    def open(self, job):
        wgpu = self.wgpu = package("wgpu")
        if job.half:
            raise Unsupported("the wgpu rung computes in f32 only")
        adapters = wgpu.gpu.enumerate_adapters_sync()
        if not adapters:
            raise Unsupported("wgpu sees no adapter")
        named = [a for a in adapters
                 if a.info["device"] == job.device_name and a.info["backend_type"] == "Vulkan"]
        notes = []
        adapter = named[0] if named else wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        info = adapter.info
        if not named and job.device_name:
            notes.append(f"device {info['device']} instead of {job.device_name}")
        self.device = adapter.request_device_sync()
        self.n, self.bytes = job.n, job.bytes
        usage = wgpu.BufferUsage.STORAGE
        self.inputs = [self.device.create_buffer_with_data(data=m, usage=usage) for m in (job.a, job.b)]
        module = self.device.create_shader_module(code=WGSL.replace("= N;", f"= {job.n}u;"))
        self.pipeline = self.device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": "main"})
        self.groups = (job.n // 4 + 7) // 8
        return describe(info["device"], wgpu, "wgpu-py",
                        str(info.get("adapter_type", "")).upper() == "CPU", notes)

    def bind(self):
        usage = self.wgpu.BufferUsage.STORAGE | self.wgpu.BufferUsage.COPY_SRC
        c = self.device.create_buffer(size=self.bytes, usage=usage)
        entries = [{"binding": i, "resource": {"buffer": m, "offset": 0, "size": self.bytes}}
                   for i, m in enumerate((*self.inputs, c))]
        layout = self.pipeline.get_bind_group_layout(0)
        return self.device.create_bind_group(layout=layout, entries=entries), c

    def staging(self):
        usage = self.wgpu.BufferUsage.MAP_READ | self.wgpu.BufferUsage.COPY_DST
        return self.device.create_buffer(size=4, usage=usage)

    def submit(self, group, c, mapped):
        encoder = self.device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(self.pipeline)
        work.set_bind_group(0, group)
        work.dispatch_workgroups(self.groups, self.groups, 1)
        work.end()
        encoder.copy_buffer_to_buffer(c, 0, mapped, 0, 4)
        self.device.queue.submit([encoder.finish()])

    def result(self):
        group, c = self.bind()
        self.submit(group, c, self.staging())
        return bytes(self.device.queue.read_buffer(c))

    def lane(self, index):
        group, c = self.bind()
        mapped = self.staging()
        submit, read = self.submit, self.wgpu.MapMode.READ
        wait, release = mapped.map_sync, mapped.unmap

        def op():
            submit(group, c, mapped)
            wait(read)
            release()

        return op


class Ncnn:
    """A net of one Gemm layer. ncnn moves inputs and outputs itself, in every op."""

    PARAM = "7767517\n3 3\nInput a 0 1 a\nInput b 0 1 b\nGemm c 2 1 a b c\n"

    def open(self, job):
        ncnn = self.ncnn = package("ncnn")
        if job.half:
            raise Unsupported("the ncnn rung computes in f32 only")
        if ncnn.get_gpu_count() < 1:
            raise Unsupported("ncnn sees no Vulkan device")
        index = ncnn.get_default_gpu_index()
        for i in range(ncnn.get_gpu_count()):
            if ncnn.get_gpu_info(i).device_name() == job.device_name:
                index = i
        self.net = ncnn.Net()
        self.net.opt.use_vulkan_compute = True
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            if hasattr(self.net.opt, option):
                setattr(self.net.opt, option, False)
        self.net.set_vulkan_device(index)
        if self.net.load_param_mem(self.PARAM) != 0:
            raise Unsupported("this ncnn has no Gemm layer")
        self.net.load_model_mem(b"\0" * 4)
        # A Mat made from an array only borrows its memory, which has to live until it is cloned.
        arrays = [m.copy() for m in job.numpy()]
        self.a, self.b = (ncnn.Mat(m).clone() for m in arrays)
        info = ncnn.get_gpu_info(index)
        # VkPhysicalDeviceType: 4 is CPU; ncnn's own type has 3 for it.
        return describe(info.device_name(), ncnn, "ncnn", info.type() == 3)

    def run(self):
        extractor = self.net.create_extractor()
        extractor.input("a", self.a)
        extractor.input("b", self.b)
        status, c = extractor.extract("c")
        if status != 0:
            raise RuntimeError(f"ncnn's extract failed with {status}")
        # The result's memory is the extractor's.
        return extractor, c

    def result(self):
        import numpy

        kept, c = self.run()
        return numpy.array(c, numpy.float32).tobytes()

    def lane(self, index):
        return self.run


RUNGS = {
    ("cuda", "cupy"): CuPy,
    ("cuda", "torch-event"): lambda: Torch("cuda", "event"),
    ("cuda", "torch-stream"): lambda: Torch("cuda", "stream"),
    ("cuda", "torch-device"): lambda: Torch("cuda", "device"),
    ("cuda", "torch-shared"): lambda: Torch("cuda", "event", shared=True),
    ("cuda", "torch-pool"): lambda: Torch("cuda", "event"),
    ("cuda", "jax"): Jax,
    ("opencl", "pyopencl"): PyOpenCL,
    ("opencl", "pyopencl-shared"): lambda: PyOpenCL(shared=True),
    ("opencl", "pyopencl-pool"): PyOpenCL,
    ("vulkan", "wgpu"): Wgpu,
    ("vulkan", "wgpu-pool"): Wgpu,
    ("vulkan", "ncnn"): Ncnn,
    ("metal", "torch-device"): lambda: Torch("mps", "device"),
    ("metal", "torch-event"): lambda: Torch("mps", "event"),
    ("metal", "torch-stream"): lambda: Torch("mps", "stream"),
    ("metal", "torch-pool"): lambda: Torch("mps", "device"),
    ("metal", "mlx"): Mlx,
    ("metal", "mlx-pool"): Mlx,
}
