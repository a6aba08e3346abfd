"""Stories of messages in plain words: `mailstead log search`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from firstboot.queue.codes import Reason
from firstboot.queue.reasons import explain
from firstboot.queue.stories import DISCARDED, REFUSED, Fate, Story

_NOTHING = "Nothing."
# Why this machine itself did not take a message; the first that fits counts.
_REFUSALS = (
    (
        r"Relay access denied",
        "It was for somebody elsewhere, and this machine passes on nothing for strangers.",
        "If the recipient should be here: add the domain or the address.",
    ),
    (
        r"User unknown|no such mailbox|undeliverable address",
        "Nobody here has this address.",
        "If somebody should have it: mailstead alias add.",
    ),
    (
        r"looks like spam",
        "It is spam, by what the filter found.",
        "If it was none: its sender has been told, and can write otherwise.",
    ),
    (
        r"not owned by user|not logged in",
        "Its sender is not an address of the person who logged in.",
        "Use one of the person's addresses in the mail program, or give the person that one.",
    ),
    (
        r"has reached \d+ recipients|recipients at once",
        "The person has sent to as many recipients as the limits allow.",
        "mailstead alarms list; limits in the settings.",
    ),
    (
        r"exceeds (fixed|file system) limit|size limit",
        "It is too large.",
        "Send large files another way.",
    ),
    (
        r"(?i)bare (<?LF>?|newline)|pipelining|protocol error",
        "The program that sent it does not keep to SMTP, in a way that attacks need.",
        "Its owner has to mend it.",
    ),
    (
        r"HELO|need fully-qualified|Domain not found",
        "Its server or sender names itself wrongly.",
        _NOTHING,
    ),
    (
        r"(?i)lookup (failure|error)|temporar",
        "A part of this machine did not answer; its server tries again.",
        "Look at `mailstead status`.",
    ),
)
_GIVEN_UP = "It was given up, and its sender has a report: "
_OUTCOMES = {
    "deferred": "It waits in the queue: ",
    "expired": f"It waited for too long. {_GIVEN_UP}",
}


def fate_reason(fate: Fate) -> Reason:
    """What became of a message for somebody, and what to do."""
    if fate.status == "sent":
        return Reason(_arrived(fate), _NOTHING)
    if fate.status == DISCARDED:
        return Reason(f"It ends here: {fate.said}.", _NOTHING)
    if fate.status == REFUSED:
        return _refused(fate.said)
    why = explain(fate.said)
    return Reason(f"{_OUTCOMES.get(fate.status, _GIVEN_UP)}{why.text}", why.advice)


def _refused(said: str) -> Reason:
    for pattern, text, advice in _REFUSALS:
        if re.search(pattern, said):
            return Reason(f"It was refused. {text}", advice)
    return Reason("It was refused.", _NOTHING)


def _arrived(fate: Fate) -> str:
    if not fate.relay.startswith("mailstore["):
        return f"The server {fate.relay.partition('[')[0]} took it."
    if "to Junk" in fate.said:
        return "It is in Junk."
    if "before" in fate.said:
        return "It had been delivered before."
    return "It was delivered."


def matches(story: Story, sender: str, recipient: str) -> bool:
    """Whether a story is from and to addresses that contain these, whatever case; "": any."""
    named = [name.casefold() for fate in story.fates for name in (fate.address, fate.asked)]
    return sender.casefold() in story.sender.casefold() and (
        not recipient or any(recipient.casefold() in name for name in named)
    )


def story_lines(story: Story) -> Iterator[str]:
    """A story for people."""
    sender = story.sender or "this machine or another (a report)"
    yield f"{story.time}  from {sender}{', sent by ' + story.client if story.client else ''}"
    if story.verdict is not None:
        because = (
            f", above all for {', '.join(story.verdict.because)}" if story.verdict.because else ""
        )
        yield f"  the filter: {story.verdict.score:g} points{because}"
    for fate in story.fates:
        reason = fate_reason(fate)
        asked = f" (as {fate.asked})" if fate.asked != fate.address else ""
        yield f"  to {fate.address or 'its recipients'}{asked}: {reason.text}"
        if reason.advice != _NOTHING:
            yield f"    {reason.advice}"
        yield f"    ({fate.time}: {fate.said})"


def story_plain(story: Story) -> dict[str, Any]:
    """A story as `--json` prints it."""
    verdict = story.verdict
    return {
        "time": story.time,
        "ids": list(story.ids),
        "sender": story.sender,
        "client": story.client,
        "size": story.size,
        "score": verdict.score if verdict else None,
        "because": list(verdict.because) if verdict else [],
        "recipients": [
            {
                "address": fate.address,
                "asked": fate.asked,
                "time": fate.time,
                "status": fate.status,
                "reason": fate_reason(fate).text,
                "what_to_do": fate_reason(fate).advice,
                "said": fate.said,
            }
            for fate in story.fates
        ],
    }
