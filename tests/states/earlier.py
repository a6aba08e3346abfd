"""The code of a release, kept in tests/states/VERSION/code.tar.xz and run on a state."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

from firstboot.base.run import run

CHECKOUT = Path(__file__).parents[2]
# Both programs, and what of the tests goes round a state.
_CODE = (
    "firstboot/**/*.py",
    "compose/postmaster/**/*.py",
    "tests/__init__.py",
    "tests/keyfiles.py",
    "tests/states/*.py",
    "tests/unit/firstboot/samples.py",
)
# A deadline, and no measure of anything: it takes seconds.
_SECONDS = 600.0


def pack_code(archive: Path) -> None:
    """Keep the code of this checkout."""
    with tarfile.open(archive, "w:xz") as tar:
        for pattern in _CODE:
            for file in sorted(CHECKOUT.glob(pattern)):
                tar.add(file, file.relative_to(CHECKOUT), filter=_anonymous)


def read_by(archive: Path, folder: Path, root: Path, message: bytes) -> dict[str, Any]:
    """What the code in `archive`, unpacked into `folder`, finds in `root`; see `read`."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}:{folder / 'compose'}"}
    # Without -P the present code, where tests run, would come first.
    argv = (sys.executable, "-P", "-m", "tests.states.read", root)
    done = run(argv, stdin=message, env=environment, timeout=_SECONDS)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
