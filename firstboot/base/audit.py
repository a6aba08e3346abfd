"""Who changed what: one line a change, in a file of the state that does not grow without end.

A line is noted when the change has been made or refused, so that a power cut may lose the last one
but never shows what did not happen. No line has a secret in it: `what` is made for people to read.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from firstboot.base.change import alone
from firstboot.base.errors import MailsteadError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths

FORMAT = 1
# Some five thousand changes; when there are more, the older half goes.
MOST_BYTES = 1 << 20
_MOST_WORDS = 500  # characters of what and outcome
DONE = "done"


@dataclass(frozen=True)
class Entry:
    """One change: when (RFC 3339, UTC), by whom, which verb, about what, and what became of it."""

    time: str
    who: str
    verb: str
    what: str
    outcome: str


def note(paths: Paths, who: str, verb: str, what: str, outcome: str = DONE) -> None:
    """Add a line. Raises OSError when it cannot be written."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = Entry(now, _line(who), verb, _line(what), _line(outcome))
    data = json.dumps({"format": FORMAT, **asdict(entry)}, ensure_ascii=False).encode() + b"\n"
    with alone(paths.audit_lock):
        make_directory(paths.audit.parent)
        _shorten(paths.audit)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(paths.audit, flags, 0o600)
        try:
            if _is_torn(descriptor):
                data = b"\n" + data
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def noted(paths: Paths, verb: str, what: str, who: str = "") -> Iterator[None]:
    """Note a change that the block makes; with an error of ours, that it was not made, and why."""
    who = who or whoever()
    try:
        yield
    except MailsteadError as error:
        note(paths, who, verb, what, f"refused: {error.message}")
        raise
    note(paths, who, verb, what)


def read_audit(path: Path, last: int | None = None) -> tuple[Entry, ...]:
    """The lines, or the `last` of them, the oldest first; what cannot be read is passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    found = tuple(entry for line in lines if (entry := _entry(line)))
    return found if last is None else found[max(0, len(found) - last) :]


def whoever() -> str:
    """Who runs this command, as far as the system tells: `ssh ADDRESS`, `console`, `root`."""
    if connection := os.environ.get("SSH_CONNECTION", ""):
        return f"ssh {connection.split(' ')[0]}"
    terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
    return "console" if terminal else "root"


def _entry(line: bytes) -> Entry | None:
    try:
        data = json.loads(line)
        if data["format"] != FORMAT:
            return None
        names = ("time", "who", "verb", "what", "outcome")
        return Entry(*(str(data[name]) for name in names))
    except (ValueError, KeyError, TypeError):
        return None


def _shorten(path: Path) -> None:
    if path.exists() and path.stat().st_size > MOST_BYTES:
        lines = path.read_bytes().splitlines(keepends=True)
        write_atomic(path, b"".join(lines[len(lines) // 2 :]), mode=0o600)


def _is_torn(descriptor: int) -> bool:
    """Whether the last line has no end, as after a power cut."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _line(text: str) -> str:
    """On one line, without anything that a terminal would obey."""
    words = " ".join(text.split())[:_MOST_WORDS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
