"""Progress of the host's preparation as plain lines, away from stdout, which `--json` needs."""

from __future__ import annotations

import sys
from collections.abc import Callable

Say = Callable[[str], None]


def say(line: str) -> None:
    """Print one line for people."""
    print(line, file=sys.stderr, flush=True)
