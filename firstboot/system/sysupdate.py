"""systemd-sysupdate(8): writes the slot that does not run, from files that are ready.

It gives the partitions their names only after all of them are written, and puts the UKI into the
EFI system partition last, so that a power cut leaves either the old system alone or both.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run

# Which file goes where; they are in the slot.
DEFINITIONS = Path("/usr/lib/mailstead/sysupdate.d")
# systemd before 257 kept it off PATH.
_ELSEWHERE = "/usr/lib/systemd"
TIMEOUT_SECONDS = 3600


def update(version: str, definitions: Path = DEFINITIONS) -> None:
    """Write `version` into the other slot; CommandError when it cannot."""
    where = f"{os.environ.get('PATH', os.defpath)}:{_ELSEWHERE}"
    program = shutil.which("systemd-sysupdate", path=where)
    if program is None:
        raise CommandError("command systemd-sysupdate was not found", returncode=127)
    words = [program, f"--definitions={definitions}", "update", version]
    run(words, timeout=TIMEOUT_SECONDS)
