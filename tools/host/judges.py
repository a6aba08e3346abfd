"""Programs of tests/interop that are Python packages: in a folder of the cache, by a lock file.

They have a folder of their own since one of them brings a library in the place of urllib3, which
tools/forge needs as it is.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run
from tools.host import cache
from tools.host.report import Say, say
from tools.host.venv import CHECKOUT, PIP_OPTIONS, pip_error

REQUIREMENTS = CHECKOUT / "tests" / "interop" / "requirements.txt"
_NEEDED_BYTES = 200 << 20
_KEPT_BYTES = 300 << 20


def judges_folder() -> Path:
    """Where the packages for this Python and this lock file belong: a folder for PYTHONPATH."""
    key = hashlib.sha256(sys.version.encode() + b"\0" + REQUIREMENTS.read_bytes())
    return cache.cache_folder("judges") / key.hexdigest()[:12]


def ensure_judges(report: Say = say) -> None:
    """Install what the lock file names, and nothing else. Raises as `make_venv` does."""
    folder = judges_folder()
    with cache.lock("judges", "installing programs for tests", report):
        if not folder.exists():
            cache.require_space(folder, _NEEDED_BYTES, "what tests/interop needs")
            report("Installing caldav-server-tester (once) …")
            with cache.filling(folder) as unfinished:
                _install(unfinished)
        cache.mark_used(folder)
        cache.prune(folder.parent, keep=(folder,), maximum_bytes=_KEPT_BYTES)


def _install(folder: Path) -> None:
    pip = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "install"]
    try:
        run([*pip, *PIP_OPTIONS, "--target", folder, "--requirement", REQUIREMENTS], timeout=1800)
    except CommandError as error:
        raise pip_error(error.message, REQUIREMENTS) from None
