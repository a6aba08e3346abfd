"""How far the machine is with its setup, from the lines that it writes on its console."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from firstboot.base.paths import Paths
from firstboot.base.waiting import wait_for

PREFIX = "mailstead: "
WAITING = "waiting for settings"
SET_UP = "setup done"


@dataclass(frozen=True)
class Stage:
    """A step of the machine's own; `state` is done, present or open."""

    title: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """Its stages, what went wrong since the settings were handed over, and whether all is done."""

    stages: tuple[Stage, ...]
    errors: tuple[str, ...]
    taken: bool
    ready: bool

    @property
    def done(self) -> int:
        return sum(stage.state == "done" for stage in self.stages)


# What each stage ends with, and what goes on in it.
_STAGES = (
    ("Settings taken", r"settings from .+"),
    ("System and network set up", SET_UP),
    ("Services unpacked", r"containers loaded \(.*\)"),
    ("Services started", r"containers started"),
    ("A mail sent and received", r"a mail went round \(.*\)"),
    ("All of it ready", r"ready .+"),
)
_DETAIL = re.compile(r"loading \S*?([a-z0-9-]+):\S+")


def read_lines(paths: Paths) -> tuple[str, ...]:
    """What the machine has said since it started, without the prefix of the console."""
    try:
        text = paths.progress.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(line.removeprefix(PREFIX) for line in text.splitlines())


def is_waiting(lines: Sequence[str]) -> bool:
    """Whether the machine has no settings and waits for some."""
    return WAITING in lines and not any(_matches(_STAGES[0][1], line) for line in lines)


def await_questions(paths: Paths, ended: threading.Event) -> bool:
    """Wait until the machine waits for settings; False when it has got them, or all is ended."""

    def decided() -> bool:
        return ended.is_set() or paths.settings.exists() or is_waiting(read_lines(paths))

    wait_for(decided, what="settings, or the wait for them", timeout=math.inf)
    return not ended.is_set() and not paths.settings.exists()


def read_progress(lines: Sequence[str], handed: int = 0) -> Progress:
    """`handed` is how many lines there were when the settings were handed over."""
    found = [number for number, line in enumerate(lines) if _matches(_STAGES[0][1], line)]
    since = list(lines[found[-1] if found else handed :])
    done = 0
    for line in since:
        if done < len(_STAGES) and _matches(_STAGES[done][1], line):
            done += 1
    stages = tuple(
        Stage(
            title,
            "done" if number < done else "present" if number == done else "open",
            _detail(since) if number == done else "",
        )
        for number, (title, _) in enumerate(_STAGES)
    )
    return Progress(stages, _errors(since), bool(found), done == len(_STAGES))


def _matches(pattern: str, line: str) -> bool:
    return re.fullmatch(pattern, line) is not None


def _detail(lines: Sequence[str]) -> str:
    match = _DETAIL.fullmatch(lines[-1]) if lines else None
    return match[1] if match else ""


def _errors(lines: Sequence[str]) -> tuple[str, ...]:
    """Errors with the lines that belong to them, as Console.error writes them."""
    found: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("error: "):
            inside = True
            found.append(line.removeprefix("error: "))
        elif line.startswith("hint: "):
            inside = False
            found.append(line.removeprefix("hint: "))
        elif inside and line.startswith("  "):
            found.append(line.strip())
        else:
            inside = False
    return tuple(dict.fromkeys(found))
