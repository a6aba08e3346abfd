"""A machine that nobody has given settings: set up in a real browser, through its real service."""

from __future__ import annotations

import json

from firstboot.base.paths import Paths
from firstboot.base.roundtrip import Account, round_trip, trusting
from firstboot.base.settings import parse_settings
from firstboot.base.waiting import wait_for
from firstboot.wizard.web.invitation import Invitation
from tests.boot.conftest import PowerOn
from tests.boot.recovery import confirm_recovery_key
from tests.web.browser import Browser, open_browser
from tools.boot.appliance import (
    BOOT_SECONDS,
    READY,
    READY_SECONDS,
    SETUP_DONE,
    TROUBLE,
    WAITING,
    declared,
)
from tools.host.cache import cache_folder
from tools.vm import Machine, UserNetwork
from tools.vm.network import LOOPBACK

HTTPS = 443
ADDRESS, PASSWORD = "ada@example.com", "orchid lantern gravel teacup"
ADMINISTRATOR = "marble window thirteen otters"


def test_a_machine_is_set_up_in_a_browser(power_on: PowerOn) -> None:
    ports = {port.name: port.published for port in declared().ports}
    machine = power_on(network=UserNetwork({**ports, "setup": HTTPS}))
    machine.wait_for_console(WAITING, seconds=BOOT_SECONDS)
    machine.guest.wait_ready(seconds=BOOT_SECONDS)
    album = cache_folder("evidence", "boot-setup")
    with open_browser(album, 1280) as browser:
        browser.open(f"https://{LOOPBACK}:{machine.ports['setup']}")
        browser.fill("code", invitation(machine).code)
        browser.click("button")
        browser.click("a.button")
        while browser.path.startswith("/step/"):
            answer(browser)
            browser.click("button")
        browser.picture("summary")
        browser.click("button")
        machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS, fail_on=TROUBLE)
        machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
        browser.wait_for_text("Your mail server is ready")
        browser.picture("ready")
        assert browser.console_errors() == []

    text = machine.guest.read_file(str(Paths().settings)).decode()
    settings = parse_settings(text, "settings.yaml")
    assert settings.hostname == "mail.example.com"
    assert PASSWORD not in text
    assert ADMINISTRATOR not in text
    account = Account(
        hostname=settings.hostname,
        address=ADDRESS,
        password=PASSWORD,
        submission=machine.ports["submission"],
        imaps=machine.ports["imaps"],
        context=trusting(machine.guest.read_file(str(Paths().certificate)).decode()),
    )
    done = round_trip(account, timeout=machine.accelerator.scaled(BOOT_SECONDS))
    assert done.bytes > 1000
    confirm_recovery_key(machine)
    open_menu(machine)
    machine.screenshot(album / "console.png")


def invitation(machine: Machine) -> Invitation:
    """What the console shows, as root may read it."""

    def look() -> Invitation | None:
        done = machine.guest.run(["cat", str(Paths().invitation)], check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        found.pop("format", None)
        return Invitation(**found) if found.get("addresses") else None

    seconds = machine.accelerator.scaled(BOOT_SECONDS)
    return wait_for(look, what="an invitation of the web wizard", timeout=seconds)


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


def open_menu(machine: Machine) -> None:
    """The serial console shows the machine's state, and its menu to whoever knows the password."""

    def press(keys: str, shown: str) -> None:
        mark = machine.console.mark()
        machine.console.send(keys)
        machine.wait_for_console(shown, seconds=BOOT_SECONDS, after=mark)

    press("\r", r"services\s+.*mailstore")
    press("\r", r"Administrator's password")
    press(f"{ADMINISTRATOR}\r", r"Press a key; \? and a key explains it")
