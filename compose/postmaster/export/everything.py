"""What is in somebody's vault: counted, or all of it as the pieces of a ZIP file."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from postmaster.export.archive import Archive
from postmaster.export.calendars import CALENDAR, CONTACTS, CollectionText
from postmaster.export.mbox import mbox_entry
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.collection_store import OpenCollections
from postmaster.storage.collection_values import Collection, Item, NoSuchCollectionError, Wanted
from postmaster.storage.interface import DELIMITER, Content, Folder, Mailbox
from postmaster.storage.opened import OpenVault

BATCH_BYTES = 2 << 20  # read at once, so that who is logged in gets a turn in between
BATCH_MESSAGES = 200
BATCH_CHARACTERS = 1 << 20  # of events or contacts


@dataclass(frozen=True)
class Everything:
    """Somebody's mail, and calendars and contacts, which not everybody has."""

    vault: OpenVault
    collections: OpenCollections | None


async def count(everything: Everything) -> dict[str, Any]:
    """Return how much there is, as `protocol` has it."""

    def mail(box: Mailbox) -> dict[str, Any]:
        usage = box.usage()
        found = [box.counts(folder.name) for folder in box.folders()]
        folders = [
            {"name": each.folder.name, "messages": each.messages, "bytes": each.size}
            for each in found
        ]
        return {
            "ok": True,
            "bytes": usage.bytes,
            "messages": usage.messages,
            "limit": usage.limit,
            "folders": folders,
        }

    answer, collections = await everything.vault.run(mail), list[dict[str, Any]]()
    if everything.collections is not None:
        for collection, items, size in await everything.collections.run(lambda file: file.sizes()):
            text = CollectionText(collection)
            if text.kind in {CALENDAR, CONTACTS}:
                calendar = text.kind == CALENDAR
                found = {"name": text.name, "calendar": calendar, "items": items, "bytes": size}
                collections.append(found)
    return answer | {"collections": collections}


async def pieces_of(
    everything: Everything, texts: Mapping[str, str]
) -> AsyncGenerator[bytes, None]:
    """The ZIP file, piece by piece; what is compressed holds up nobody's session."""
    archive = Archive()
    try:
        for name, text in texts.items():
            archive.begin((name,), "")
            archive.write(text.encode())
            yield archive.take()
        async for piece in _mail(everything.vault, archive):
            yield piece
        if everything.collections is not None:
            async for piece in _collections(everything.collections, archive):
                yield piece
        archive.close()
        yield archive.take()
    finally:
        # In the midst nobody wants the rest, but `zipfile` complains of an entry without its end;
        # and its thread may still be writing to it.
        with contextlib.suppress(ValueError):
            archive.close()


async def _mail(vault: OpenVault, archive: Archive) -> AsyncIterator[bytes]:
    """A file for each folder, with what is in it at the beginning and still there at its turn."""
    # What is sealed may have waited for a login of a mail program, which this may be.
    await vault.drain()
    for folder, uids, size in await vault.run(_folders):
        archive.begin(("mail", *folder.name.split(DELIMITER)), ".mbox", size)
        at = 0
        while at < len(uids):
            wanted = uids[at : at + BATCH_MESSAGES]
            found = await vault.run(partial(_contents, folder=folder.id, uids=wanted))
            at = bisect_right(uids, found[-1].message.uid) if found else at + len(wanted)
            yield await asyncio.to_thread(_compress_mail, archive, found)


def _folders(box: Mailbox) -> list[tuple[Folder, Sequence[int], int]]:
    """All folders, with the messages of each and their bytes."""
    found = []
    for folder in box.folders():
        snapshot, counts = box.snapshot(folder.name, claim_recent=False), box.counts(folder.name)
        found.append((folder, snapshot.uids, counts.size))
    return found


def _contents(box: Mailbox, *, folder: int, uids: Sequence[int]) -> Sequence[Content]:
    return box.contents(folder, uids, bodies=True, outlines=False, budget=BATCH_BYTES)


def _compress_mail(archive: Archive, found: Sequence[Content]) -> bytes:
    for content in found:
        for piece in mbox_entry(content):
            archive.write(piece)
    return archive.take()


async def _collections(opened: OpenCollections, archive: Archive) -> AsyncIterator[bytes]:
    """A file for each calendar and each address book."""
    places = {CALENDAR: ("calendars", ".ics"), CONTACTS: ("contacts", ".vcf")}
    for collection in await opened.run(lambda file: file.collections()):
        text = CollectionText(collection)
        if text.kind not in places:
            continue
        folder, suffix = places[text.kind]
        archive.begin((folder, text.name), suffix)
        archive.write(text.head().encode())
        async for items in _items(opened, collection):
            yield await asyncio.to_thread(_compress_text, archive, text.items(items))
        archive.write(text.tail().encode())


def _compress_text(archive: Archive, text: str) -> bytes:
    archive.write(text.encode())
    return archive.take()


async def _items(opened: OpenCollections, collection: Collection) -> AsyncIterator[list[Item]]:
    after, more = "", True
    while more:
        try:
            found, more = await opened.run(partial(_page, name=collection.name, after=after))
        except NoSuchCollectionError:
            return  # it was deleted meanwhile
        if found:
            after = found[-1].href
            yield found


def _page(file: CollectionFile, *, name: str, after: str) -> tuple[list[Item], bool]:
    return file.items(name, Wanted(), after, BATCH_CHARACTERS)
