"""What became of a message can be told from what the containers have really logged about it."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

import pytest

from firstboot.base.waiting import wait_for
from firstboot.queue.stories import Logged, Story, read_stories
from firstboot.queue.telling import matches, tell
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import likely_spam, new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE
from tools.stack.example import ADA


def stories(boxes: Boxes, sender: str) -> Sequence[Story]:
    lines: list[Logged] = []
    for service in ("mta", "rspamd"):
        text = boxes.api.logs(boxes.ids[service], timestamps=True).decode(errors="replace")
        lines += [Logged(*line.split(" ", 1)) for line in text.splitlines() if " " in line]
    return [story for story in read_stories(sorted(lines)) if matches(story, sender, "")]


def story_of(boxes: Boxes, sender: str, outcome: str) -> Story:
    """The story of the one message of a sender, once all its recipients have this outcome."""

    def look() -> Story | None:
        for story in stories(boxes, sender):
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
