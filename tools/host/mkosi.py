"""Finds mkosi 26 or newer, or fetches it, and the keyring that it wants to build Ubuntu.

mkosi is not on PyPI, and Debian 12 and Ubuntu 24.04 package versions that are too old. Its package
in newer suites is pure Python without needs at run time that its tools tree does not bring.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.host.aptroot import obtain_package
from tools.host.errors import ArchiveError
from tools.host.packages import ensure, install_file, offers
from tools.host.report import Say, say
from tools.host.system import host_distribution

MINIMUM = 26
# Where the archives carry it: Debian's development suites, and Ubuntu since 26.04.
_SUITES = {"debian": ("testing", "unstable"), "ubuntu": ("resolute",)}
_KEYRING_SUITES = ("stable", "testing", "unstable")
UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Mkosi:
    """How to start mkosi: `argv` before its arguments, `environment` on top of ours.

    `python` is a Python that can import mkosi under `environment`, None where none is known.
    `origin` tells people where it comes from.
    """

    argv: tuple[str, ...]
    version: str
    environment: Mapping[str, str]
    python: str | None
    origin: str

    def full_environment(self) -> dict[str, str]:
        """The whole environment for `run(env=…)`."""
        # Images get their compiled files, wherever our own go.
        return {**os.environ, "PYTHONPYCACHEPREFIX": "", **self.environment}


def obtain_mkosi(*, mirror: str | None = None, report: Say = say) -> Mkosi:
    """mkosi 26 or newer: the one on PATH, else from the cache or the host's archive.

    `mirror` replaces the archive of the host's distribution (not that of the image). Raises
    ArchiveError when there is none to be had.
    """
    installed = installed_mkosi()
    if installed:
        return installed
    suites = _SUITES.get(host_distribution().name, ())
    package = obtain_package(
        "mkosi", minimum=str(MINIMUM), suites=suites, mirror=mirror, report=report
    )
    python = os.path.realpath(sys.executable)
    modules = package.tree / "usr/lib/python3/dist-packages"
    return Mkosi(
        # -P: a directory `mkosi` where we happen to be is not ours.
        argv=(python, "-P", "-m", "mkosi"),
        version=package.version,
        # Not next to the sources: the tree stays as the archive signed it.
        environment={"PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"},
        python=python,
        origin=f"package mkosi {package.version} in {package.tree}",
    )


def installed_mkosi() -> Mkosi | None:
    """mkosi on PATH if it is new enough, else None."""
    program = shutil.which("mkosi")
    if program is None:
        return None
    # The checkout is on our PYTHONPATH and is no business of mkosi's.
    environment = {"PYTHONPATH": ""}
    try:
        output = run([program, "--version"], env={**os.environ, **environment}).stdout
    except CommandError:
        return None
    match = re.search(r"^mkosi (\d+)(\S*)", output, re.MULTILINE)
    if match is None or int(match[1]) < MINIMUM:
        return None
    return Mkosi(
        argv=(program,),
        version=match[1] + match[2],
        environment=environment,
        python=_interpreter(Path(program)),
        origin=f"installed mkosi {match[1]}{match[2]} ({program})",
    )


def _interpreter(program: Path) -> str | None:
    """The Python in the first line of a Python script, None if it is anything else."""
    with program.open("rb") as file:
        first = file.readline(256).decode(errors="replace").strip()
    words = first.removeprefix("#!").split()
    if not first.startswith("#!") or not words or "python" not in words[-1]:
        return None
    return shutil.which(words[-1])


def ensure_ubuntu_keyring(*, mirror: str | None = None, report: Say = say) -> Path:
    """The keyring of the Ubuntu archive on this host, where mkosi looks for it; installs it.

    Debian 12 does not package it; then the package of a newer suite is installed, which apt has
    verified. Raises PrivilegeError or ArchiveError.
    """
    if UBUNTU_KEYRING.exists():
        return UBUNTU_KEYRING
    reason = "building on Ubuntu"
    why = "the keys that Ubuntu's archive is signed with"
    if offers("ubuntu-keyring"):
        ensure({"ubuntu-keyring": why}, reason, report)
    else:
        package = obtain_package(
            "ubuntu-keyring", minimum="2023", suites=_KEYRING_SUITES, mirror=mirror, report=report
        )
        report(f"{reason} needs ubuntu-keyring {package.version}: {why}.")
        install_file(package.deb, f"{reason} needs the package {package.deb.name}")
    return _present(UBUNTU_KEYRING, "ubuntu-keyring")


def ensure_debian_keyring(report: Say = say) -> Path:
    """The keyring of the Debian archive on this host; installs it. Raises as `ensure` does."""
    if not DEBIAN_KEYRING.exists():
        why = "the keys that Debian's archive is signed with"
        ensure({"debian-archive-keyring": why}, "building on Debian", report)
    return _present(DEBIAN_KEYRING, "debian-archive-keyring")


def _present(keyring: Path, package: str) -> Path:
    if not keyring.exists():
        raise ArchiveError(
            f"the package {package} is installed, but {keyring} is missing",
            f"Install it anew: apt-get install --reinstall {package}",
        )
    return keyring
