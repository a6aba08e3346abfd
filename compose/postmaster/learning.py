"""Rspamd learns from what people move to Junk and out of it, each for herself (docs/transport.md).

Beside the IMAP session, which waits for nothing, and only while the vault is open anyway: what is
to be learned is noted nowhere. When Rspamd is away, a lesson is lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postmaster.errors import RspamdUnavailableError, StorageUnavailableError
from postmaster.logs import event, warn
from postmaster.rspamd import LARGE
from postmaster.storage.interface import (
    INBOX,
    Folder,
    Mailbox,
    MailStore,
    NoSuchFolderError,
    OpenMailbox,
)

logger = logging.getLogger(__name__)

MESSAGES = 50  # of one command that are learned; the first ones
WAITING = 32  # commands that wait for their turn, of everybody together
TRIES = 3  # to find a message in the inbox that is not learned yet
RECENT = 200  # messages of the inbox among which one that is no spam is looked for

_JUNK, _TRASH = "\\Junk", "\\Trash"


class Teachable(Protocol):
    """Who learns. Raises RspamdUnavailableError."""

    async def learn(self, person: str, message: bytes, *, spam: bool) -> bool:
        """Learn what kind a message is; return whether that was news."""


def is_spam(source: Folder | None, target: Folder) -> bool | None:
    """What a person says of a message that she puts into a folder: spam, no spam, or nothing.

    `source` is None for one that comes from elsewhere. To throw away what is in Junk says nothing.
    """
    was_junk = source is not None and source.special_use == _JUNK
    if target.special_use == _JUNK:
        return None if was_junk else True
    return False if was_junk and target.special_use != _TRASH else None


@dataclass(frozen=True)
class _Lesson:
    person: str
    folder: int
    uids: Sequence[int]
    spam: bool
    not_ham: frozenset[int]  # UIDs in the inbox of what is spam: a copy may lie in Junk


class Teacher:
    """Teaches one message after the other."""

    def __init__(self, store: MailStore, filter_: Teachable) -> None:
        self._store = store
        self._filter = filter_
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def put(
        self,
        person: str,
        source: Folder | None,
        target: Folder,
        uids: Sequence[int],
        copied: Sequence[int] = (),
    ) -> None:
        """Take note that somebody has put messages into a folder; returns at once.

        `uids` are theirs in the target, `copied` those of what stays in the source.
        """
        spam = is_spam(source, target)
        if spam is None or not uids:
            return
        if len(self._tasks) >= WAITING:
            warn(logger, "not-learned", person=person, reason="too much at once")
            return
        not_ham = frozenset(copied if source is not None and source.name == INBOX else ())
        lesson = _Lesson(person, target.id, uids[:MESSAGES], spam, not_ham)
        task = asyncio.ensure_future(self._teach(lesson))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is not learned yet."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _teach(self, lesson: _Lesson) -> None:
        learned = 0
        try:
            async with self._store.open(lesson.person) as box, self._turn:
                for uid in lesson.uids:
                    learned += await self._teach_one(lesson, box, uid)
        except (RspamdUnavailableError, StorageUnavailableError, NoSuchFolderError) as error:
            warn(logger, "not-learned", person=lesson.person, reason=str(error))
        if learned:
            event(logger, "learned", person=lesson.person, spam=lesson.spam, messages=learned)

    async def _teach_one(self, lesson: _Lesson, box: OpenMailbox, uid: int) -> bool:
        message = await box.run(lambda opened: _read(opened, lesson.folder, uid))
        if message is None:
            return False
        news = await self._filter.learn(lesson.person, message, spam=lesson.spam)
        if news and lesson.spam:
            await self._teach_kept(lesson, box)
        return news

    async def _teach_kept(self, lesson: _Lesson, box: OpenMailbox) -> None:
        """Teach one message that was read and left in the inbox as no spam.

        One kind is told from the other only where both are known, and hardly anybody moves mail
        out of Junk.
        """
        for _ in range(TRIES):
            kept = await box.run(lambda opened: _read_kept(opened, lesson.not_ham))
            if kept is None or await self._filter.learn(lesson.person, kept, spam=False):
                return


def _read(box: Mailbox, folder: int, uid: int) -> bytes | None:
    """Return a message, or None when it is gone or too large to be of use."""
    for message in box.messages(folder, [uid]):
        if message.size <= LARGE:
            return next(_raw(box, folder, uid), None)
    return None


def _read_kept(box: Mailbox, but: frozenset[int]) -> bytes | None:
    """Return one of the latest messages that were read and left in the inbox, if there is one."""
    inbox = box.folder(INBOX).id
    uids = box.snapshot(INBOX, claim_recent=False).uids[-RECENT:]
    kept = [
        message.uid
        for message in box.messages(inbox, uids)
        if "\\Seen" in message.flags and "\\Deleted" not in message.flags
        if message.size <= LARGE and message.uid not in but
    ]
    # Any of them: which one does not matter, but the same one each time would teach nothing.
    return next(_raw(box, inbox, random.choice(kept)), None) if kept else None  # noqa: S311


def _raw(box: Mailbox, folder: int, uid: int) -> Iterator[bytes]:
    for content in box.contents(folder, [uid], bodies=True, outlines=False, budget=LARGE):
        yield content.raw
