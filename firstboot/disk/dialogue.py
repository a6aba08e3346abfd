"""Shows a new recovery key on the consoles until somebody confirms there to have it.

Runs beside everything else, so that a machine that nobody looks at works all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firstboot.disk.places import Places
from firstboot.disk.recovery import Pending, confirm, read_pending
from firstboot.disk.screen import draw_key, question
from firstboot.system.terminals import CLEAR, open_terminals

# How soon it is noticed that the key was confirmed elsewhere, by command.
POLL_SECONDS = 2.0
# What somebody types who wants the console for something else first.
LATER = "later"


def converse(places: Places, devices: Iterable[Path]) -> None:
    """Show the key that waits for confirmation, if one does, until it is confirmed."""
    if read_pending(places) is None:
        return
    with open_terminals(devices) as terminals:
        shown: Pending | None = None
        while (pending := read_pending(places)) is not None:
            if pending != shown:
                terminals.write(CLEAR + draw_key(pending, colour=True) + "\n" + question(pending))
                shown = pending
            line = terminals.read_line(POLL_SECONDS)
            if line is None:
                continue
            if line.strip().lower() == LATER:
                terminals.write(f"{CLEAR}mailstead: the next start shows a recovery key again\n")
                return
            if not line.strip():
                # Other messages may have pushed it off the screen.
                shown = None
            elif not _confirmed(places, line):
                terminals.write(f"That is not group {pending.group}.\n" + question(pending))
        terminals.write(f"{CLEAR}mailstead: the recovery key is confirmed\n")


def _confirmed(places: Places, line: str) -> bool:
    """Whether it is confirmed now, by this line or meanwhile by command."""
    return read_pending(places) is None or confirm(places, line)
