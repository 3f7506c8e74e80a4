class Torch:
    """torch.mm into a result of its own per thread. sync: event, stream or device."""

    def __init__(self, kind, sync, shared=False):
        self.kind, self.sync, self.shared = kind, sync, shared

    def open(self, job):
        why = of_macos("PyTorch's MPS") if self.kind == "mps" else ""
        torch = self.torch = package("torch", why)
        notes = []
        if self.kind == "cuda":
            if not torch.cuda.is_available():
                raise Unsupported(f"PyTorch {torch.__version__} sees no CUDA device")
            if torch.backends.cuda.matmul.allow_tf32:
                torch.backends.cuda.matmul.allow_tf32 = False
            device = torch.cuda.get_device_name(torch.cuda.current_device())
        else:
            if not torch.backends.mps.is_available():
                raise Unsupported(f"PyTorch {torch.__version__} has no MPS device{why}")
            device = "MPS"
        if self.sync == "stream" and self.kind == "mps" and not hasattr(torch.mps, "Stream"):
            raise Unsupported(f"PyTorch {torch.__version__} has no torch.mps.Stream")
        kind = torch.float16 if job.half else torch.float32

        def matrix(data):
            return torch.frombuffer(bytearray(data), dtype=kind).reshape(job.n, job.n).to(self.kind)

        self.a, self.b = matrix(job.a), matrix(job.b)
        self.bytes = job.bytes
        self.wait_for_all()
        if self.shared:
            self.stream = torch.cuda.Stream()
        return describe(device, torch, "PyTorch", notes=notes)

    def wait_for_all(self):
        (self.torch.cuda if self.kind == "cuda" else self.torch.mps).synchronize()

    def result(self):
        c = self.torch.mm(self.a, self.b)
        self.wait_for_all()
        c = c.to("cpu").contiguous()
        return ctypes.string_at(c.data_ptr(), self.bytes)

    def lane(self, index):
        torch, mm, a, b = self.torch, self.torch.mm, self.a, self.b
        out = torch.empty_like(a)
        if self.kind == "mps":
            return self.mps_lane(mm, a, b, out)
        stream = self.stream if self.shared else torch.cuda.Stream()
        torch.cuda.set_stream(stream)
        if self.sync == "device":
            wait = torch.cuda.synchronize

            def op():
                mm(a, b, out=out)
                wait()
        elif self.sync == "stream":
            wait = stream.synchronize

            def op():
                mm(a, b, out=out)
                wait()
        else:
            done = torch.cuda.Event()
            record, wait = done.record, done.synchronize

            def op():
                mm(a, b, out=out)
                record(stream)
                wait()
        return op

    def mps_lane(self, mm, a, b, out):
        mps = self.torch.mps
        if self.sync == "event":
            done = mps.event.Event()
            record, wait = done.record, done.synchronize

            def op():
                mm(a, b, out=out)
                record()
                wait()

            return op
        wait = mps.synchronize
        if self.sync == "stream":
            stream = mps.Stream()
            mps.set_stream(stream)
            wait = stream.synchronize

        def op():
            mm(a, b, out=out)
            wait()

        return op


class CuPy:
    """cupy.matmul on a stream per thread."""

    def open(self, job):
        cupy = self.cupy = package("cupy")
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as error:
            raise Unsupported(f"CuPy {cupy.__version__} sees no CUDA device: {error}") from error
        if count < 1:
            raise Unsupported(f"CuPy {cupy.__version__} sees no CUDA device")
        self.a, self.b = (cupy.asarray(m) for m in job.numpy())
        cupy.cuda.Device().synchronize()
        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"]
        name = name.decode() if isinstance(name, bytes) else name
        return describe(name, cupy, "CuPy")

    def result(self):
        c = self.cupy.matmul(self.a, self.b)
        return self.cupy.asnumpy(c).tobytes()

    def lane(self, index):
        matmul, a, b = self.cupy.matmul, self.a, self.b
        stream = self.cupy.cuda.Stream(non_blocking=True)
        stream.use()
        out = self.cupy.empty_like(a)
        wait = stream.synchronize

        def op():
            matmul(a, b, out=out)
            wait()

        return op


class Jax:
    """A jitted matmul. JAX gives a program no streams: all threads share the device's one."""

    def open(self, job):
        jax = self.jax = package("jax")
        self.numpy = package("numpy")
        if jax.default_backend() in ("cpu",):
            raise Unsupported(f"JAX {jax.__version__} sees no GPU, only {jax.default_backend()}")
        self.a, self.b = (jax.device_put(m) for m in job.numpy())
        # The default may round inputs to TF32, which is not the work of the other rungs.
        self.matmul = jax.jit(lambda a, b: jax.numpy.matmul(a, b, precision="highest"))
        notes = ["each op returns a new array, as JAX has no output argument"]
        return describe(jax.devices()[0].device_kind, jax, "JAX", notes=notes)

    def result(self):
        return self.numpy.asarray(self.matmul(self.a, self.b)).tobytes()

    def lane(self, index):
        matmul, a, b = self.matmul, self.a, self.b

        def op():
            matmul(a, b).block_until_ready()

        return op


class Mlx:
    """mlx.core.matmul on a stream per thread."""

    def open(self, job):
        why = of_macos("MLX's Metal device")
        mx = self.mx = package("mlx.core", why)
        if not getattr(mx.metal, "is_available", lambda: False)():
            raise Unsupported(f"MLX has no Metal device{why}")
        self.numpy = package("numpy")
        self.a, self.b = (mx.array(m) for m in job.numpy())
        mx.eval(self.a, self.b)
        info = getattr(mx, "device_info", None) or getattr(mx.metal, "device_info", dict)
        device = str(info().get("device_name", "Metal device"))
        notes = ["each op returns a new array, as MLX has no output argument"]
        return describe(device, mx, "MLX", notes=notes)

    def result(self):
        c = self.mx.matmul(self.a, self.b)
        self.mx.eval(c)
        return self.numpy.array(c).tobytes()

    def lane(self, index):
        mx, a, b = self.mx, self.a, self.b
        matmul, evaluate = mx.matmul, mx.eval
        stream = mx.new_stream(mx.gpu)

        def op():
            evaluate(matmul(a, b, stream=stream))

        return op
