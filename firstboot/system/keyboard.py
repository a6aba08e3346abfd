"""One terminal that somebody sits at: single keys in, plain ASCII screens out; see termios(3).

On a terminal that can do nothing (TERM=dumb, or none at all) a key is a line that ends with Enter.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Iterator
from dataclasses import dataclass, field

COLUMNS, ROWS = 80, 24
# What stands for keys that are no characters.
UP, DOWN, ENTER, ESCAPE, GONE, IDLE = "up", "down", "enter", "escape", "gone", "idle"
# Enough for a serial line at 300 baud to bring the rest of a key's sequence.
SEQUENCE_SECONDS = 0.15
_CLEAR = "\033[2J\033[H"
_REVERSE, _NORMAL = "\033[7m", "\033[0m"
_SEQUENCES = {"[A": UP, "OA": UP, "[B": DOWN, "OB": DOWN}
# NUL is what Linux makes of a Ctrl-D that came while lines were still read as a whole.
_CONTROLS = {"\r": ENTER, "\n": ENTER, "\x04": GONE, "\0": GONE, "\x10": UP, "\x0e": DOWN}


@dataclass
class Terminal:
    """`plain` has neither cursor nor single keys. Descriptors are of a terminal, or of pipes."""

    reads: int
    writes: int
    plain: bool
    _waiting: str = field(default="", init=False)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows; serial lines do not tell, and have 80 and 24."""
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self.writes)
            if columns >= 20 and rows >= 5:
                return columns, rows
        return COLUMNS, ROWS

    def clear(self) -> None:
        """Begin a new screen."""
        self.write("\n" if self.plain else _CLEAR)

    def write(self, text: str) -> None:
        """Show text; whoever has gone does not see it."""
        data = text.encode(errors="replace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.writes, data) :]

    def marked(self, text: str) -> str:
        """Text that stands out, where the terminal can."""
        return text if self.plain else f"{_REVERSE}{text}{_NORMAL}"

    def key(self, timeout: float | None = None) -> str:
        """The next key: a character, or one of the names above. IDLE after `timeout` seconds."""
        if self.plain:
            line = self.line(timeout)
            return line if line in {GONE, IDLE} else (line.strip()[:1] or ENTER)
        with self._mode(termios.ICANON | termios.ECHO):
            if not self._waiting and not self._fetch(timeout):
                return IDLE
            if not self._waiting:
                return GONE
            return self._take()

    def line(self, timeout: float | None = None, *, prompt: str = "", hidden: bool = False) -> str:
        """A line as typed, without its end; GONE when there will be no more, IDLE when none came.

        What was typed ahead of it counts. What is `hidden` is not shown while it is typed.
        """
        with self._mode(termios.ECHO if hidden else 0):
            self.write(prompt)
            return self._line(timeout)

    def _line(self, timeout: float | None) -> str:
        line, self._waiting = self._waiting, ""
        while "\n" not in line:
            if not self._fetch(timeout):
                return IDLE
            if not self._waiting:
                return GONE
            line, self._waiting = line + self._waiting, ""
        line, _, self._waiting = line.partition("\n")
        return line.rstrip("\r")

    def _take(self) -> str:
        first, self._waiting = self._waiting[0], self._waiting[1:]
        if first == "\033":
            if not self._waiting and self._fetch(SEQUENCE_SECONDS) is False:
                return ESCAPE
            for sequence, name in _SEQUENCES.items():
                if self._waiting.startswith(sequence):
                    self._waiting = self._waiting[len(sequence) :]
                    return name
            # Some other key: its sequence must not be taken for letters.
            self._waiting = ""
            return ESCAPE
        return _CONTROLS.get(first, first)

    def _fetch(self, timeout: float | None) -> bool:
        """Wait for input; False when none came in time. At the end of it nothing waits."""
        if not select.select([self.reads], [], [], timeout)[0]:
            return False
        with contextlib.suppress(OSError):
            self._waiting += os.read(self.reads, 1024).decode(errors="ignore")
        return True

    @contextlib.contextmanager
    def _mode(self, without: int) -> Iterator[None]:
        """The terminal without some of its local modes, while the block runs.

        Without ICANON keys come at once, without ECHO they are unseen. Ctrl-C stays what it is.
        """
        try:
            before = termios.tcgetattr(self.reads)
        except termios.error:
            yield
            return
        state = termios.tcgetattr(self.reads)
        state[3] &= ~without
        if without & termios.ICANON:
            state[6][termios.VMIN], state[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.reads, termios.TCSANOW, state)
        try:
            yield
        finally:
            termios.tcsetattr(self.reads, termios.TCSANOW, before)


def this_terminal() -> Terminal:
    """The terminal of this process."""
    can_not = os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}
    return Terminal(0, 1, plain=can_not or not (os.isatty(0) and os.isatty(1)))
