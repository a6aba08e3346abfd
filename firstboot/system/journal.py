"""The journal of this start and earlier ones: journalctl(1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from firstboot.base.run import run


@dataclass(frozen=True)
class Line:
    """One message: when (ISO 8601, UTC), who wrote it, and its priority (syslog(3), 0 to 7)."""

    time: str
    source: str
    priority: int
    message: str


def read_journal(matches: Sequence[str], *, lines: int, this_start: bool = False) -> list[Line]:
    """The last `lines` messages that `matches` (options of journalctl) pick, the oldest first.

    CommandError when journalctl fails. What is no message of text is left out.
    """
    argv = [
        "journalctl",
        "--quiet",
        "--no-pager",
        "--output=json",
        "--all",
        f"--lines={lines}",
        *matches,
    ]
    if this_start:
        argv.append("--boot")
    listed = run(argv, timeout=120).stdout
    found = []
    for text in listed.splitlines():
        try:
            found.append(_line(json.loads(text)))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _line(entry: dict[str, Any]) -> Line:
    message = entry["MESSAGE"]
    if isinstance(message, list):
        # What is not all UTF-8 comes as a list of bytes (systemd's "Journal JSON Format").
        message = bytes(message).decode(errors="replace")
    if not isinstance(message, str):
        raise TypeError("no text")
    when = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000, UTC)
    source = entry.get("CONTAINER_NAME") or entry.get("SYSLOG_IDENTIFIER") or "kernel"
    plain = "".join(c if c.isprintable() else " " for c in message).rstrip()
    stamp = when.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Line(stamp, str(source), int(entry.get("PRIORITY", 6)), plain)
