"""Packs each recorded process of a trace folder into one input of the fuzz target."""
import pathlib
import sys

source, target = map(pathlib.Path, sys.argv[1:])
for process in sorted(source.glob("p*.*")):
    packed = bytearray()
    for name in ("log", "threads", "calls", "sites", "timeline"):
        content = (process / name).read_bytes().rstrip(b"\0") + bytes(64)
        content = content[: 1 << 18].ljust(4096, b"\0")
        packed += len(content).to_bytes(3, "little") + content
    (target / process.name).write_bytes(packed)
