"""A machine without a TPM, whose owner protects the disk with a passphrase."""

from __future__ import annotations

import json

import pytest

from tests.boot.conftest import PowerOn
from tools.boot.appliance import BOOT_SECONDS, CONSOLE_READY, SETUP_DONE
from tools.boot.example import Example

PASSPHRASE = "five words that nobody guesses"


@pytest.mark.campaign
def test_a_passphrase_is_chosen_and_then_opens_the_disk(
    power_on: PowerOn, example: Example
) -> None:
    machine = power_on(seed=f"{example.seed}disk:\n  protection: passphrase\n", tpm=None)
    machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS)

    def answer(prompt: str, text: str) -> None:
        mark = machine.console.mark()
        machine.console.send(f"{text}\r")
        machine.wait_for_console(prompt, seconds=BOOT_SECONDS, after=mark)

    machine.wait_for_console(r"Passphrase: $", seconds=BOOT_SECONDS)
    answer(r"at least \d+ characters\.", "short")
    answer(r"The same once more: $", PASSPHRASE)
    answer(r"The passphrase is being set", PASSPHRASE)
    machine.wait_for_console(r"the disk has a new recovery key", seconds=BOOT_SECONDS)
    assert PASSPHRASE not in machine.console_text

    machine.power_cut()
    machine.start()
    machine.wait_for_console(r"Passphrase or recovery key:", seconds=BOOT_SECONDS)
    answer(r"That does not open this disk", "another passphrase")
    mark = machine.console.mark()
    machine.console.send(f"{PASSPHRASE}\r")
    machine.wait_for_console(
        CONSOLE_READY, seconds=BOOT_SECONDS, fail_on=["does not open"], after=mark
    )
    machine.guest.wait_ready(seconds=BOOT_SECONDS)
    found = machine.guest.run(["mailstead", "disk", "status", "--json"], timeout=60)
    protection = json.loads(found.stdout)
    # The key file that such a machine begins with is gone.
    assert [way["name"] for way in protection["ways"]] == ["passphrase", "recovery"]
    assert protection["unlocked_by"] == "typed"
    assert machine.guest.run(["ls", "/efi"], timeout=60).stdout.split() == ["EFI", "loader"]
