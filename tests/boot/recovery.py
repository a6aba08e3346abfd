"""The recovery key, as a person reads it from the console and confirms it."""

from __future__ import annotations

import json

from firstboot.base.paths import Paths
from firstboot.disk.places import Places
from tools.boot.appliance import BOOT_SECONDS
from tools.vm import Machine

QUESTION = r"to confirm that you have it"
# An emulated serial line repeats a byte now and then, so that not every group comes out whole.
LEGIBLE = 5


def confirm_recovery_key(machine: Machine) -> str:
    """Type what the console asks for, once wrongly; the key that it shows, with dashes."""
    machine.wait_for_console(QUESTION, seconds=BOOT_SECONDS)
    machine.guest.wait_ready(seconds=BOOT_SECONDS)
    pending = json.loads(machine.guest.read_file(str(Places(Paths()).pending)))
    key, asked = str(pending["key"]), int(pending["group"])
    groups = key.split("-")
    assert sum(f"{group}\n" in machine.console_text for group in groups) >= LEGIBLE
    mark = machine.console.mark()
    machine.console.send("nonsense\r")
    machine.wait_for_console("That is not group", seconds=BOOT_SECONDS, after=mark)
    machine.console.send(f"{groups[asked - 1]}\r")
    machine.wait_for_console("the recovery key is confirmed", seconds=BOOT_SECONDS, after=mark)
    return key
