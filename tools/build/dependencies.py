"""Installs the locked Python dependencies of our services for the Python of their container."""

from __future__ import annotations

import sys
from pathlib import Path

from firstboot.base.run import run
from tools.build.base import Base

# Wheels name the oldest C library that they run with; both bases are newer than all of these.
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def install_dependencies(lock: Path, base: Base, target: Path) -> None:
    """Install what `lock` lists, each file checked against its hash, into the directory `target`.

    Only ready-built wheels are taken: nothing that is downloaded runs here.
    """
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"),
            *("--require-hashes", "--only-binary=:all:", "--no-deps", "--implementation", "cp"),
            *("--python-version", base.python, *platforms),
            *("--target", target, "--requirement", lock),
        ]
    )
