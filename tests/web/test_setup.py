"""A whole setup in a browser, as somebody goes through it, with a picture of every page."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from firstboot.backup.keys import present_recovery
from firstboot.base.errors import MachineError
from firstboot.base.settings import Settings, require_settings
from firstboot.wizard.web.invitation import ask_for_code
from firstboot.wizard.web.pairing import MOST_WRONG
from tests.unit.firstboot.wizard.site import RECORDS, Site
from tests.web.browser import PHONE_WIDTH, Browser

PASSWORD = "orchid lantern gravel teacup"
STEPS = (
    *("network", "domains", "names", "person", "sending", "disk", "tls", "updates", "backup"),
    "administrator",
)
PASSWORD_KEY = "people[0].password_hash"
MENU_KEY = "administrator.password_hash"


@pytest.mark.parametrize("browser", [1280, PHONE_WIDTH], indirect=True)
def test_a_whole_setup(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    browser.picture("pair")
    pair(browser, site)
    browser.picture("start")
    browser.click("a.button")
    go_through(browser)
    browser.picture("summary")
    browser.click("button")
    hand_over(browser, site)

    settings = require_settings(site.paths.settings)
    assert settings.network.addresses == ("192.0.2.10/24",)
    assert_answered(settings)


def test_a_whole_setup_by_keyboard(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    # The code's field has the focus at once; whoever uses a keyboard just types.
    browser.press(site.invitation.code)
    browser.press_and_wait(Keys.ENTER)
    browser.tab_to(".skip")
    browser.tab_to("a.button")
    browser.press_and_wait(Keys.ENTER)
    for step in STEPS:
        assert browser.path == f"/step/{step}"
        if step == "domains":
            browser.tab_to('[name="domains[].name"]')
            browser.press("example.com")
        if step == "person":
            browser.tab_to('[name="people[0].address"]')
            browser.press("ada@example.com", Keys.TAB, "Ada Lovelace")
            browser.press(Keys.TAB, PASSWORD, Keys.TAB, PASSWORD)
        if step == "backup":
            browser.fill("backup.targets[0].repository", "disk:MAILBACKUP")
            browser.click("button")
            browser.picture("backup-more")
        if step == "tls":
            # Whoever takes the certificate of an authority is asked for an address, too.
            browser.tab_to("button")
            browser.press_and_wait(Keys.SPACE)
        if step == "administrator":
            browser.tab_to(f'[name="{MENU_KEY}"]')
            browser.press(PASSWORD, Keys.TAB, PASSWORD)
        if step == "disk":
            browser.tab_to('[name="disk.protection"]:checked')
            browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        browser.tab_to("button")
        browser.press_and_wait(Keys.SPACE)
    browser.tab_to("button")
    browser.press_and_wait(Keys.ENTER)
    site.wait_until(site.paths.settings.exists)
    assert_answered(require_settings(site.paths.settings))


@pytest.mark.parametrize("browser", [1280, PHONE_WIDTH], indirect=True)
def test_what_is_wrong_is_shown_where_it_is(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    for _ in range(MOST_WRONG):
        browser.fill("code", "0000 0001")
        browser.click("button")
        if browser.pictures == 0:
            browser.picture("pair-wrong")
    browser.picture("pair-locked")
    ask_for_code(site.paths.invitation)
    site.await_new_code("")
    browser.open(site.address)
    pair(browser, site)
    browser.open(f"{site.address}/step/domains")
    browser.fill("domains[].name", "gmail.com")
    browser.click("button")
    browser.picture("domains-wrong")
    field = browser.focused
    assert field.get_attribute("name") == "domains[].name"
    assert field.get_attribute("value") == "gmail.com"
    assert "somebody else's" in browser.description(field)
    browser.fill("domains[].name", "Bücher.example")
    browser.click("button")
    browser.picture("domains-doubt")
    browser.click("button")
    browser.picture("domains-note")
    assert "xn--bcher-kva.example" in browser.text
    browser.open(f"{site.address}/step/person")
    browser.fill("people[0].address", "ada@elsewhere.example")
    browser.fill(PASSWORD_KEY, "password123")
    browser.fill(f"{PASSWORD_KEY} again", "password123")
    browser.click("button")
    browser.picture("person-wrong")
    assert browser.find(f'[name="{PASSWORD_KEY}"]').get_attribute("value") == ""
    assert "easy to guess" in browser.description(browser.find(f'[name="{PASSWORD_KEY}"]'))


def test_two_windows_at_once(browser: Browser, site: Site) -> None:
    browser.open(site.address)
    pair(browser, site)
    browser.open(f"{site.address}/step/domains")
    site.answer_elsewhere({"domains[].name": ("example.net",)}, "domains")
    browser.fill("domains[].name", "example.com")
    browser.click("button")
    browser.picture("changed-elsewhere")
    assert "changed elsewhere" in browser.text
    assert browser.find('[name="domains[].name"]').get_attribute("value") == "example.net"


def test_answers_that_the_machine_cannot_use(browser: Browser, site: Site) -> None:
    site.refusal = MachineError(
        "This machine has no TPM 2.0, which is to protect the disk",
        "Choose `passphrase` or `key-file` for disk.protection.",
    )
    browser.open(site.address)
    pair(browser, site)
    browser.click("a.button")
    go_through(browser, static=False)
    browser.click("button")
    browser.wait_for_text("cannot use these answers")
    browser.picture("refused")
    browser.click("button")
    assert browser.path == "/start"


def test_dark(browser: Browser, site: Site) -> None:
    browser.darken()
    browser.open(site.address)
    pair(browser, site)
    browser.open(f"{site.address}/step/network")
    browser.picture("dark-network")
    browser.open(f"{site.address}/step/domains")
    browser.fill("domains[].name", "co.uk")
    browser.click("button")
    browser.picture("dark-domains-wrong")
    assert browser.contrast_problems() == []
    browser.darken(dark=False)
    assert browser.contrast_problems() == []


def pair(browser: Browser, site: Site) -> None:
    browser.fill("code", site.invitation.shown_code)
    browser.click("button")
    assert browser.path == "/start"


def go_through(browser: Browser, *, static: bool = True) -> None:
    """Answer every step, up to the summary."""
    for step in STEPS:
        assert browser.path == f"/step/{step}"
        browser.picture(step)
        if step == "network" and static:
            browser.choose("network.method", "static")
            browser.click("button")
            browser.fill("network.addresses", "192.0.2.10/24")
            browser.fill("network.gateways", "192.0.2.1")
            browser.fill("network.dns", "192.0.2.1")
            browser.picture("network-static")
        if step == "domains":
            browser.fill("domains[].name", "example.com")
        if step == "person":
            browser.fill("people[0].address", "ada")
            browser.fill("people[0].name", "Ada Lovelace")
            browser.fill(PASSWORD_KEY, PASSWORD)
            browser.fill(f"{PASSWORD_KEY} again", PASSWORD)
        if step == "sending" and static:
            browser.fill("relay.host", "smtp.example.net")
            browser.click("button")
            browser.fill("relay.username", "ada")
            browser.click("button")
            browser.picture("sending-more")
            browser.fill("relay.password", PASSWORD)
        if step == "disk":
            browser.choose("disk.protection", "key-file")
        if step == "updates":
            browser.fill("updates.url", "https://updates.example.com/mailstead")
            browser.click("button")
            browser.picture("updates-more")
        if step == "backup":
            browser.fill("backup.targets[0].repository", "disk:MAILBACKUP")
            browser.click("button")
            browser.picture("backup-more")
        if step == "tls":
            # Whoever takes the certificate of an authority is asked for an address, too.
            browser.click("button")
        if step == "administrator":
            browser.fill(MENU_KEY, PASSWORD)
            browser.fill(f"{MENU_KEY} again", PASSWORD)
        browser.click("button")
    assert browser.path == "/summary"


def hand_over(browser: Browser, site: Site) -> None:
    """Watch the machine take its settings and start."""
    site.wait_until(lambda: "setup done" in site.paths.progress.read_text())
    site.say("loading mailstead/redis:0123456789ab")
    browser.wait_for_text("redis")
    browser.picture("progress")
    site.say("containers loaded (3, 41.2 s)", "containers started")
    site.say("a mail went round (0.8 s)", "ready mail.example.com")
    # The page looks again by itself.
    browser.wait_for_text("Your mail server is ready")
    browser.picture("ready")
    assert all(record.data in browser.text for record in RECORDS)
    keep_kit(browser, site)


def keep_kit(browser: Browser, site: Site) -> None:
    """Look at the recovery kit, and type a part of it back, wrong once."""
    browser.click('a[href="/kit"]')
    browser.picture("kit")
    recovery = present_recovery(site.paths)
    assert recovery.code in browser.text
    browser.fill("group", "iiii")
    browser.click("button")
    browser.picture("kit-wrong")
    assert "not the group asked for" in browser.description(browser.focused)
    browser.fill("group", recovery.groups[recovery.group - 1])
    browser.click("button")
    browser.picture("kit-kept")
    assert recovery.code not in browser.text
    browser.click('a[href="/progress"]')
    browser.picture("ready-kit-kept")


def assert_answered(settings: Settings) -> None:
    assert settings.hostname == "mail.example.com"
    assert [domain.name for domain in settings.domains] == ["example.com"]
    assert settings.people[0].address == "ada@example.com"
    assert settings.people[0].name == "Ada Lovelace"
    assert settings.disk.protection == "key-file"
