"""What one connection knows and may do: who it is, its mailbox, its selected folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from postmaster.imap.capability import CONDSTORE, REV2, UTF8_ACCEPT
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import State
from postmaster.imap.view import View
from postmaster.services import Services
from postmaster.storage.interface import (
    Changes,
    Folder,
    Mailbox,
    NoSuchFolderError,
    OpenMailbox,
    OverQuotaError,
)

T = TypeVar("T")


class Channel(Protocol):
    """The connection, as far as commands need it."""

    address: str  # of the client

    async def send(self, *responses: bytes) -> None:
        """Send responses, each a line without its end; waits while the client is slow."""

    async def stream(self, pieces: Iterable[bytes]) -> None:
        """Send pieces of responses as they are made, so that all of them never lie in memory."""

    async def ask(self, prompt: bytes) -> bytes | None:
        """Send a continuation request and return the line that comes; None when none does."""

    def compress(self) -> bool:
        """Compress both directions once the command is answered; False when that is so already."""

    async def listen(self, news: Callable[[], Awaitable[None]], wake: OpenMailbox) -> bytes | None:
        """Wait for a line; meanwhile call `news` after each change of the mailbox `wake`."""


@dataclass
class Session:
    """The one mutable thing of a connection."""

    services: Services
    channel: Channel
    person: str | None = None
    view: View | None = None
    tag: str = "*"  # of the command under way
    enabled: set[str] = field(default_factory=set)  # of capability.ENABLEABLE
    failed_logins: int = 0
    leaving: bool = False
    _mailbox: OpenMailbox | None = None
    _resources: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def state(self) -> State:
        """The state of RFC 3501 3 that the connection is in."""
        if self._mailbox is None:
            return State.NOT_AUTHENTICATED
        return State.AUTHENTICATED if self.view is None else State.SELECTED

    @property
    def utf8(self) -> bool:
        """Say whether the client speaks UTF-8 (RFC 9755, RFC 9051 5.1)."""
        return UTF8_ACCEPT in self.enabled or self.rev2

    @property
    def rev2(self) -> bool:
        """Say whether the client speaks IMAP4rev2 (RFC 9051)."""
        return REV2 in self.enabled

    async def enable_condstore(self) -> None:
        """Tell modseqs from now on (RFC 7162 3.1); for the commands that do so by the way."""
        if CONDSTORE in self.enabled:
            return
        self.enabled.add(CONDSTORE)
        if self.view is not None:
            self.view.condstore = True
            await self.send([b"* OK [HIGHESTMODSEQ %d] so far" % self.view.highest_modseq])

    @property
    def mailbox(self) -> OpenMailbox:
        """The person's mailbox; only for commands that need a login."""
        if self._mailbox is None:
            raise RefusedError("log in first")
        return self._mailbox

    @property
    def selected(self) -> View:
        """The selected folder; only for commands that need one."""
        if self.view is None:
            raise RefusedError("select a folder first")
        return self.view

    @property
    def writable(self) -> View:
        """The selected folder, when it may be changed."""
        if self.selected.read_only:
            raise RefusedError("the folder is open for reading only")
        return self.selected

    async def log_in(self, person: str) -> None:
        """Become a person. Raises StorageUnavailableError when the vault does not open."""
        async with AsyncExitStack() as resources:
            if not resources.enter_context(self.services.people.admit(person)):
                raise RefusedError("there are too many sessions, close some", "LIMIT")
            opening = self.services.store.open(person)
            self._mailbox = await resources.enter_async_context(opening)
            self._resources = resources.pop_all()
        self.person = person

    async def run(self, work: Callable[[Mailbox], T]) -> T:
        """Run `work` on the mailbox; a missing folder becomes the right refusal."""
        try:
            return await self.mailbox.run(work)
        except NoSuchFolderError:
            raise RefusedError("there is no such folder", "NONEXISTENT") from None

    async def run_into(self, work: Callable[[Mailbox], T]) -> T:
        """Like `run` for what puts messages into a folder: the client may create it and retry."""
        try:
            return await self.mailbox.run(work)
        except NoSuchFolderError:
            raise RefusedError("there is no such folder", "TRYCREATE") from None
        except OverQuotaError:  # RFC 9208 4.3
            raise RefusedError("the mailbox is full: delete something first", "OVERQUOTA") from None

    def teach(
        self,
        source: Folder | None,
        target: Folder,
        uids: Sequence[int],
        copied: Sequence[int] = (),
    ) -> None:
        """See `Teacher.put`."""
        if self.person is not None:
            self.services.teacher.put(self.person, source, target, uids, copied)

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Hold memory while the context lasts; there may be none for now."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.services.memory.hold(self.person or "", size))
            except TimeoutError:
                raise RefusedError("the server is busy, try again later", "UNAVAILABLE") from None
            yield

    async def send(self, responses: Iterable[bytes]) -> None:
        """Send untagged responses."""
        await self.channel.send(*responses)

    async def tell_news(self, *, expunge: bool) -> None:
        """Tell the client what happened in the selected folder since it was last told."""
        view = self.view
        if view is None:
            return
        folder, since, claim = view.folder.id, view.modseq, not view.read_only
        try:
            changes = await self.mailbox.run(
                lambda box: box.changes(folder, since, claim_recent=claim)
            )
        except NoSuchFolderError:
            # Somebody deleted it: the client sees every message go, and can select another.
            view.forget(list(view.uids))
            if not expunge:
                return
            await self.send(view.apply(Changes(view.modseq), expunge=True))
            return
        await self.send(view.apply(changes, expunge=expunge))

    async def close(self) -> None:
        """Let go of the mailbox."""
        self.view = None
        self._mailbox = None
        await self._resources.aclose()
