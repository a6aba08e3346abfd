"""One machine from its first start, without any settings, to a factory reset by its owner."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from selenium.common import WebDriverException

from firstboot.base.paths import Paths
from firstboot.base.roundtrip import Account, round_trip, trusting
from firstboot.base.run import run
from firstboot.base.settings import parse_settings
from firstboot.base.waiting import wait_for
from firstboot.wizard.web.invitation import Invitation
from tests.boot.conftest import PowerOn
from tests.boot.recovery import confirm_recovery_key
from tests.web.browser import Browser, open_browser
from tools.boot.appliance import (
    ANSWER_SECONDS,
    BOOT_SECONDS,
    READY,
    READY_SECONDS,
    SETUP_DONE,
    TROUBLE,
    WAITING,
    declared,
)
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder
from tools.vm import Machine, UserNetwork
from tools.vm.network import LOOPBACK

HTTPS = 443
HOSTNAME = "mail.example.com"
ADDRESS, PASSWORD = "ada@example.com", "orchid lantern gravel teacup"
ADMINISTRATOR = "marble window thirteen otters"
KEY = "/run/owner-key"
SYSCTL = CHECKOUT / "images/appliance/mkosi.extra/usr/lib/sysctl.d/60-mailstead.conf"


@pytest.fixture(scope="class")
def machine(power_on: PowerOn) -> Machine:
    """A machine that waits for settings, with its page for browsers within reach."""
    ports = {port.name: port.published for port in declared().ports}
    found = power_on(network=UserNetwork({**ports, "setup": HTTPS}))
    found.wait_for_console(WAITING, seconds=BOOT_SECONDS)
    found.guest.wait_ready(seconds=BOOT_SECONDS)
    return found


@pytest.mark.campaign
class TestOwner:
    def test_the_machine_is_set_up_in_a_browser(self, machine: Machine) -> None:
        with open_browser(cache_folder("evidence", "boot-setup"), 1280) as browser:
            code = invitation(machine).code
            open_pairing(browser, machine)
            browser.fill("code", code)
            browser.click("button")
            browser.click("a.button")
            while browser.path.startswith("/step/"):
                answer(browser)
                browser.click("button")
            browser.picture("summary")
            browser.click("button")
            machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS, fail_on=TROUBLE)
            machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
            await_last_page(browser, machine)
            browser.picture("ready")
            assert browser.console_errors() == []
        text = machine.guest.read_file(str(Paths().settings)).decode()
        assert parse_settings(text, "settings.yaml").hostname == HOSTNAME
        assert PASSWORD not in text
        assert ADMINISTRATOR not in text

    def test_the_mailbox_opens_with_the_password_of_the_setup(self, machine: Machine) -> None:
        account = Account(
            hostname=HOSTNAME,
            address=ADDRESS,
            password=PASSWORD,
            submission=machine.ports["submission"],
            imaps=machine.ports["imaps"],
            context=trusting(machine.guest.read_file(str(Paths().certificate)).decode()),
            patience=machine.accelerator.scaled(ANSWER_SECONDS),
        )
        done = round_trip(account, timeout=machine.accelerator.scaled(BOOT_SECONDS))
        assert done.bytes > 1000

    def test_the_console_leads_to_the_menu(self, machine: Machine) -> None:
        confirm_recovery_key(machine)

        def press(keys: str, shown: str) -> None:
            mark = machine.console.mark()
            machine.console.send(keys)
            machine.wait_for_console(shown, seconds=BOOT_SECONDS, after=mark)

        press("\r", r"services\s+.*mailstore")
        press("\r", r"Administrator's password")
        press(f"{ADMINISTRATOR}\r", r"Press a key; \? and a key explains it")
        press("q", r"services\s+.*mailstore")
        machine.screenshot(cache_folder("evidence", "boot-setup") / "console.png")

    def test_no_unit_fails(self, machine: Machine) -> None:
        listed = machine.guest.run(["systemctl", "list-units", "--failed", "--no-legend"]).stdout
        assert listed.strip() == ""

    def test_the_kernel_is_as_hard_as_declared(self, machine: Machine) -> None:
        for line in SYSCTL.read_text().splitlines():
            if match := re.fullmatch(r"([a-z0-9_.]+) = (.+)", line):
                path = "/proc/sys/" + match[1].replace(".", "/")
                found = machine.guest.run(["cat", path]).stdout
                assert (match[1], found.strip()) == (match[1], match[2])

    def test_ssh_leads_to_the_menu(self, machine: Machine, tmp_path: Path) -> None:
        key = tmp_path / "id_ed25519"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        public = Path(f"{key}.pub").read_text()
        machine.guest.run(["install", "-m", "600", "/dev/stdin", KEY], stdin=key.read_text())
        machine.guest.run(["mailstead", "ssh", "add"], stdin=public)
        machine.guest.run(["mailstead", "ssh", "on"])
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
        refused = guest.run(["mailstead", "reset", "everything", "--yes", "mail"], check=False)
        assert refused.returncode == 8
        mark = machine.console.mark()
        # Its answer cannot come, since it restarts the machine.
        guest.run(
            ["systemd-run", "--no-block", "mailstead", "reset", "everything", "--yes", HOSTNAME]
        )
        machine.wait_for_console(r"Erasing all mail, settings", seconds=BOOT_SECONDS, after=mark)
        machine.wait_for_console(WAITING, seconds=BOOT_SECONDS, after=mark)
        guest.wait_ready(seconds=BOOT_SECONDS)
        assert guest.run(uuid).stdout != before
        assert guest.run(["cat", "/etc/machine-id"]).stdout != id_before
        kept = guest.run(["ls", "/state"]).stdout.split()
        assert not {"settings.yaml", "ssh", "mail"} & set(kept)


def invitation(machine: Machine) -> Invitation:
    """What the console shows, as root may read it."""

    def look() -> Invitation | None:
        done = machine.guest.run(["cat", str(Paths().invitation)], check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        found.pop("format", None)
        return Invitation(**found) if found.get("addresses") else None

    seconds = machine.accelerator.scaled(BOOT_SECONDS)
    return wait_for(look, what="an invitation of the web wizard", timeout=seconds)


def open_pairing(browser: Browser, machine: Machine) -> None:
    """Open the page that asks for the code; it may answer a moment after the code is there."""

    def look() -> bool:
        with contextlib.suppress(WebDriverException):
            browser.open(f"https://{LOOPBACK}:{machine.ports['setup']}")
        return browser.has('[name="code"]')

    wait_for(look, what="the first page", timeout=machine.accelerator.scaled(BOOT_SECONDS))


def await_last_page(browser: Browser, machine: Machine) -> None:
    """It shows keys for DKIM, which an emulated machine makes for longer than a browser waits."""

    def look() -> bool:
        with contextlib.suppress(WebDriverException):
            return "Your mail server is ready" in browser.text
        return False

    wait_for(look, what="the last page", timeout=machine.accelerator.scaled(BOOT_SECONDS))


def answer(browser: Browser) -> None:
    """Fill in what has no default on the page that is shown."""
    step = browser.path.rpartition("/")[2]
    browser.picture(step)
    if step == "domains":
        browser.fill("domains[].name", "example.com")
    if step == "person":
        browser.fill("people[0].address", ADDRESS)
        browser.fill("people[0].password_hash", PASSWORD)
        browser.fill("people[0].password_hash again", PASSWORD)
    if step == "administrator":
        browser.fill("administrator.password_hash", ADMINISTRATOR)
        browser.fill("administrator.password_hash again", ADMINISTRATOR)


def over_ssh(machine: Machine, keys: str) -> str:
    """What the menu shows to somebody who types these keys over SSH."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    words = ["env", "TERM=linux", "ssh", "-tt", "-i", KEY]
    words += [word for option in options for word in ("-o", option)]
    done = machine.guest.run([*words, "root@127.0.0.1"], stdin=keys, timeout=120)
    return done.stdout
