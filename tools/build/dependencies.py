"""Python for containers: the locked dependencies of our services, and our own code compiled."""

from __future__ import annotations

import sys
from pathlib import Path

from firstboot.base.run import run
from tools.build.base import Base
from tools.build.errors import BuildError
from tools.inspect.programs import Programs

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


def compile_python(package: Path, *, below: Path, tools: Path | None) -> None:
    """Compile a package with the Python of a tools tree, which is that of the containers.

    `below` is the folder that becomes a container's root, so that errors name the files as they are
    there. Root file systems are read-only: what is not compiled now, every start compiles again.
    Raises BuildError.
    """
    # Compiled files belong beside the package, wherever our own go.
    environment = {"PYTHONPYCACHEPREFIX": ""}
    if tools is not None:
        environment["PYTHONHOME"] = str(tools / "usr")
    done = Programs(tools).run(
        *("python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", below, "-p", "/", package),
        env=environment,
    )
    if done.returncode != 0:
        raise BuildError(f"{package.name} cannot be compiled: {done.stdout}{done.stderr}")
