"""Progress for people: a line that moves on a terminal, plain lines in a log; never on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tools.host.report import Say, say

# A line that ends so is under way: the next line ends it.
ONGOING = "…"


@contextmanager
def progress() -> Iterator[Say]:
    """A function to report lines to while the block runs.

    On a terminal, a line ending in `…` stays at the bottom with a spinner and the time that it has
    taken so far. Elsewhere every line is printed with the seconds since the start.
    """
    if not sys.stderr.isatty():
        started = time.monotonic()
        yield lambda line: say(f"[{time.monotonic() - started:5.0f} s] {line}")
        return
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:

        def show(line: str) -> None:
            for task in bar.task_ids:
                bar.remove_task(task)
            if line.endswith(ONGOING):
                bar.add_task(escape(line), total=None)
            else:
                bar.console.print(line, markup=False, highlight=False)

        yield show
