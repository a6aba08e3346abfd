"""From a former vault into the present one, after a password was set without the old one.

Each batch is a transaction that marks `VAULT:FOLDER:UID`. When everything was moved, the caller
has the former vault's keys destroyed and its files removed, and then the marks go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from postmaster.storage.interface import (
    Content,
    Delivery,
    Folder,
    FolderExistsError,
    Mailbox,
    NewMessage,
)
from postmaster.storage.vault import Vault

BATCH_BYTES = 8 * 1024 * 1024

Batch = Callable[[Vault], None]


def batches(former: Vault, source: str) -> Iterator[Batch]:
    """Yield functions that each put a part of the former vault into the present one.

    Run them in order. Folders, flags and dates are kept; messages get new UIDs.
    """
    for folder in former.folders():
        yield _folder_batch(folder)
        uids = list(former.snapshot(folder.name, claim_recent=False).uids)
        while uids:
            found = former.contents(
                folder.id, uids, bodies=True, outlines=False, budget=BATCH_BYTES
            )
            if not found:
                break
            yield _message_batch(source, folder, found)
            last = found[-1].message.uid
            uids = [uid for uid in uids if uid > last]


def _folder_batch(folder: Folder) -> Batch:
    def make(present: Vault) -> None:
        with contextlib.suppress(FolderExistsError):
            present.create_folder(folder.name)
            present.subscribe(folder.name, folder.subscribed)

    return make


def _message_batch(source: str, folder: Folder, found: Sequence[Content]) -> Batch:
    def put_all(present: Vault) -> None:
        with present.together():
            for content in found:
                mark = f"{source}:{folder.id}:{content.message.uid}"
                present.take_in(mark, _putting(folder.name, content))

    return put_all


def _putting(folder: str, content: Content) -> Callable[[Mailbox], None]:
    message = content.message
    new = NewMessage(content.raw, message.flags, message.internal_date)

    def put(mailbox: Mailbox) -> None:
        # Not `append`: it is there already, so no quota counts, and a folder may be gone.
        mailbox.deliver(Delivery(new, folder), enforce_quota=False)

    return put
