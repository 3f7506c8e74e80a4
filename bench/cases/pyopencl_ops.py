"""One empty OpenCL kernel and a wait per op, N Python threads, each with its own queue.

usage: pyopencl_ops.py THREADS [SECONDS]
"""

import json
import sys
import threading
import time

import pyopencl as cl


def main():
    threads = int(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    device = cl.get_platforms()[0].get_devices()[0]
    context = cl.Context([device])
    program = cl.Program(context, "__kernel void nothing() {}").build()
    start, stop = threading.Barrier(threads + 1), threading.Event()
    counts = [0] * threads

    def work(index):
        queue = cl.CommandQueue(context)
        kernel = cl.Kernel(program, "nothing")
        cl.enqueue_nd_range_kernel(queue, kernel, (1,), (1,)).wait()
        start.wait()
        ops = 0
        while not stop.is_set():
            cl.enqueue_nd_range_kernel(queue, kernel, (1,), (1,)).wait()
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
