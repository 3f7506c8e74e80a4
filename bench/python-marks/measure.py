"""What a mark costs in this Python, against other statements in the same run. One JSON object.

Every round measures all statements in random order; a statement's cost is its time less the empty loop's of the
same round. Shown are the median over the rounds and the exact sign-test interval of that median.
"""
import json
import platform
import random
import sys
import threading
import timeit

import narrows

ROUNDS, LOOPS = 21, 200_000
STATEMENTS = {
    "narrows.op()": "narrows.op()",
    "with narrows.region": "with narrows.region('decode'): pass",
    "reference: empty Python function": "empty()",
    "reference: with threading.Lock": "with lock: pass",
}


def empty():
    pass


def once(statement):
    names = {"narrows": narrows, "empty": empty, "lock": threading.Lock()}
    return timeit.Timer(statement, globals=names).timeit(LOOPS) / LOOPS * 1e9


def main():
    rounds = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        base = once("pass")
        for name in random.sample(list(STATEMENTS), len(STATEMENTS)):
            rounds[name].append(once(STATEMENTS[name]) - base)
    # Of 21 values the 6th and the 16th enclose the median with a probability of 97.3 %.
    result = {name: {"median_ns": sorted(values)[ROUNDS // 2], "interval_ns": [sorted(values)[5], sorted(values)[15]],
                     "rounds_ns": values} for name, values in rounds.items()}
    json.dump({"python": platform.python_version(), "traced": narrows.traced, "loops": LOOPS, "level": 0.973,
               "statements": result}, sys.stdout)
    print()


main()
