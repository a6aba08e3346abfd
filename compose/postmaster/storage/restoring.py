"""One folder of a backup, beside the present ones, at the login of whose it is.

A vault's data key never changes, so the login that opens the present vault opens the one of the
backup, too. Nothing that is in the vault now is touched. A message that is still in the folder, or
was put back by an earlier try, is known by its bytes and left out: so it can be cut off and begun
again at any instant.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from postmaster.crypto import person_id
from postmaster.errors import StorageUnavailableError, VaultUnreadableError
from postmaster.logs import event, warn
from postmaster.serving import place
from postmaster.storage.interface import (
    INBOX,
    Content,
    Delivery,
    FolderExistsError,
    NewMessage,
    NoSuchFolderError,
    OverQuotaError,
)
from postmaster.storage.notice import notice
from postmaster.storage.opened import OpenVault
from postmaster.storage.vault import Vault
from postmaster.storage.wishes import Wish, waiting

logger = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_BYTES = 8 * 1024 * 1024
LISTED = 40  # folders that a notice names


class Restorer:
    """Puts back what waits for those who log in, one person's at a time."""

    def __init__(self, root: Path) -> None:
        """`root` is the folder of `wishes`."""
        self._root = root
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(
        self, address: str, using: Callable[[], AbstractAsyncContextManager[None]], vault: OpenVault
    ) -> None:
        """Begin with what waits for somebody whose vault is open, unless that is under way.

        `using` keeps the vault open meanwhile.
        """
        if address not in self._tasks:
            task = asyncio.ensure_future(self._restore_all(address, using, vault))
            self._tasks[address] = task
            task.add_done_callback(lambda _: self._tasks.pop(address, None))

    async def close(self) -> None:
        """Stop; the next login goes on."""
        for task in tuple(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _restore_all(
        self, address: str, using: Callable[[], AbstractAsyncContextManager[None]], vault: OpenVault
    ) -> None:
        try:
            async with using():
                for wish in await asyncio.to_thread(waiting, self._root, person_id(address)):
                    await _restore(address, vault, wish)
        except StorageUnavailableError as error:
            warn(logger, "folder-not-restored", person=address, reason=str(error))
        except Exception as error:
            # Nobody is kept out of the vault by what came with a backup.
            logger.error("folder-not-restored kind=%s %s", type(error).__name__, place(error))


async def _restore(address: str, present: OpenVault, wish: Wish) -> None:
    """Put back what is missing, tell the person, and forget the wish."""
    name = wish.place.name
    if wish.vault.exists():
        try:
            message = notice(address, *await _bring(present, wish))
        except OverQuotaError:
            warn(logger, "folder-not-restored", person=address, reason="over quota")
            message = notice(address, *_no_room(wish))
            await present.run_vault(partial(_tell, mark=f"{name}:full", message=message))
            return
        await present.run_vault(partial(_tell, mark=f"{name}:done", message=message))
    # Without the vault all was done before, but for this.
    await asyncio.to_thread(wish.remove)
    await present.run_vault(lambda vault: vault.drop_marks_of(name))
    event(logger, "folder-restored", person=address, backup=wish.time)


async def _bring(present: OpenVault, wish: Wish) -> tuple[str, str]:
    """Put what is missing into the target; return subject and text of what came of it."""
    key = present.copy_key()
    former = OpenVault(wish.place.name, key, lambda: Vault(wish.vault, key), _nothing_waits)
    try:
        await former.opened()
        names = await former.run_vault(lambda vault: [f.name for f in vault.folders()])
        if wish.folder not in names:
            return _not_there(wish, names)
        sizes = await former.run_vault(lambda vault: _sizes(vault, wish.folder))
        known: set[bytes] = set()
        for folder in (wish.folder, wish.target):
            async for digests in _each(present, partial(_digests, folder=folder, sizes=sizes)):
                known |= digests
        count = 0
        async for found in _each(former, partial(_contents, folder=wish.folder)):
            count += len(found)
            missing = [content for content in found if _new(content, known)]
            await present.run_vault(partial(_put, folder=wish.target, contents=missing))
        there = await present.run_vault(partial(_count, folder=wish.target))
        return _done(wish, count, there)
    except VaultUnreadableError:
        return _unreadable(wish)
    finally:
        await former.close()


async def _each(vault: OpenVault, steps: Callable[[Vault], Iterator[T]]) -> AsyncIterator[T]:
    """What an iterator over a vault gives, each step on the vault's thread."""
    iterator = await vault.run_vault(steps)
    while (found := await vault.run_vault(lambda _: next(iterator, None))) is not None:
        yield found


def _nothing_waits(vault: Vault, after: str) -> None:
    """Nothing is sealed for the vault of a backup."""


def _sizes(vault: Vault, folder: str) -> frozenset[int]:
    snapshot = vault.snapshot(folder, claim_recent=False)
    return frozenset(m.size for m in vault.messages(snapshot.folder.id, snapshot.uids))


def _digests(vault: Vault, folder: str, sizes: frozenset[int]) -> Iterator[frozenset[bytes]]:
    """Hashes of the messages of a folder that have one of these sizes; nothing without a folder."""
    for contents in _contents(vault, folder, sizes):
        yield frozenset(map(_digest, contents))


def _contents(
    vault: Vault, folder: str, sizes: frozenset[int] | None = None
) -> Iterator[Sequence[Content]]:
    """The messages of a folder, in batches; of some sizes only."""
    try:
        snapshot = vault.snapshot(folder, claim_recent=False)
    except NoSuchFolderError:
        return
    identifier = snapshot.folder.id
    messages = vault.messages(identifier, snapshot.uids)
    uids = sorted(m.uid for m in messages if sizes is None or m.size in sizes)
    while uids:
        found = vault.contents(identifier, uids, bodies=True, outlines=False, budget=BATCH_BYTES)
        if not found:
            return  # deleted meanwhile
        yield found
        last = found[-1].message.uid
        uids = [uid for uid in uids if uid > last]


def _new(content: Content, known: set[bytes]) -> bool:
    """Say whether a message is not known, and know it from now on."""
    digest = _digest(content)
    if digest in known:
        return False
    known.add(digest)
    return True


def _digest(content: Content) -> bytes:
    return hashlib.sha256(content.raw).digest()


def _put(vault: Vault, folder: str, contents: Sequence[Content]) -> None:
    """One transaction. Raises OverQuotaError when there is no room for all of them."""
    if not contents:
        return
    with suppress(FolderExistsError):
        vault.create_folder(folder)
    with vault.together():
        for content in contents:
            message = content.message
            # One that was to be expunged is wanted back now.
            flags = message.flags - {"\\Deleted"}
            vault.append(folder, NewMessage(content.raw, flags, message.internal_date))


def _count(vault: Vault, folder: str) -> int:
    try:
        return vault.counts(folder).messages
    except NoSuchFolderError:
        return 0


def _tell(vault: Vault, mark: str, message: NewMessage) -> None:
    """Put a notice into the inbox, once for each mark."""
    delivery = Delivery(message, INBOX)
    vault.take_in(mark, lambda mailbox: mailbox.deliver(delivery, enforce_quota=False))


def _done(wish: Wish, count: int, there: int) -> tuple[str, str]:
    how = (
        f"Those that are not in it any more ({there}) are in another folder now:\n\n"
        f"  {wish.target}\n\n"
        "Nothing else was changed. Move what you want to keep, and delete the rest.\n"
        if there
        else "All of them are still in it, so nothing was put back.\n"
    )
    text = f"On {wish.time[:10]} the folder {wish.folder} had {count} messages.\n\n{how}"
    return f"Your folder {wish.folder} of {wish.time[:10]}", text


def _no_room(wish: Wish) -> tuple[str, str]:
    return (
        f"No room for your folder {wish.folder} of {wish.time[:10]}",
        "It was asked for from a backup, and there is more of it than your mailbox has room for.\n"
        "What did fit is there. Make room: the rest comes at one of your next logins.\n",
    )


def _not_there(wish: Wish, names: Sequence[str]) -> tuple[str, str]:
    listed = "".join(f"  {name}\n" for name in names[:LISTED])
    rest = f"  and {len(names) - LISTED} more\n" if len(names) > LISTED else ""
    return (
        f"There was no folder {wish.folder} on {wish.time[:10]}",
        "It was asked for from the backup of that time, which has these folders of yours:\n\n"
        f"{listed}{rest}\nName one of them to whoever runs this machine.\n",
    )


def _unreadable(wish: Wish) -> tuple[str, str]:
    return (
        f"Your folder {wish.folder} of {wish.time[:10]} cannot be opened",
        "It was asked for from a backup. That vault has another key than your present one: your\n"
        "password was set anew in between without the old one. Or its file is damaged.\n"
        "Whoever runs this machine can try another backup.\n",
    )
