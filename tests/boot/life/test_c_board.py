"""The recovery key, another board that needs it, and a kernel that somebody has changed."""

from __future__ import annotations

import pytest

from tests.boot.life.conftest import Life
from tests.boot.recovery import confirm_recovery_key
from tools.boot.appliance import (
    BOOT_SECONDS,
    CONSOLE_READY,
    READY,
    READY_SECONDS,
    TROUBLE,
    forwarded,
    read_status,
)
from tools.vm import Machine

REFUSED = r"(?i)(access denied|security violation)"


class TestBoard:
    def test_recovery_key_is_shown_until_it_is_confirmed(self, life: Life) -> None:
        machine = life.machine
        life.recovery_key = confirm_recovery_key(machine)
        assert read_status(machine)["protection"]["recovery_confirmed"]
        # Through standard input: the guest agent writes into the journal what it is told to run.
        search = 'read key; journalctl --no-pager --quiet | grep -c -e "$key" || :'
        group = life.recovery_key.partition("-")[0]
        found = machine.guest.run(["sh", "-c", search], stdin=f"{group}\n", timeout=60)
        assert found.stdout == "0\n"

    @pytest.mark.campaign
    def test_another_board_needs_the_recovery_key_once(self, life: Life) -> None:
        life.deliver("before the move")
        old = life.machine
        old.power_button(seconds=60)
        disk = old.disk.clone(life.folder / "moved", same_board=False)
        life.move_to(Machine(disk, old.hardware, forwarded()))
        machine = life.machine
        machine.wait_for_console("This disk is locked", seconds=2 * BOOT_SECONDS)
        machine.wait_for_console("recovery key:", seconds=BOOT_SECONDS)
        # As people type it: without its dashes, and in capitals.
        machine.console.send(life.recovery_key.replace("-", "").upper() + "\r")
        machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
        life.require_mail()
        assert read_status(machine)["protection"]["unlocked_by"] == "typed"
        life.restart(CONSOLE_READY, seconds=BOOT_SECONDS)
        machine.guest.wait_ready(seconds=BOOT_SECONDS)
        assert machine.guest.run(["cat", "/run/mailstead/unlocked-by"]).stdout == "tpm2\n"

    def test_firmware_does_not_start_a_changed_kernel(self, life: Life) -> None:
        change = (
            "for uki in /efi/EFI/Linux/*.efi; do "
            "printf X | dd of=$uki bs=1 seek=20000000 conv=notrunc status=none; done; sync"
        )
        life.machine.guest.run(["sh", "-c", change])
        life.restart(REFUSED, seconds=BOOT_SECONDS, fail_on=(CONSOLE_READY,))
