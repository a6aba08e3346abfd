"""What became of a message can be told from what the containers have really logged about it."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

import pytest
from selenium.webdriver.common.by import By

from firstboot.base.waiting import wait_for
from firstboot.queue.stories import Logged, Story, read_stories
from firstboot.queue.telling import matches, tell
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import likely_spam, new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE
from tests.web.browser import Browser
from tools.stack.example import ADA, ADMINISTRATOR
from tools.stack.lifecycle import StackUp


def stories(boxes: Boxes, sender: str) -> Sequence[Story]:
    lines: list[Logged] = []
    for service in ("mta", "rspamd"):
        text = boxes.api.logs(boxes.ids[service], timestamps=True).decode(errors="replace")
        lines += [Logged(*line.split(" ", 1)) for line in text.splitlines() if " " in line]
    return [story for story in read_stories(sorted(lines)) if matches(story, sender, "")]


def story_of(boxes: Boxes, sender: str, outcome: str, *, least: int = 1) -> Story:
    """The story of a sender's message, once all its recipients have this outcome.

    `least`: how many messages of this sender there are then.
    """

    def look() -> Story | None:
        found = stories(boxes, sender)
        for story in found if len(found) >= least else ():
            told = [tell(fate).text for fate in story.fates]
            if told and all(outcome in text for text in told):
                return story
        return None

    return wait_for(look, what=f"the story of {sender}", timeout=120, interval=0.5)


def test_what_came_and_went_to_junk(mail: Mail, boxes: Boxes) -> None:
    sender = f"{new_mark()}@example.org"
    mail.receive([ADA.address, GRACE.address], likely_spam(new_mark()), sender=sender)
    story = story_of(boxes, sender, "in Junk")
    assert [fate.address for fate in story.fates] == [ADA.address, GRACE.address]
    assert story.verdict is not None
    assert story.verdict.score >= 6
    assert story.verdict.because
    assert story.client


def test_what_people_send_each_other_is_one_story(mail: Mail, boxes: Boxes) -> None:
    mark = new_mark()
    mail.send(ADA, GRACE.address, ordinary(mark))
    mail.fetch(GRACE, mark)
    story = story_of(boxes, ADA.address, "delivered")
    assert len(story.ids) == 2
    assert story.client == ADA.address


def test_what_was_refused(mail: Mail, boxes: Boxes) -> None:
    sender = f"{new_mark()}@example.org"
    for recipient in (f"nobody@{EXAMPLE.domain}", "bob@far.example"):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            mail.receive([recipient], ordinary(new_mark()), sender=sender)

    def look() -> list[str] | None:
        told = [tell(fate).text for one in stories(boxes, sender) for fate in one.fates]
        return told if len(told) == 2 else None

    # The answer comes before its line in the log.
    told = wait_for(look, what="two refusals in the log", timeout=120)
    assert "Nobody here" in told[0]
    assert "somebody elsewhere" in told[1]


def test_in_a_browser_as_who_runs_the_machine(
    mail: Mail, stack: StackUp, browser: Browser, boxes: Boxes
) -> None:
    """From the page over the machine's socket to the log, in both themes and languages."""
    sender = f"{new_mark()}@example.org"
    mail.receive([ADA.address], likely_spam(new_mark()), sender=sender)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        mail.receive([f"nobody@{EXAMPLE.domain}"], ordinary(new_mark()), sender=sender)
    story_of(boxes, sender, "in Junk", least=2)

    home = f"https://{mail.stack.hostname}:{mail.stack.ports['https']}/admin"
    browser.open(home)
    browser.fill("password", stack.home.password_file(ADMINISTRATOR).read_text())
    browser.click("main button")
    assert browser.driver.find_elements(By.CSS_SELECTOR, "svg .bar[height='48']")
    assert int(browser.find(".junk strong").text) >= 1
    assert int(browser.find(".refused strong").text) >= 1
    _pictures(browser, "administrator-mail")
    browser.click('main a[href="/admin?mail=day#mail"]')
    browser.find("main summary").click()
    assert browser.find("main tbody td").is_displayed()
    _pictures(browser, "administrator-mail-days")

    browser.click('nav a[href="/admin/log"]')
    browser.fill("from", sender)
    _pictures(browser, "mail-log-form")
    browser.click("main button")
    assert "Found: 2" in browser.text
    assert "in Junk to ada@example.com" in browser.text
    assert "Nobody here has this address." in browser.text
    browser.find("main summary").click()
    _pictures(browser, "mail-log-found")
    browser.click('footer button[value="zh"]')
    browser.fill("from", sender)
    browser.click("main button")
    assert "本机没有这个地址" in browser.text
    _pictures(browser, "mail-log-found-zh")
    browser.fill("to", "nobody-at-all")
    browser.click("main button")
    assert "没有查到" in browser.text
    _pictures(browser, "mail-log-none-zh")
    assert browser.console_errors() == []


def _pictures(browser: Browser, name: str) -> None:
    for dark in (False, True):
        browser.darken(dark=dark)
        browser.picture(f"{name}-{'dark' if dark else 'light'}")
        assert browser.contrast_problems() == []
    browser.darken(dark=False)
