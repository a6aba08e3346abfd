"""A second factor at the web pages, set up and used in a real browser, with real Redis behind."""

from __future__ import annotations

import time

import pytest

from postmaster.crypto.totp import STEP_SECONDS, code_at, read_key
from tests.stack.mail import Mail
from tests.stack.people import MARY
from tests.stack.test_pages import may_read, picture_in_both_themes, sign_in
from tests.web.browser import Browser


def code_of(browser: Browser) -> tuple[bytes, str]:
    """The key that a page shows, as an app reads it, and its code of this moment."""
    key = read_key(browser.find("figcaption code").text.replace(" ", ""))
    assert key is not None
    return key, code_at(key, int(time.time()) // STEP_SECONDS)


def test_a_second_factor_from_its_set_up_to_its_end(browser: Browser, mail: Mail) -> None:
    password = mail.password(MARY)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/recovery-code"]')
    browser.fill("password", password)
    browser.click("main button")
    recovery = browser.find(".secret").text
    browser.click('nav a[href="/second-factor"]')
    picture_in_both_themes(browser, "second-factor-off")
    browser.click("main .button")
    picture_in_both_themes(browser, "second-factor-app")
    browser.fill("code", "000000")
    browser.fill("password", password)
    browser.click("main button")
    assert "not the app's code" in browser.text
    picture_in_both_themes(browser, "second-factor-app-wrong")
    key, code = code_of(browser)
    browser.fill("code", code)
    browser.fill("password", password)
    browser.click("main button")
    assert "is on" in browser.text
    picture_in_both_themes(browser, "second-factor-on")
    assert not may_read(mail, password)

    browser.click("header button")
    sign_in(browser, mail, MARY.address, password)
    picture_in_both_themes(browser, "second-step")
    browser.fill("code", code)
    browser.click("main button")
    assert "does not work" in browser.text
    picture_in_both_themes(browser, "second-step-wrong")
    # The next one is taken before its time, as of a clock that is fast.
    browser.fill("code", code_at(key, int(time.time()) // STEP_SECONDS + 1))
    browser.click("main button")
    assert browser.path == "/"

    browser.click("header button")
    sign_in(browser, mail, MARY.address, password)
    browser.click("main .after a")
    picture_in_both_themes(browser, "second-step-lost")
    browser.fill("code", recovery)
    browser.click("main button")
    assert "is removed" in browser.text
    picture_in_both_themes(browser, "second-factor-removed")
    assert may_read(mail, password)


@pytest.mark.parametrize("browser", [1280], indirect=True)
def test_its_pages_are_in_chinese_too(browser: Browser, mail: Mail) -> None:
    sign_in(browser, mail, MARY.address, mail.password(MARY))
    browser.click('nav a[href="/second-factor"]')
    browser.click('footer button[value="zh"]')
    picture_in_both_themes(browser, "second-factor-zh")
    browser.click("main .button")
    picture_in_both_themes(browser, "second-factor-app-zh")


def test_a_passkey_from_its_making_to_its_end(browser: Browser, mail: Mail) -> None:
    password = mail.password(MARY)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/second-factor"]')
    browser.click('main a[href="/second-factor/passkey"]')
    picture_in_both_themes(browser, "passkey-new")
    browser.add_passkey_holder()
    browser.fill("label", "Key on my ring")
    browser.fill("password", password)
    browser.click("main button")
    assert "factor is on" in browser.text
    assert "Key on my ring" in browser.text
    picture_in_both_themes(browser, "passkey-on")
    assert not may_read(mail, password)
    # A second one on the same key would be the same factor.
    browser.click('main a[href="/second-factor/passkey"]')
    browser.fill("label", "Once more")
    browser.fill("password", password)
    browser.find("main button").click()
    browser.wait_for_text("The browser gave no passkey")
    picture_in_both_themes(browser, "passkey-new-failed")

    browser.click("header button")
    sign_in(browser, mail, MARY.address, password)
    picture_in_both_themes(browser, "second-step-passkey")
    browser.click("main button")
    assert browser.path == "/"

    browser.click('nav a[href="/second-factor"]')
    browser.fill("password", password)
    browser.click("main .danger")
    assert "is removed" in browser.text
    assert may_read(mail, password)
