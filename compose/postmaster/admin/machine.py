"""What the pages say of the machine: a file made from the settings, as `proxy` has its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from postmaster.errors import StartError


@dataclass(frozen=True)
class Machine:
    """Its name, and the ports that mail programs are told."""

    hostname: str
    imaps: int
    pop3s: int
    submissions: int
    submission: int


def read_machine(path: Path) -> Machine:
    """Read the file. Raises StartError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Machine(**found)
    except (OSError, ValueError, TypeError) as error:
        raise StartError(f"cannot read what the pages show, {path}: {error}") from None
