"""Marks for narrows: what one op of this program is, and which part of it runs.

    import narrows

    with narrows.region("decode"):
        ...
    narrows.op()

A mark does nothing, and costs less than 100 ns, when the program does not run under narrows.
The command is `narrows`, or `python -m narrows`.
"""

from narrows._marks import op, region, version as __version__
from narrows._marks import traced as _traced

traced = bool(_traced)
"""Does this program run under narrows?"""

__all__ = ["op", "region", "traced", "__version__"]
