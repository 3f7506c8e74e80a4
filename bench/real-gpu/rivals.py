"""What the scripts of this folder share: arguments, exact intervals, text that is kept."""

import argparse
import math
import pathlib
import statistics


def arguments(words, seconds):
    """The arguments that every script here takes. `seconds`: the default of --time."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--narrows", required=True, metavar="PATH", help="the narrows binary")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where results go")
    parser.add_argument("--time", type=float, default=seconds, metavar="SECONDS",
                        help="about how long to measure [%(default)s]")
    return parser


def prepare(options):
    """Absolute paths, and the folder made."""
    options.narrows = str(pathlib.Path(options.narrows).resolve())
    options.out = pathlib.Path(options.out).resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def interval(values):
    """The sign-test interval of the median that holds it with at least 95 %, and that share.

    With few values no interval reaches 95 %; then the whole range is given with its own share."""
    values, n = sorted(values), len(values)
    rank, covered = 0, 1 - 2 / 2 ** n
    while rank + 1 < n / 2:
        next_covered = 1 - 2 * sum(math.comb(n, k) for k in range(rank + 2)) / 2 ** n
        if next_covered < 0.95:
            break
        rank, covered = rank + 1, next_covered
    return values[rank], values[n - 1 - rank], covered


def described(values, digits=3):
    """Median, interval, its cover and the number of values, as text."""
    if not values:
        return "not measured"
    low, high, covered = interval(values)
    note = "" if covered >= 0.95 else " (%.0f %%)" % (100 * covered)
    return "%.*f [%.*f, %.*f]%s n=%d" % (digits, statistics.median(values), digits, low, digits,
                                         high, note, len(values))


class Kept:
    """Prints, and keeps what was printed in a file."""

    def __init__(self, file):
        self.file = open(file, "w")

    def say(self, *words):
        text = " ".join(str(word) for word in words)
        print(text, flush=True)
        self.file.write(text + "\n")
        self.file.flush()
