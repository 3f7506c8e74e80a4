"""512x512 f16 matmuls from N threads, each on its own stream, each op waited for.

usage: torch_mm.py THREADS [--seconds S] [--sync event|device|stream]
Prints one JSON line: threads, ops, seconds, ops_per_s.
"""

import argparse
import json
import threading
import time

import torch


def worker(sync, start, stop, counts, index):
    stream = torch.cuda.Stream()
    done = torch.cuda.Event()
    with torch.cuda.stream(stream):
        a = torch.randn(512, 512, device="cuda", dtype=torch.float16)
        b = torch.randn(512, 512, device="cuda", dtype=torch.float16)
        out = torch.empty_like(a)
        torch.mm(a, b, out=out)
        stream.synchronize()
        start.wait()
        ops = 0
        while not stop.is_set():
            torch.mm(a, b, out=out)
            if sync == "event":
                done.record(stream)
                done.synchronize()
            elif sync == "stream":
                stream.synchronize()
            else:
                torch.cuda.synchronize()
            ops += 1
        counts[index] = ops


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("threads", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sync", default="event", choices=["event", "device", "stream"])
    arguments = parser.parse_args()
    start = threading.Barrier(arguments.threads + 1)
    stop = threading.Event()
    counts = [0] * arguments.threads
    threads = [
        threading.Thread(target=worker, args=(arguments.sync, start, stop, counts, i))
        for i in range(arguments.threads)
    ]
    for thread in threads:
        thread.start()
    start.wait()
    begin = time.perf_counter()
    time.sleep(arguments.seconds)
    stop.set()
    seconds = time.perf_counter() - begin
    for thread in threads:
        thread.join()
    ops = sum(counts)
    print(json.dumps({"threads": arguments.threads, "ops": ops, "seconds": seconds,
                      "ops_per_s": ops / seconds}))


main()
