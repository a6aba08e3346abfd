"""Restarting and switching off the machine: systemctl(1)."""

from __future__ import annotations

from typing import Literal

from firstboot.base.run import run

Goal = Literal["restart", "off"]
_VERBS: dict[Goal, str] = {"restart": "reboot", "off": "poweroff"}


def go(goal: Goal) -> None:
    """Stop everything in its order, then restart or switch off."""
    run(["systemctl", _VERBS[goal]], timeout=300)
