"""Compares the audits in a folder with a list of selectors; see run."""

import json
import sys

folder, expected = sys.argv[1:]


def selectors(name):
    with open(f"{folder}/{name}.json") as file:
        objects = json.load(file)["objects"]
    return next(o for o in objects if o["path"].endswith(f"{name}.dylib"))["selectors"]


wanted = {}
with open(expected) as file:
    for line in file:
        if not line.startswith("#"):
            selector, places = line.rstrip("\n").split("\t")
            wanted[selector] = int(places)
torch = selectors("libtorch_cpu")
missing = sorted(set(wanted) - set(torch))
differ = sorted(s for s in set(wanted) & set(torch) if torch[s]["sites"] != wanted[s])
print(f"libtorch_cpu: {len(wanted) - len(missing)} of {len(wanted)} expected selectors found, "
      f"{len(differ)} with another number of places, {len(set(torch) - set(wanted))} not expected")
for selector in missing + differ:
    print(f"  {selector}: expected {wanted[selector]}, found {torch.get(selector)}")
mlx = selectors("libmlx")
named = sorted(s for s, row in mlx.items() if row["by_string"])
print(f"libmlx: {len(named)} selectors of Metal by name, {len(mlx) - len(named)} by reference")
lacking = {"commit", "waitUntilCompleted", "commandBufferWithUnretainedReferences",
           "computeCommandEncoderWithDispatchType:"} - set(named)
for selector in sorted(lacking):
    print(f"  {selector}: not found")
for name, found in ("libtorch_cpu", torch), ("libmlx", mlx):
    ours = [row for row in found.values() if row["interface"]]
    print(f"{name}: {sum(row['covered'] for row in ours)} of {len(ours)} selectors of Metal, MPS "
          "and MPSGraph are hooked")
sys.exit(bool(missing or differ or lacking))
