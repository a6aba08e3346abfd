"""The machine's consoles: whoever looks at the screen or the serial line sees what happens.

Lines that begin with `mailstead: ` are progress, made to be read by people and by test harnesses
alike; a message for the owner is a block of plain ASCII, at most 80 columns wide.
"""

from __future__ import annotations

import contextlib
import os
import select
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MailsteadError
from firstboot.system.seats import SEATS, is_drawn

PREFIX = "mailstead: "
WIDTH = 80
ACTIVE = Path("/sys/class/tty/console/active")
# A serial line that nobody reads must not hold up the machine.
WRITE_SECONDS = 5.0


@dataclass(frozen=True)
class Console:
    """Writes to all of `devices`, and to standard output, which is the journal for a unit.

    Progress and errors also go to the file `record`, for those who show them in another way; where
    somebody draws screens they go there only.
    """

    devices: tuple[Path, ...]
    record: Path | None = None

    def say(self, line: str) -> None:
        """One line of progress."""
        self._write(f"{PREFIX}{line}\n")
        self._note(line)

    def error(self, error: MailsteadError) -> None:
        """What went wrong, one line each, and what to do next."""
        first, *rest = str(error).splitlines() or [type(error).__name__]
        lines = [f"{PREFIX}error: {first}", *(f"{PREFIX}  {line}" for line in rest)]
        if error.hint:
            lines.append(f"{PREFIX}hint: {error.hint}")
        self._write("\n".join(lines) + "\n")
        self._note("\n".join(line.removeprefix(PREFIX) for line in lines))

    def show(self, heading: str, paragraphs: Iterable[str]) -> None:
        """A message for the owner; lines within a paragraph stay lines."""
        blocks = [_wrap(text) for text in (heading.upper(), *paragraphs)]
        self._write("\n" + "\n\n".join(blocks) + "\n\n")

    def _note(self, text: str) -> None:
        if self.record is not None:
            with contextlib.suppress(OSError):
                self.record.parent.mkdir(parents=True, exist_ok=True)
                with self.record.open("a", encoding="utf-8") as file:
                    file.write(f"{text}\n")

    def _write(self, text: str) -> None:
        # Screens of the kernel and serial lines show nothing but ASCII reliably.
        plain = text.replace("…", "...").encode("ascii", "replace")
        for device in self.devices:
            if self.record is None or not is_drawn(device, self.record.parent / SEATS):
                _write_device(device, plain)
        with contextlib.suppress(OSError):
            print(plain.decode("ascii"), end="", flush=True)


def find_consoles(
    dev: Path = Path("/dev"), active: Path = ACTIVE, *, record: Path | None = None
) -> Console:
    """Every console that the kernel uses, and the first screen.

    /dev/console is just the last of the active ones, and tty0 whichever screen is in front, so
    both are left out where writing to them would show everything twice.
    """
    try:
        names = active.read_text(encoding="ascii").split()
    except OSError:
        names = ["console"]
    names = ["tty1" if name == "tty0" else name for name in names] + ["tty1"]
    return Console(tuple(dev / name for name in dict.fromkeys(names)), record)


def _wrap(text: str) -> str:
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(
            line, WIDTH, subsequent_indent=indent + "  " if indent else "", break_on_hyphens=False
        ) or [""]
    return "\n".join(lines)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all that a console takes within a deadline; one that fails is not an error."""
    deadline = time.monotonic() + WRITE_SECONDS
    with contextlib.suppress(OSError):
        while data and (left := deadline - time.monotonic()) > 0:
            if select.select([], [descriptor], [], left)[1]:
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(descriptor, data) :]


def _write_device(device: Path, data: bytes) -> None:
    with contextlib.suppress(OSError):
        # O_NOCTTY: a service must not get a terminal, and its signals, by accident.
        descriptor = os.open(device, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)
