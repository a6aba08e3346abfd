"""People's web pages in a real browser, through the real proxy, with a real directory behind."""

from __future__ import annotations

import imaplib
import zipfile
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import SECONDS, Mail
from tests.stack.messages import ordinary
from tests.stack.people import MARY
from tests.stack.web import Web
from tests.web.browser import PHONE_WIDTH, Browser, open_browser
from tools.stack.example import ADA

NEW = "a new one, quite long"


def address(mail: Mail, path: str) -> str:
    return f"https://{mail.stack.hostname}:{mail.stack.ports['https']}{path}"


def sign_in(browser: Browser, mail: Mail, login: str, password: str) -> None:
    browser.open(address(mail, "/"))
    browser.fill("address", login)
    browser.fill("password", password)
    browser.click("main button")


def may_read(mail: Mail, password: str) -> bool:
    with mail.imap_connection() as connection:
        try:
            connection.login(MARY.address, password)
        except imaplib.IMAP4.error:
            return False
        return True


def picture_in_both_themes(browser: Browser, name: str) -> None:
    for dark in (False, True):
        browser.darken(dark=dark)
        browser.picture(f"{name}-{'dark' if dark else 'light'}")
        assert browser.contrast_problems() == []
    browser.darken(dark=False)


def test_signing_in(browser: Browser, mail: Mail) -> None:
    browser.open(address(mail, "/app-passwords"))
    assert browser.path == "/sign-in"
    picture_in_both_themes(browser, "sign-in")
    sign_in(browser, mail, MARY.address, "wrong")
    assert "do not belong together" in browser.text
    picture_in_both_themes(browser, "sign-in-wrong")
    sign_in(browser, mail, MARY.address, mail.password(MARY))
    assert mail.stack.hostname in browser.text
    picture_in_both_themes(browser, "overview")
    browser.click('footer button[value="zh"]')
    assert "你的账户" in browser.text
    picture_in_both_themes(browser, "overview-zh")
    browser.click('footer button[value="en"]')
    browser.click("header button")
    assert browser.path == "/sign-in"


def test_an_app_password_is_made_used_and_taken_away(browser: Browser, mail: Mail) -> None:
    password = mail.password(MARY)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/app-passwords"]')
    browser.click("main .button")
    picture_in_both_themes(browser, "app-password-form")
    browser.fill("label", "Telephone")
    browser.fill("password", password)
    browser.click("main button")
    made = browser.find(".secret").text
    picture_in_both_themes(browser, "app-password-made")
    assert may_read(mail, made)
    browser.click("main .button")
    assert "Telephone" in browser.text
    picture_in_both_themes(browser, "app-passwords")
    browser.click("main .danger")
    assert "taken away" in browser.text
    assert not may_read(mail, made)


def test_the_recovery_code_sets_another_password(browser: Browser, mail: Mail) -> None:
    password = mail.password(MARY)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/recovery-code"]')
    browser.fill("password", password)
    picture_in_both_themes(browser, "recovery")
    browser.click("main button")
    code = browser.find(".secret").text
    picture_in_both_themes(browser, "recovery-made")

    browser.click('nav a[href="/password"]')
    for name, value in (("password", code), ("new", NEW), ("again", "other")):
        browser.fill(name, value)
    browser.click("main button")
    picture_in_both_themes(browser, "password-wrong")
    for name, value in (("password", code), ("new", NEW), ("again", NEW)):
        browser.fill(name, value)
    browser.click("main button")
    assert "is changed" in browser.text
    picture_in_both_themes(browser, "password-changed")
    assert may_read(mail, NEW)
    assert not may_read(mail, password)
    # Back to the one that the next run knows.
    for name, value in (("password", NEW), ("new", password), ("again", password)):
        browser.fill(name, value)
    browser.click("main button")
    assert may_read(mail, password)


def test_copies_go_elsewhere(browser: Browser, mail: Mail) -> None:
    """From the page over the machine's socket to the settings, and back from the directory."""
    password = mail.password(MARY)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/forwarding"]')
    for to, secret, said in (
        ("mary@far.example", "wrong", "not your password"),
        ("mary@example.com", password, "addresses elsewhere"),
        ("mary@far.example, somerville@far.example", password, "Saved"),
    ):
        browser.fill("to", to)
        browser.fill("password", secret)
        browser.click("main button")
        assert said in browser.text
        picture_in_both_themes(browser, f"forwarding-{said.split()[0]}")
    browser.open(address(mail, "/"))
    assert "Copies of your mail go to mary@far.example, somerville@far.example" in browser.text
    picture_in_both_themes(browser, "overview-forwarding")
    browser.open(address(mail, "/forwarding"))
    browser.fill("to", "")
    browser.fill("password", password)
    browser.click("main button")
    browser.open(address(mail, "/"))
    assert "Copies of your mail" not in browser.text


