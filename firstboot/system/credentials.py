"""systemd credentials: small secrets handed to a machine by whoever starts it.

A hypervisor passes them by SMBIOS or fw_cfg, see systemd.system-credentials(7).
"""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM_DIRECTORY = Path("/run/credentials/@system")


def read_credential(name: str, *, system: Path = SYSTEM_DIRECTORY) -> bytes | None:
    """A credential of the unit that runs us, or of the system; None when there is none."""
    unit = os.environ.get("CREDENTIALS_DIRECTORY")
    for directory in [*([Path(unit)] if unit else []), system]:
        try:
            return (directory / name).read_bytes()
        except OSError:
            continue
    return None
