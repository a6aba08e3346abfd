"""The consoles as terminals that somebody types on, see termios(3) and console_codes(4).

All are open at once, since nobody knows which one has a keyboard. What is shown here goes to them
only, and never to the journal, unlike what `console` writes.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstboot.system.console import write_all
from firstboot.system.seats import FOLDER, claim

LONGEST_LINE = 4096
# Erase the scrollback, erase the screen, go to its first line.
CLEAR = "\033[3J\033[2J\033[H"


@dataclass
class Terminals:
    """Terminals that take lines; one that goes away is left out from then on."""

    descriptors: list[int]

    def write(self, text: str) -> None:
        """Show text on all of them."""
        for descriptor in self.descriptors:
            write_all(descriptor, text.encode())

    def read_line(self, timeout: float) -> str | None:
        """The next line from any of them, without its end; None after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select(self.descriptors, [], [], left)[0]
            for descriptor in ready:
                line = self._read(descriptor)
                if line is not None:
                    return line
        return None

    def _read(self, descriptor: int) -> str | None:
        try:
            data = os.read(descriptor, LONGEST_LINE)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            # Hung up, or the end of file was typed: nothing more will come from here.
            self.descriptors.remove(descriptor)
            return None
        return data.decode(errors="replace").rstrip("\r\n")


@contextlib.contextmanager
def open_terminals(
    devices: Iterable[Path], *, echo: bool = True, seats: Path = FOLDER
) -> Iterator[Terminals]:
    """Those of `devices` that are terminals, as they were when done; None of them is fine, too.

    Without `echo` what is typed is not shown. What was typed before is forgotten. Whoever sits at
    one of them (`Seat`) gives way meanwhile.
    """
    places = tuple(devices)
    with claim(places, seats), _opened(places, echo=echo) as terminals:
        yield terminals


@contextlib.contextmanager
def _opened(devices: Iterable[Path], *, echo: bool) -> Iterator[Terminals]:
    opened: list[tuple[int, list[int | list[bytes | int]]]] = []
    try:
        for device in devices:
            with contextlib.suppress(OSError, termios.error):
                # O_NOCTTY: a service must not get a terminal, and its signals, by accident.
                flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(device, flags)
                try:
                    before = termios.tcgetattr(descriptor)
                    _take_lines(descriptor, echo=echo)
                except BaseException:
                    os.close(descriptor)
                    raise
                opened.append((descriptor, before))
        yield Terminals([descriptor for descriptor, _ in opened])
    finally:
        for descriptor, before in opened:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
            os.close(descriptor)


def _take_lines(descriptor: int, *, echo: bool) -> None:
    """Whole lines with the usual keys to correct them, whatever state a program left it in."""
    state = termios.tcgetattr(descriptor)
    state[0] |= termios.ICRNL
    state[1] |= termios.OPOST | termios.ONLCR
    # No modem tells a serial line whether somebody is there.
    state[2] |= termios.CLOCAL | termios.CREAD
    state[3] |= termios.ICANON | termios.IEXTEN | termios.ECHOE | termios.ECHOK
    # Ctrl-D would end the input for good.
    state[6][termios.VEOF] = b"\0"
    shown, hidden = termios.ECHO, termios.ECHONL
    state[3] = (state[3] | shown) & ~hidden if echo else (state[3] | hidden) & ~shown
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, state)
