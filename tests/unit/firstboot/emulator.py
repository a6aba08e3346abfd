"""A terminal for a program under test: a pty, and pyte, which draws what the program sends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyte

from firstboot.base.waiting import wait_for

SECONDS = 120.0  # for what happens at once, once a program has been read from disk


class Emulator:
    """A program that runs on a terminal of its own, and what is to be seen there."""

    def __init__(self, process: int, master: int, columns: int, rows: int) -> None:
        self.process = process
        self.master = master
        self.received = 0
        self.raw = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def device(self) -> Path:
        """The terminal's other side, which the program has."""

        def look() -> Path | None:
            found = Path(f"/proc/{self.process}/fd/0").readlink()
            return found if found.is_relative_to("/dev/pts") else None

        return wait_for(look, what="the terminal", timeout=SECONDS, interval=0.02)

    @property
    def text(self) -> str:
        """The screen as lines, without the spaces at their ends."""
        self._drain(0.0)
        return "\n".join(line.rstrip() for line in self._screen.display)

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def expect(self, text: str, seconds: float = SECONDS) -> str:
        """Wait until the screen shows a text; its lines then. DeadlineError shows the screen."""

        def look() -> str | None:
            self._drain(0.02)
            return self.text if text in self.text else None

        return wait_for(look, what=f"{text!r} on\n{self.text}\n", timeout=seconds, interval=0.0)

    def expect_cursor(self, text: str) -> None:
        """Wait until the cursor is behind a text: it goes there when all of a screen is drawn."""

        def look() -> bool:
            self._drain(0.02)
            cursor = self._screen.cursor
            return str(self._screen.display[cursor.y])[: cursor.x].rstrip().endswith(text)

        wait_for(look, what=f"the cursor behind {text!r}", timeout=SECONDS, interval=0.0)

    def ended(self, seconds: float = SECONDS) -> int:
        """Wait for the program's end; its exit code."""

        def look() -> tuple[int] | None:
            self._drain(0.02)
            done, status = os.waitpid(self.process, os.WNOHANG)
            return (os.waitstatus_to_exitcode(status),) if done else None

        (code,) = wait_for(look, what="the end", timeout=seconds, interval=0.02)
        self.process = 0
        return code

    def kill(self) -> None:
        """End the program as a power cut would."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = 0

    def _drain(self, seconds: float) -> None:
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65_536)
            except OSError:
                return
            if not data:
                return
            self.received += len(data)
            self.raw += data
            self._stream.feed(data)
            seconds = 0.0


@contextlib.contextmanager
def emulate(
    argv: Sequence[str | Path],
    *,
    term: str = "vt220",
    columns: int = 80,
    rows: int = 24,
    env: Mapping[str, str] | None = None,
) -> Iterator[Emulator]:
    """Run a program on a terminal of its own; it is killed at the end of the block.

    Without columns and rows the terminal does not say how large it is, as a serial line.
    """
    words = [str(word) for word in argv]
    process, master = pty.fork()
    if process == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvpe(words[0], words, {**os.environ, "TERM": term, **(env or {})})  # noqa: S606
    emulator = Emulator(process, master, columns or 80, rows or 24)
    try:
        yield emulator
    finally:
        emulator.kill()
        os.close(master)
