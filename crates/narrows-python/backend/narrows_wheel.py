"""The wheel's build backend: maturin, after the command has been built for it.

maturin builds either an extension module or commands, not both into one wheel. It does take
finished files along, so the command is built first and handed over as a script.

NARROWS_WHEEL_COMMAND names a ready command instead of building one.
"""

import contextlib
import os
import pathlib
import platform
import shutil
import subprocess

import maturin
from maturin import get_requires_for_build_wheel  # noqa: F401

HERE = pathlib.Path(__file__).resolve().parent.parent
WORKSPACE = HERE.parent.parent
SCRIPTS = HERE / "wheel-data" / "scripts"


def build_command():
    """Builds the command optimised; its path."""
    ready = os.environ.get("NARROWS_WHEEL_COMMAND")
    if ready:
        return pathlib.Path(ready)
    environment = dict(os.environ, CARGO_PROFILE_RELEASE_STRIP="symbols")
    target = pathlib.Path(environment.setdefault("CARGO_TARGET_DIR", str(WORKSPACE / "target" / "wheel")))
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "narrows"], cwd=WORKSPACE, env=environment, check=True)
    return target / "release" / "narrows"


def platform_tag():
    """The command and the extension ask for this machine's C library or a later one, so the tag says its version."""
    name, version = platform.libc_ver()
    return f"manylinux_{version.replace('.', '_')}" if name == "glibc" else "linux"


@contextlib.contextmanager
def folder():
    """The folder that maturin takes the command from; it has to be there even for the name and the version."""
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(SCRIPTS.parent)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with folder():
        return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    settings = dict(config_settings or {})
    settings.setdefault("build-args", f"--compatibility {platform_tag()}")
    with folder():
        shutil.copy(build_command(), SCRIPTS / "narrows")
        return maturin.build_wheel(wheel_directory, settings, metadata_directory)
