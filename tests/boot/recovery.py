"""The recovery key, as a person reads it from the console and confirms it."""

from __future__ import annotations

import re

from tools.boot.appliance import BOOT_SECONDS
from tools.vm import Machine

GROUP = re.compile(r"([1-8])  ([cbdefghijklnrtuv]{8})\s*$", re.MULTILINE)
QUESTION = r"Type group ([1-8]) to confirm"


def confirm_recovery_key(machine: Machine) -> str:
    """Type what the console asks for, once wrongly; the key that it shows, with dashes."""
    machine.wait_for_console(QUESTION, seconds=BOOT_SECONDS)
    *_, last = re.finditer(QUESTION, machine.console_text)
    # Each start shows another key, and all of them are in the log of this console.
    groups = dict(GROUP.findall(machine.console_text[: last.start()]))
    assert sorted(groups) == [str(number) for number in range(1, 9)]
    mark = machine.console.mark()
    machine.console.send("nonsense\r")
    machine.wait_for_console("That is not group", seconds=BOOT_SECONDS, after=mark)
    machine.console.send(f"{groups[last[1]]}\r")
    machine.wait_for_console("the recovery key is confirmed", seconds=BOOT_SECONDS, after=mark)
    return "-".join(groups[str(number)] for number in range(1, 9))
