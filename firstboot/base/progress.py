"""Progress of long work as lines: how much, how fast, how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Report = Callable[[str], None]

MIB = 1 << 20
SECONDS_BETWEEN = 5.0


@dataclass
class Meter:
    """Called with the bytes done so far; reports a line every few seconds and at the end."""

    report: Report
    what: str
    total: int
    clock: Callable[[], float] = time.monotonic
    _first: tuple[float, int] | None = field(default=None, init=False)
    _shown: float = field(default=0.0, init=False)

    def __call__(self, done: int) -> None:
        now = self.clock()
        if self._first is None or done < self._first[1]:
            # What an earlier attempt had fetched says nothing about the rate.
            self._first, self._shown = (now, done), now
        if done >= self.total or now - self._shown >= SECONDS_BETWEEN:
            self._shown = now
            self.report(self._line(now, done))

    def _line(self, now: float, done: int) -> str:
        assert self._first is not None, "__call__ sets it"
        started, before = self._first
        line = f"{self.what}: {megabytes(done)} of {megabytes(self.total)}"
        rate = (done - before) / (now - started) if now > started else 0.0
        if not rate:
            return line
        line += f", {rate / MIB:.1f} MiB/s"
        return line if done >= self.total else f"{line}, {remaining((self.total - done) / rate)}"


def megabytes(count: int) -> str:
    """A size for people."""
    return f"{count / MIB:.1f} MiB"


def remaining(seconds: float) -> str:
    """`1 min 5 s left`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min left"
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
