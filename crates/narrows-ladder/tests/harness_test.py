"""Unit tests of the harness: counters, runs, the words for what goes wrong. No package is needed."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest

HARNESS = pathlib.Path(__file__).resolve().parent.parent / "src" / "harness"
PARTS = ("base.py", "frameworks.py", "bindings.py", "main.py")
SOURCE = "\n\n".join((HARNESS / part).read_text() for part in PARTS)
harness = types.ModuleType("harness")
exec(compile(SOURCE, "harness", "exec"), harness.__dict__)


def page_file(folder, slots):
    path = os.path.join(folder, "page")
    with open(path, "wb") as file:
        file.write(b"nCt1".ljust(64, b"\0") + bytes(64) + bytes(64 * slots))
    return path


def stop(page, on):
    page.words[harness.Page.STOP] = int(on)


def counters(path, slots):
    data = pathlib.Path(path).read_bytes()
    return [struct.unpack_from("Q", data, 128 + 64 * i)[0] for i in range(slots)]


class Rung:
    """Counts its ops; breaks on demand."""

    def __init__(self, error=None):
        self.ops, self.threads, self.error = [], set(), error

    def lane(self, index):
        def op():
            if self.error:
                raise self.error
            self.threads.add(threading.get_ident())
            self.ops.append(index)
            time.sleep(0.0005)

        return op


class Runs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = page_file(self.folder.name, 8)
        self.page = harness.Page(self.path)
        self.said, self.heard = [], threading.Event()

    def tearDown(self):
        self.folder.cleanup()

    def say(self, answer):
        self.said.append(answer)
        self.heard.set()

    def run_for(self, crew, threads):
        self.heard.clear()
        stop(self.page, False)
        before = counters(self.path, 8)
        crew.run(threads)
        first = crew.first_slot
        for _ in range(2000):
            gained = [now - then for now, then in zip(counters(self.path, 8), before)]
            if self.said[-1:] not in ([], [{"answer": "stopped"}]) or all(gained[first:first + threads]):
                break
            time.sleep(0.005)
        stop(self.page, True)
        self.assertTrue(self.heard.wait(20))

    def test_the_first_threads_count_in_their_slots_and_the_last_one_says_so(self):
        rung = Rung()
        crew = harness.Crew(rung, self.page, 2, self.say)
        for threads in (1, 3, 2):
            before = counters(self.path, 8)
            self.run_for(crew, threads)
            gained = [now - then for now, then in zip(counters(self.path, 8), before)]
            self.assertTrue(all(gained[2:2 + threads]), gained)
            self.assertEqual(sum(gained[:2]) + sum(gained[2 + threads:]), 0, gained)
        self.assertEqual(self.said, [{"answer": "stopped"}] * 3)
        self.assertEqual(sum(counters(self.path, 8)), len(rung.ops))
        self.assertEqual(len(rung.threads), 3)

    def test_an_exception_in_a_thread_is_an_answer(self):
        for error, wanted in ((ValueError("bad\nvalue"), {"answer": "failed", "detail": "ValueError: bad value"}),
                              (harness.Unsupported("no"), {"answer": "unsupported", "detail": "no"}),
                              (harness.Missing("x"), {"answer": "missing", "detail": "x"})):
            self.said.clear()
            crew = harness.Crew(Rung(error), self.page, 0, self.say)
            self.run_for(crew, 1)
            self.assertEqual(self.said, [wanted])

    def test_a_foreign_file_is_no_page(self):
        other = os.path.join(self.folder.name, "other")
        pathlib.Path(other).write_bytes(bytes(4096))
        with self.assertRaises(ValueError):
            harness.Page(other)


class Program(unittest.TestCase):
    def test_what_goes_wrong_in_a_package_is_an_answer_and_prints_do_not_mix_in(self):
        with tempfile.TemporaryDirectory() as folder:
            inputs = os.path.join(folder, "inputs")
            pathlib.Path(inputs).write_bytes(bytes(2 * 16 * 16 * 4))
            order = {"order": "open", "api": "cuda", "rung": "torch-event", "device": 0, "device_name": "", "n": 16,
                     "precision": "f32", "inputs": inputs, "result": None, "page": "", "slot": 0, "kernel": ""}
            package = os.path.join(folder, "torch")
            os.mkdir(package)
            for text, answer in (("print('chatter'); import no_such_thing", "missing"),
                                 ("raise OSError('libcudart.so.13: not found')", "failed")):
                pathlib.Path(package, "__init__.py").write_text(text)
                done = subprocess.run([sys.executable, "-B", "-c", SOURCE], input=json.dumps(order) + "\n", text=True,
                                      capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": folder})
                lines = done.stdout.splitlines()
                self.assertEqual(len(lines), 1, done.stdout)
                self.assertTrue(lines[0].startswith("narrows-rung "))
                said = json.loads(lines[0].removeprefix("narrows-rung "))
                self.assertEqual(said["answer"], answer, said)
                self.assertEqual(done.returncode, 0)

    def test_every_class_stands_in_the_catalogue(self):
        catalogue = (HARNESS.parent / "rungs.rs").read_text()
        for _, name in harness.RUNGS:
            self.assertIn(f'"{name}"', catalogue)


if __name__ == "__main__":
    unittest.main()
