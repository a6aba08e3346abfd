"""The journal of this start and earlier ones: journalctl(1)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from firstboot.base.errors import CommandError
from firstboot.base.run import run_lines

_SECONDS = 120.0
_FIELDS = ("MESSAGE", "CONTAINER_NAME", "SYSLOG_IDENTIFIER", "PRIORITY")


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
    found: list[Line] = []
    scan_journal(matches, found.append, lines=lines, this_start=this_start)
    return found


def scan_journal(
    matches: Sequence[str],
    take: Callable[[Line], None],
    *,
    lines: int | None = None,
    this_start: bool = False,
    words: Sequence[str] = (),
) -> None:
    """The same one by one, so that never all of it is in memory; without `lines` all that there is.

    With `words` only messages that contain one of these come, which saves looking closer at others.
    """
    argv = [
        "journalctl",
        "--quiet",
        "--no-pager",
        "--output=json",
        f"--output-fields={','.join(_FIELDS)}",
        "--all",
        *(() if lines is None else (f"--lines={lines}",)),
        *matches,
    ]
    if this_start:
        argv.append("--boot")
    end = time.monotonic() + _SECONDS

    def look(text: str) -> None:
        if time.monotonic() > end:
            raise CommandError(f"the journal was not read within {_SECONDS:g} s")
        if words and not any(word in text for word in words):
            return
        try:
            line = _line(json.loads(text))
        except (ValueError, KeyError, TypeError):
            return
        take(line)

    done = run_lines(argv, look)
    if done.returncode != 0:
        raise CommandError(
            f"the journal cannot be read: {done.stderr.strip() or 'no reason given'}"
        )


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
