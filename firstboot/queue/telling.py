"""Stories of messages in plain words: `mailstead log search`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from firstboot.queue.reasons import explain
from firstboot.queue.stories import DISCARDED, REFUSED, Fate, Story

_NOTHING = "Nothing."
SEND_AGAIN = "Its sender may send it again."
# Why this machine itself did not take a message; the first that fits counts.
REFUSALS = (
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
Outcome = Literal[
    "delivered",
    "junk",
    "delivered-before",
    "passed-on",
    "waits",
    "given-up",
    "expired",
    "refused",
    "discarded",
]
# `{server}` took it from here.
_OUTCOMES: dict[Outcome, str] = {
    "delivered": "It was delivered.",
    "junk": "It is in Junk.",
    "delivered-before": "It had been delivered before.",
    "passed-on": "The server {server} took it.",
    "waits": "It waits in the queue:",
    "given-up": "It was given up, and its sender has a report:",
    "expired": "It waited for too long. It was given up, and its sender has a report:",
    "refused": "It was refused.",
    "discarded": "It ends here:",
}


class FateJson(TypedDict):
    """What became of a message for somebody.

    `asked` is the address as the sender wrote it. `status` is Postfix's word, `refused` or
    `discarded`. `reason` tells it in one sentence or more; `why` is the part of it that is not said
    by `outcome` and `server` (who took it).
    """

    address: str
    asked: str
    time: str
    status: str
    outcome: Outcome
    server: str
    why: str
    reason: str
    what_to_do: str
    said: str


class StoryJson(TypedDict):
    """A message on its way. `client` brought it; `size` is in bytes, 0 where it is not known.

    `score` and `because` are Rspamd's; `others` is the number of recipients that are left out.
    """

    time: str
    ids: list[str]
    sender: str
    client: str
    size: int
    score: float | None
    because: list[str]
    recipients: list[FateJson]
    others: int


@dataclass(frozen=True)
class Told:
    """What became of a message for somebody: in a word, and why; advice may be "Nothing."."""

    outcome: Outcome
    server: str
    why: str
    advice: str

    @property
    def text(self) -> str:
        """All of it in sentences."""
        return " ".join(
            filter(None, (_OUTCOMES[self.outcome].format(server=self.server), self.why))
        )


def tell(fate: Fate) -> Told:
    """What became of a message for somebody, and what to do."""
    if fate.status == "sent":
        return _arrived(fate)
    if fate.status == DISCARDED:
        return Told("discarded", "", f"{fate.said}.", _NOTHING)
    if fate.status == REFUSED:
        return _refused(fate.said)
    outcome: Outcome = "given-up"
    if fate.status in {"deferred", "expired"}:
        outcome = "waits" if fate.status == "deferred" else "expired"
    why = explain(fate.said)
    # The advice is for what waits.
    is_over = outcome != "waits" and "tried again" in why.advice
    return Told(outcome, "", why.text, SEND_AGAIN if is_over else why.advice)


def _refused(said: str) -> Told:
    for pattern, text, advice in REFUSALS:
        if re.search(pattern, said):
            return Told("refused", "", text, advice)
    return Told("refused", "", "", _NOTHING)


def _arrived(fate: Fate) -> Told:
    server = fate.relay.partition("[")[0]
    outcome: Outcome = "passed-on"
    if fate.is_mailbox:
        outcome, server = "delivered", ""
        if "to Junk" in fate.said:
            outcome = "junk"
        elif "before" in fate.said:
            outcome = "delivered-before"
    return Told(outcome, server, "", _NOTHING)


def matches(story: Story, sender: str, recipient: str) -> bool:
    """Whether a story is from and to addresses that contain these, whatever case; "": any."""
    return sender.casefold() in story.sender.casefold() and (
        not recipient or any(is_for(fate, recipient) for fate in story.fates)
    )


def is_for(fate: Fate, recipient: str) -> bool:
    """Whether it is about an address that contains this, whatever case."""
    return any(recipient.casefold() in name.casefold() for name in (fate.address, fate.asked))


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
        told = tell(fate)
        asked = f" (as {fate.asked})" if fate.asked != fate.address else ""
        yield f"  to {fate.address or 'its recipients'}{asked}: {told.text}"
        if told.advice != _NOTHING:
            yield f"    {told.advice}"
        yield f"    ({fate.time}: {fate.said})"


def story_json(story: Story, fates: Sequence[Fate] | None = None) -> StoryJson:
    """A story as `--json` prints it; with `fates`, only those of its recipients."""
    verdict = story.verdict
    shown = story.fates if fates is None else fates
    return {
        "time": story.time,
        "ids": list(story.ids),
        "sender": story.sender,
        "client": story.client,
        "size": story.size,
        "score": verdict.score if verdict else None,
        "because": list(verdict.because) if verdict else [],
        "recipients": [_fate_json(fate) for fate in shown],
        "others": len(story.fates) - len(shown),
    }


def _fate_json(fate: Fate) -> FateJson:
    told = tell(fate)
    return {
        "address": fate.address,
        "asked": fate.asked,
        "time": fate.time,
        "status": fate.status,
        "outcome": told.outcome,
        "server": told.server,
        "why": told.why,
        "reason": told.text,
        "what_to_do": told.advice,
        "said": fate.said,
    }