def test_everything_is_taken_out(browser: Browser, mail: Mail, tmp_path: Path) -> None:
    """From the vault through pages and proxy, into a file of the browser's."""
    password, mark = mail.password(MARY), f"taken-out-{browser.width}"
    mail.receive([MARY.address], ordinary(mark))
    mail.fetch(MARY, mark)
    sign_in(browser, mail, MARY.address, password)
    browser.click('nav a[href="/storage"]')
    picture_in_both_themes(browser, "storage")
    for secret, said in (("wrong", "not your password"), (password, "Inbox")):
        browser.fill("password", secret)
        browser.click("main form button:not([formaction])")
        assert said in browser.text
        picture_in_both_themes(browser, f"storage-{said.split()[0]}")
    browser.download_to(tmp_path)
    browser.fill("password", password)
    browser.find("button[formaction]").click()
    (file,) = wait_for(
        lambda: list(tmp_path.glob("*.zip")) or None, what="the file", timeout=SECONDS
    )
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert mark.encode() in archive.read("mail/INBOX.mbox")
    browser.click('footer button[value="zh"]')
    picture_in_both_themes(browser, "storage-zh")
    browser.click('footer button[value="en"]')


@pytest.mark.parametrize("browser", [1280], indirect=True)
def test_another_browser_is_signed_out_from_here(browser: Browser, mail: Mail, album: Path) -> None:
    password = mail.password(ADA)
    sign_in(browser, mail, ADA.address, password)
    with open_browser(album, PHONE_WIDTH, here=mail.stack.hostname) as phone:
        sign_in(phone, mail, ADA.address, password)
        browser.open(address(mail, "/sessions"))
        picture_in_both_themes(browser, "sessions")
        browser.click("main .buttons button")
        phone.open(address(mail, "/"))
        assert phone.path == "/sign-in"
    browser.open(address(mail, "/"))
    assert browser.path == "/"


@pytest.mark.parametrize("browser", [1280], indirect=True)
def test_the_keyboard_is_enough(browser: Browser, mail: Mail) -> None:
    browser.open(address(mail, "/sign-in"))
    # The first field has the focus.
    browser.press(ADA.address, Keys.TAB, mail.password(ADA))
    browser.press_and_wait(Keys.ENTER)
    assert browser.path == "/"
    browser.press(Keys.TAB)
    assert browser.focused.get_attribute("class") == "skip"
    browser.tab_to('nav a[href="/password"]')
    browser.press_and_wait(Keys.ENTER)
    assert browser.path == "/password"
    browser.tab_to("header button")
    browser.press_and_wait(Keys.ENTER)
    assert browser.path == "/sign-in"


def test_only_the_name_of_the_host_leads_to_the_pages(mail: Mail) -> None:
    web = Web(mail)
    assert web.ask("GET", "/sign-in").status == 200
    for name in ("autoconfig.example.com", "192.0.2.1", f"{mail.stack.hostname}.example"):
        assert web.ask("GET", "/sign-in", Host=name).status == 404
        assert web.ask("GET", "/mail/config-v1.1.xml", Host=name).status == 200
    assert web.ask("POST", "/sign-in", "x" * 40_000).status == 413


def test_the_address_of_a_client_is_the_real_one(mail: Mail, boxes: Boxes) -> None:
    web = Web(mail)
    forged = "203.0.113.99"
    page = web.ask("GET", "/sign-in", Client_Address=forged)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token = page.body.decode().partition('name="form" value="')[2].partition('"')[0]
    reply = web.ask(
        "POST",
        "/sign-in",
        f"form={token}&address=forger%40example.com&password=x",
        Cookie=cookie,
        Client_Address=forged,
        Content_Type="application/x-www-form-urlencoded",
    )
    assert reply.status == 422
    assert forged not in boxes.await_log("directory", "login=forger@example.com")


def test_without_the_pages_the_rest_is_served(mail: Mail, all_well: Boxes) -> None:
    web = Web(mail)
    all_well.kill("admin")
    assert web.ask("GET", "/sign-in").status in {502, 504}
    assert web.ask("GET", "/mail/config-v1.1.xml").status == 200
    all_well.start("admin")
    all_well.mend()
    assert web.ask("GET", "/sign-in").status == 200
