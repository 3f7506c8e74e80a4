"""The Python side of narrows ladder: one rung in this interpreter, driven over pipes.

Not a program of its own: narrows joins base.py, frameworks.py, bindings.py and main.py and runs
them with -c. A rung is a class with open(job), result() and lane(index); lane() runs in the thread
that will use it and returns a function that does one op and waits for it.
"""

import ctypes
import importlib
import json
import mmap
import os
import queue
import signal
import sys
import threading
import time

PREFIX = "narrows-rung "


class Missing(Exception):
    """A package is not installed."""


class Unsupported(Exception):
    """The rung cannot work on this machine."""


class Job:
    """What was ordered, with the bytes of the inputs."""

    def __init__(self, order):
        self.api = order["api"]
        self.rung = order["rung"]
        self.device = order["device"]
        self.device_name = order["device_name"]
        self.n = order["n"]
        self.half = order["precision"] == "f16"
        self.result = order["result"]
        self.page = order["page"]
        self.slot = order["slot"]
        self.kernel = order["kernel"]
        with open(order["inputs"], "rb") as file:
            data = file.read()
        middle = len(data) // 2
        self.a, self.b = data[:middle], data[middle:]
        self.bytes = middle

    def numpy(self):
        """A and B as arrays."""
        import numpy

        kind = numpy.float16 if self.half else numpy.float32
        shape = (self.n, self.n)
        return tuple(numpy.frombuffer(data, kind).reshape(shape) for data in (self.a, self.b))


def package(name, why=""):
    """Imports a package; one that is not there is a result. Errors inside it are not hidden."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Missing(f"Python has no module {error.name}{why}") from error


def of_macos(what):
    """The end of a line that says why `what` is not there: on other systems it cannot be."""
    return "" if sys.platform == "darwin" else f"; {what} needs macOS, this is {sys.platform}"


def is_stand_in(module):
    return bool(getattr(module, "narrows_stand_in", False))


def describe(device, module, name, software=False, notes=()):
    """What the row says of itself."""
    version = getattr(module, "__version__", "of unknown version")
    python = "%s %s" % (sys.implementation.name, sys.version.split()[0])
    lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    stack = f"{name} {version}, {python}{'' if lock else ' without the GIL'}"
    return {"device": device, "software_stack": stack, "software": software,
            "stand_in": is_stand_in(module), "notes": list(notes)}
