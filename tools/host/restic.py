"""restic as the appliance has it, for tests on hosts whose distribution has an older one."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from firstboot.base.run import run
from tools.host.aptroot import obtain_package
from tools.host.errors import ArchiveError
from tools.host.report import Say, say
from tools.host.system import host_distribution

MINIMUM = "0.18"
# A program that needs nothing but the C library.
_SUITES = {"debian": ("trixie", "stable"), "ubuntu": ("resolute",)}


def use_restic(*, mirror: str | None = None, report: Say = say) -> None:
    """Have a restic of 0.18 or newer first on PATH; ArchiveError when there is none to be had."""
    if _version("restic") >= _numbers(MINIMUM):
        return
    suites = _SUITES.get(host_distribution().name, ())
    package = obtain_package("restic", minimum=MINIMUM, suites=suites, mirror=mirror, report=report)
    folder = package.tree / "usr/bin"
    if _version(str(folder / "restic")) < _numbers(MINIMUM):
        raise ArchiveError(
            f"restic {package.version} in {package.tree} does not run on this host",
            f"Install restic {MINIMUM} or newer, so that it is on PATH.",
        )
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])


def _version(program: str) -> tuple[int, ...]:
    """The version of a program, () when it is not there or does not tell."""
    if shutil.which(program) is None and not Path(program).is_file():
        return ()
    said = run([program, "version"], check=False).stdout
    found = re.match(r"restic (\d+(?:\.\d+)+)", said)
    return _numbers(found[1]) if found else ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
