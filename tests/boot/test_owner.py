"""What an owner does with a machine: the menu over SSH, and a factory reset."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firstboot.base.run import run
from tests.boot.conftest import PowerOn
from tools.boot.appliance import (
    BOOT_SECONDS,
    READY,
    READY_SECONDS,
    SETUP_DONE,
    TROUBLE,
    await_ready,
)
from tools.boot.example import HOSTNAME, Example
from tools.build.source import CHECKOUT
from tools.vm import Machine

KEY = "/run/owner-key"
SYSCTL = CHECKOUT / "images/appliance/mkosi.extra/usr/lib/sysctl.d/60-mailstead.conf"


@pytest.fixture(scope="class")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("owner") / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
    return path


@pytest.fixture(scope="class")
def machine(power_on: PowerOn, example: Example, key: Path) -> Machine:
    public = Path(f"{key}.pub").read_text().strip()
    ssh = f"ssh:\n  enabled: true\n  networks: [127.0.0.0/8]\n  keys: ['{public}']\n"
    found = power_on(seed=example.seed + ssh)
    await_ready(found)
    found.guest.wait_ready(seconds=BOOT_SECONDS)
    found.guest.run(["install", "-m", "600", "/dev/stdin", KEY], stdin=key.read_text())
    return found


def over_ssh(machine: Machine, keys: str) -> str:
    """What the menu shows to somebody who types these keys over SSH."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    words = ["env", "TERM=linux", "ssh", "-tt", "-i", KEY]
    words += [word for option in options for word in ("-o", option)]
    done = machine.guest.run([*words, "root@127.0.0.1"], stdin=keys, timeout=120)
    return done.stdout


class TestOwner:
    def test_no_unit_fails(self, machine: Machine) -> None:
        listed = machine.guest.run(["systemctl", "list-units", "--failed", "--no-legend"]).stdout
        assert listed.strip() == ""

    def test_the_kernel_is_as_hard_as_declared(self, machine: Machine) -> None:
        for line in SYSCTL.read_text().splitlines():
            if match := re.fullmatch(r"([a-z0-9_.]+) = (.+)", line):
                path = "/proc/sys/" + match[1].replace(".", "/")
                found = machine.guest.run(["cat", path]).stdout
                assert (match[1], found.strip()) == (match[1], match[2])

    def test_ssh_leads_to_the_menu(self, machine: Machine) -> None:
        shown = over_ssh(machine, "q")
        assert f"Mailstead  {HOSTNAME}" in shown
        assert "Restart or switch off" in shown

    def test_the_menu_can_do_its_work_there(self, machine: Machine) -> None:
        """The engine, the disk's header, the settings."""
        assert re.search(r"mailstore +running", over_ssh(machine, "sqq"))
        assert "tpm2 (slot" in over_ssh(machine, "dsqqq")
        over_ssh(machine, "3w03:00-05:00\n qq")
        found = machine.guest.run(["mailstead", "settings", "get", "updates.window"]).stdout
        assert found == "03:00-05:00\n"

    def test_the_check_for_ports_knows_ssh(self, machine: Machine) -> None:
        shown = machine.guest.run(["mailstead", "check"], check=False, timeout=120).stdout
        assert re.search(r"pass +listeners", shown)

    def test_a_reset_leaves_a_fresh_machine(self, machine: Machine) -> None:
        guest = machine.guest
        uuid = ["cryptsetup", "luksUUID", "/dev/disk/by-partlabel/mailstead-state"]
        before, id_before = guest.run(uuid).stdout, guest.run(["cat", "/etc/machine-id"]).stdout
        host_key = guest.run(["cat", "/state/ssh/host_ed25519.pub"]).stdout
        refused = guest.run(["mailstead", "reset", "everything", "--yes", "mail"], check=False)
        assert refused.returncode == 8
        mark = machine.console.mark()
        # Its answer cannot come, since it restarts the machine.
        guest.run(
            ["systemd-run", "--no-block", "mailstead", "reset", "everything", "--yes", HOSTNAME]
        )
        machine.wait_for_console(r"Erasing all mail, settings", seconds=BOOT_SECONDS, after=mark)
        machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS, fail_on=TROUBLE, after=mark)
        machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE, after=mark)
        guest.wait_ready(seconds=BOOT_SECONDS)
        assert guest.run(uuid).stdout != before
        assert guest.run(["cat", "/etc/machine-id"]).stdout != id_before
        assert guest.run(["cat", "/state/ssh/host_ed25519.pub"]).stdout != host_key
        mailstead = guest.run(["mailstead", "disk", "status"]).stdout
        assert "tpm2 (slot" in mailstead
