"""What the console shows, as plain lines of at most 79 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WIDTH = 79
RULE = "-" * WIDTH
MIB, GIB = 1 << 20, 1 << 30

START = (
    "1  New installation         answer a few questions; what was answered is kept",
    "2  Restore from a backup    with the recovery kit: all is as it was",
    "3  Diagnose                 find out whether machine and network are fit",
    "4  In a browser             answer the questions there: address and code",
)
START_KEYS = "A number chooses.   Esc: back to the log"
RESTORE = (
    "Have the recovery kit at hand. Ctrl-C leaves. Nothing is changed before all of",
    "the backup is fetched and compared; what was fetched is kept.",
    "",
)
LOOKING = "Looking at machine and network, for up to a minute. Ctrl-C leaves this out."
NOT_RIGHT = ("FAIL", "WARN")
UNFIT = (
    "",
    "FAIL keeps mail from working. You may go on all the same, and mend it later;",
    "where no addresses are given out, type yours at the first question.",
)
MORE_KEYS = "Enter: more   Esc: back"
UNFIT_KEYS = "Enter: the questions   Esc: back"
NO_BROWSER = ("The questions are not served to a browser now.", "Try again in half a minute.")
BROWSER_KEYS = "n: a new code   Esc: back"
AFTER = (
    "",
    "Your mail server works. What is left to do:",
    "  - its DNS records, at whoever hosts your domain: z in the menu shows them",
    "  - mail programs: user name is the address, server is the name of the machine",
    "  - the recovery key of the disk, shown here until it is confirmed",
    "",
    "Press Enter for the state of the machine and its menu.",
)
KIT = (
    "",
    "Your backups have a recovery kit. Without it nobody opens them when this",
    "machine is gone.",
    "k: the recovery kit   Enter: go on without",
)
SETTING_UP = (
    "The machine is being set up. It takes a few minutes; its steps are shown here.",
    "",
)
REFUSED = (
    "",
    "The machine cannot use these settings, see above. Nothing has been changed.",
    "Press Enter to change the answers.",
)


def draw(title: str, lines: Sequence[str], keys: str, mark: Callable[[str], str]) -> str:
    """A screen: a title, its lines, and what the keys do; `mark` makes a bar where it can."""
    bars = [mark(text.ljust(WIDTH)) for text in (f" Mailstead   {title}", f" {keys}")]
    return "\n".join((bars[0], "", *lines, "", RULE, bars[1], ""))


def start_lines(invitation: Sequence[str]) -> tuple[str, ...]:
    """The first screen's lines; `invitation` tells how to do the same in a browser."""
    greeting = ("This machine is not set up yet. Nothing on it has been changed.", "")
    return (*greeting, *(f"  {line}" for line in START), "", *(f"  {line}" for line in invitation))


def status_lines(status: Mapping[str, Any]) -> tuple[str, ...]:
    """How the machine is doing, from what `mailstead status` knows (as JSON)."""
    containers = status["containers"]
    well = [c["name"] for c in containers if c["health"] == "healthy"]
    ill = [f"{c['name']} ({c['status']})" for c in containers if c["health"] != "healthy"]
    closed = [f"{p['port']} {p['name']}" for p in status["ports"] if not p["listening"]]
    memory, disk = status["memory"], status["disk"]
    rows = [
        ("name", str(status["hostname"])),
        ("version", f"{status['version']} ({status['base']})"),
        ("running", _duration(float(status["uptime"]))),
        ("memory", f"{memory['used'] // MIB} of {memory['total'] // MIB} MiB used"),
        ("disk", f"{disk['used'] / GIB:.1f} of {disk['total'] / GIB:.1f} GiB used"),
        ("services", ", ".join(well) or "none is healthy"),
    ]
    if ill:
        rows.append(("NOT WELL", ", ".join(ill)))
    if closed:
        rows.append(("CLOSED", f"ports {', '.join(closed)}"))
    rows += [("PROBLEM", str(problem)) for problem in status["problems"]]
    return tuple(line for name, value in rows for line in _row(name, value))


def _row(name: str, value: str) -> list[str]:
    """A row of the state; one that is long goes on below."""
    return textwrap.wrap(
        value, WIDTH, initial_indent=f"  {name.ljust(10)}", subsequent_indent=" " * 12
    )


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes >= 1440:
        return f"{minutes // 1440} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
