"""The loop of torch_mm.py as a server: stays up, runs blocks of it on request.

usage: torch_loop.py THREADS [--sync event|device|stream] [--profile none|cuda|all]

Reads lines "SECONDS" from standard input and answers each with one JSON line: ops, seconds. With
--profile each block runs under torch.profiler (CUDA activity, or CPU and CUDA); starting and
stopping it is not in the time of the block. The first line printed says how it was started.
"""

import argparse
import json
import os
import sys
import threading
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("threads", type=int)
parser.add_argument("--sync", default="event", choices=["event", "device", "stream"])
parser.add_argument("--profile", default="none", choices=["none", "cuda", "all"])
options = parser.parse_args()

begin = threading.Barrier(options.threads + 1)
end = threading.Barrier(options.threads + 1)
stop = threading.Event()
leave = False
counts = [0] * options.threads


def worker(index):
    stream = torch.cuda.Stream()
    done = torch.cuda.Event()
    with torch.cuda.stream(stream):
        a = torch.randn(512, 512, device="cuda", dtype=torch.float16)
        b = torch.randn(512, 512, device="cuda", dtype=torch.float16)
        out = torch.empty_like(a)
        torch.mm(a, b, out=out)
        stream.synchronize()
        while True:
            begin.wait()
            if leave:
                return
            ops = 0
            while not stop.is_set():
                torch.mm(a, b, out=out)
                if options.sync == "event":
                    done.record(stream)
                    done.synchronize()
                elif options.sync == "stream":
                    stream.synchronize()
                else:
                    torch.cuda.synchronize()
                ops += 1
            counts[index] = ops
            end.wait()


def block(seconds):
    stop.clear()
    begin.wait()
    start = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    passed = time.perf_counter() - start
    end.wait()
    return {"ops": sum(counts), "seconds": passed}


def profiled(seconds):
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA]
    if options.profile == "all":
        activities.append(ProfilerActivity.CPU)
    with profile(activities=activities):
        result = block(seconds)
    return result


threads = [threading.Thread(target=worker, args=(i,)) for i in range(options.threads)]
for thread in threads:
    thread.start()
print(json.dumps({"preload": os.environ.get("LD_PRELOAD", ""),
                  "trace": os.environ.get("NARROWS_TRACE", "")}), flush=True)
for line in sys.stdin:
    run = block if options.profile == "none" else profiled
    print(json.dumps(run(float(line))), flush=True)
leave = True
begin.wait()
for thread in threads:
    thread.join()
