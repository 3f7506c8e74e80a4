"""`python -m narrows`: becomes the command that the wheel installed."""

import os
import sys
from importlib import metadata

NAMES = ("narrows", "narrows.exe")


def command():
    """The command's path, as the installer wrote it down; None: it is not there."""
    try:
        files = metadata.distribution("narrows").files or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        path = os.path.normpath(file.locate())
        if file.name in NAMES and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def main():
    path = command()
    if path is None:
        sys.stderr.write(
            "narrows: the command is not in this Python's installation; "
            "install it again: pip install --force-reinstall narrows\n"
        )
        return 2
    os.execv(path, [path, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
