"""Lines that come one by one, so that none leaves a terminal before somebody has read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from firstboot.system.keyboard import Terminal

# What stands above the first page and below the last one.
AROUND = 7


@dataclass
class Pages:
    """A screen that is full waits for somebody; a console has no memory of what went off its top.

    A line that does not begin with a blank begins a paragraph; only those are shown that begin with
    one of `only`, and `count` is how many they are. `wait` returns when the next page may come;
    what it raises goes to whoever had the line shown.
    """

    terminal: Terminal
    wait: Callable[[], None]
    only: tuple[str, ...] = ("",)
    count: int = field(default=0, init=False)
    _is_shown: bool = field(default=False, init=False)
    _taken: int = field(default=0, init=False)

    def show(self, line: str) -> None:
        """Show the next line."""
        if not line[:1].isspace():
            self._is_shown = line.startswith(self.only)
            self.count += self._is_shown
        if not self._is_shown:
            return
        if self._taken == max(1, self.terminal.size[1] - AROUND):
            self.wait()
            self.terminal.clear()
            self._taken = 0
        self.terminal.write(f"{line}\n")
        self._taken += 1
