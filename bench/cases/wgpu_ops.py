"""Clear a buffer, submit and read it back per op, N Python threads on one wgpu device.

usage: wgpu_ops.py THREADS [SECONDS]
"""

import json
import sys
import threading
import time

import wgpu


def main():
    threads = int(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    device = adapter.request_device_sync()
    start, stop = threading.Barrier(threads + 1), threading.Event()
    counts = [0] * threads

    def work(index):
        usage = wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        buffer = device.create_buffer(size=256, usage=usage)
        start.wait()
        ops = 0
        while not stop.is_set():
            encoder = device.create_command_encoder()
            encoder.clear_buffer(buffer)
            device.queue.submit([encoder.finish()])
            device.queue.read_buffer(buffer)
            ops += 1
        counts[index] = ops

    crew = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for thread in crew:
        thread.start()
    start.wait()
    begin = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    took = time.perf_counter() - begin
    for thread in crew:
        thread.join()
    print(json.dumps({"threads": threads, "ops": sum(counts), "ops_per_s": sum(counts) / took}))


main()
