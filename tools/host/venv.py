"""The virtual environment of tools/forge: its key, how it is made, how old ones go.

`venv-<key>` is a link that is made last and points to the environment. It is made where it stays,
because programs in it hold its path, and under a name of its own, because the pip of a killed run
may still be writing. What no link points to is thrown away.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.host import cache
from tools.host.errors import ArchiveError, HostError, SpaceError
from tools.host.packages import ensure
from tools.host.report import say

CHECKOUT = Path(__file__).resolve().parents[2]
REQUIREMENTS = CHECKOUT / "tools" / "requirements.txt"
# Besides the one that is being made.
_KEPT = 2
_FOLDER = ".venv-"
_NEEDED_BYTES = 500 << 20
# An index may be slow; pip's own 15 seconds are for one that is not.
PIP_OPTIONS = (
    *("--quiet", "--no-input", "--no-user", "--require-hashes", "--only-binary=:all:"),
    "--timeout=60",
)
_PIP_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "NameResolutionError",
    "ProxyError",
    "SSLError",
    "Max retries exceeded",
    "Connection refused",
    "No matching distribution found",
)


def venv_path(folder: Path) -> Path:
    """Where the environment for this Python and this lock file belongs."""
    version = ".".join(map(str, sys.version_info[:3]))
    key = hashlib.sha256(sys.base_prefix.encode() + b"\0" + REQUIREMENTS.read_bytes())
    return folder / f"venv-{version}-{key.hexdigest()[:12]}"


def is_complete(venv: Path) -> bool:
    """Whether `venv` was finished and its interpreter still exists. Marks it as used."""
    if not os.access(venv / "bin" / "python", os.X_OK):
        return False
    with contextlib.suppress(OSError):  # a cache that only root may write still serves
        cache.mark_used(venv)
    return True


def make_venv(venv: Path) -> None:
    """Make `venv` and remove environments that were not used for long.

    Raises HostError when this Python cannot make one, ArchiveError when the packages cannot be
    fetched, SpaceError without room.
    """
    with cache.lock("venv", "making the Python environment"):
        if is_complete(venv):  # made by another process while we waited
            return
        cache.require_space(venv, _NEEDED_BYTES, "the Python environment of tools/forge")
        _ensure_ensurepip()
        venv.unlink(missing_ok=True)
        prune_venvs(venv.parent)
        say(f"Making the Python environment {venv} (once, about half a minute) …")
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=venv.parent))
        folder.chmod(0o755)
        try:
            _fill(folder)
        except BaseException:
            cache.remove(folder)
            raise
        # The link must not reach the disk before what it stands for.
        os.sync()
        venv.symlink_to(folder.name)


def prune_venvs(folder: Path) -> None:
    """Remove what was never finished, and all but the few that were used last.

    A few, since a second checkout or a second Python may need its own.
    """
    links = [link for link in folder.glob("venv-*") if link.is_symlink()]
    links.sort(key=lambda link: link.stat().st_mtime if link.exists() else 0.0, reverse=True)
    for link in links[_KEPT:]:
        link.unlink()
    kept = {link.readlink().name for link in links[:_KEPT]}
    for environment in folder.glob(f"{_FOLDER}*"):
        if environment.name not in kept:
            cache.remove(environment)


def _ensure_ensurepip() -> None:
    if importlib.util.find_spec("ensurepip"):
        return
    if sys.base_prefix != "/usr":
        raise HostError(
            f"the Python in {sys.base_prefix} was built without ensurepip",
            "Start tools/forge with another Python, for example: /usr/bin/python3 tools/forge",
        )
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    ensure({name: "making a virtual environment for the Python packages"}, "tools/forge")


def _fill(venv: Path) -> None:
    run([sys.executable, "-I", "-m", "venv", venv])
    install_requirements(venv)


def install_requirements(venv: Path) -> None:
    """Install what the lock file names, and nothing else, into `venv`."""
    pip = [str(venv / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]
    try:
        run([*pip, "install", *PIP_OPTIONS, "--requirement", str(REQUIREMENTS)])
    except CommandError as error:
        raise pip_error(error.message) from None


def pip_error(output: str, requirements: Path = REQUIREMENTS) -> HostError:
    """What pip's output means, and what to do about it."""
    if "No space left on device" in output:
        return SpaceError("no space is left for the Python packages", "Free some and start again.")
    if "DO NOT MATCH THE HASHES" in output:
        return ArchiveError(
            f"a Python package is not the one that {requirements} names: {output}",
            "The package index or a proxy in between serves altered files; use another one.",
        )
    if any(sign in output for sign in _PIP_UNREACHABLE):
        return ArchiveError(
            f"the Python package index cannot be reached, or lacks a package: {output}",
            "Look at the network; for a proxy or a mirror set HTTPS_PROXY or PIP_INDEX_URL.",
        )
    return ArchiveError(
        f"the Python packages could not be installed: {output}",
        "Mend what pip says and start again.",
    )
