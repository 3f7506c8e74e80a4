"""A deterministic PyTorch program for comparing call counts: streams, events, copies, a graph.

usage: counted_torch.py [ROUNDS]
"""

import sys

import torch

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
streams = [torch.cuda.Stream() for _ in range(3)]
events = [torch.cuda.Event() for _ in streams]
data = [torch.zeros(256, 256, device="cuda") for _ in streams]
host = torch.empty(256, 256, pin_memory=True)

graph = torch.cuda.CUDAGraph()
total = torch.zeros(256, 256, device="cuda")
torch.cuda.synchronize()
with torch.cuda.graph(graph):
    total.add_(1)
    total.add_(1)

for number in range(rounds):
    for stream, event, tensor in zip(streams, events, data):
        with torch.cuda.stream(stream):
            tensor.add_(1)
            event.record(stream)
    streams[0].wait_event(events[1])
    graph.replay()
    with torch.cuda.stream(streams[number % 3]):
        host.copy_(data[number % 3], non_blocking=True)
    if number & 1:
        events[number % 3].synchronize()
    else:
        streams[number % 3].synchronize()
torch.cuda.synchronize()
right = all(bool((tensor == rounds).all()) for tensor in data) and bool((total == 2 * rounds).all())
print("OK" if right else "WRONG", total[0, 0].item())
sys.exit(not right)
