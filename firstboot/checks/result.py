"""What a check answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["pass", "warn", "fail"]
Group = Literal["machine", "network", "mail"]


@dataclass(frozen=True)
class Result:
    """One answer: what was measured; and, unless it passed, why that matters and what to do.

    `group` is filled in by whoever runs the checks.
    """

    name: str
    state: State
    measured: str
    why: str = ""
    what_to_do: str = ""
    group: str = ""


def below(value: float, warn: float, fail: float) -> State:
    """The state of something of which there should be much."""
    if value < fail:
        return "fail"
    return "warn" if value < warn else "pass"


def worst(*states: State) -> State:
    """The worst of several states."""
    order: tuple[State, ...] = ("fail", "warn", "pass")
    return next(state for state in order if state in states)
