"""A second look at a message on its way to one person: what has she taught the filter?

Rspamd's milter has judged it for all its recipients at once; each of them may have taught something
else. So the lessons are asked here, where everybody gets a copy of her own.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Protocol

from postmaster.delivery import SPAM_FIELDS, is_marked
from postmaster.errors import RspamdUnavailableError
from postmaster.logs import warn
from postmaster.message.header import find_fields, first, header_length
from postmaster.rspamd import LARGE, Opinion

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0  # without questions after one that was not answered: mail is not held up

_STATUS = b"x-spam-status"
_SCORE = re.compile(rb".*\bscore=(-?[0-9]{1,4}\.[0-9]+)", re.DOTALL)


class Lessons(Protocol):
    """Who knows what people have taught. Raises RspamdUnavailableError."""

    async def opinion(self, person: str, message: bytes) -> Opinion:
        """Return what a person's lessons say of a message."""


class Judge:
    """Marks a person's copy where her lessons come to another end than Rspamd's rules."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons
        self._silent_until = 0.0

    async def mark(self, person: str, message: bytes) -> bytes:
        """Return the field that goes in front of a person's copy; mostly there is none to add.

        Nothing is asked of what Rspamd has not judged: what our own people send, above all.
        """
        fields = find_fields(message[: header_length(message)], {_STATUS, *SPAM_FIELDS})
        score = _SCORE.match(first(fields, _STATUS) or b"")
        if score is None or len(message) > LARGE or time.monotonic() < self._silent_until:
            return b""
        try:
            opinion = await self._lessons.opinion(person, message)
        except RspamdUnavailableError as error:
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            warn(logger, "lessons-not-asked", person=person, reason=str(error))
            return b""
        marked, rules = is_marked(fields), float(score[1])
        if opinion.score == 0 or (marked and rules < opinion.junk):
            return b""  # the latter: the domain that it claims to be from wants it put aside
        spam = rules + opinion.score >= opinion.junk
        if spam == marked:
            return b""
        return b"X-Spam: Yes\r\n" if spam else b"X-Spam: No\r\n"
