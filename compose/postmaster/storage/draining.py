"""From the sealed spool into the vault, at unlocking: in order, nothing lost, nothing doubled.

A batch is one transaction, which also marks each file's name. Only when it is on disk are the
files removed, and when that is on disk, their marks. So after a crash at any instant a file is
either there without a mark, and is taken in; or there with one, and is removed; or gone.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from postmaster.crypto.sealing import PrivateKey, SealError
from postmaster.delivery import put
from postmaster.logs import event, warn
from postmaster.storage.interface import Arrival
from postmaster.storage.spool import Spool
from postmaster.storage.vault import Vault

logger = logging.getLogger(__name__)

BATCH_FILES = 32
BATCH_BYTES = 8 * 1024 * 1024


def drain_some(
    vault: Vault, spool: Spool, name: str, private: PrivateKey, after: str = ""
) -> str | None:
    """Take a batch of a vault's waiting mail in; return its last file, None when none waits.

    `after` is what the batch before returned. A file that does not open stays where it is, and the
    log tells. Raises StorageUnavailableError; what was not taken in waits.
    """
    waiting = [file for file in spool.waiting(name) if file.name > after]
    opened: list[tuple[Path, Arrival]] = []
    size, last = 0, None
    for file in waiting[:BATCH_FILES]:
        last = file.name
        try:
            arrival = spool.read(file, name, private)
        except SealError as error:
            warn(logger, "sealed-mail-unreadable", vault=name, file=file.name, reason=str(error))
            continue
        opened.append((file, arrival))
        size += len(arrival.raw)
        if size >= BATCH_BYTES:
            break
    if opened:
        with vault.together():
            for file, arrival in opened:
                # It was accepted, so no quota counts any more.
                vault.take_in(file.name, partial(put, arrival=arrival, enforce_quota=False))
        spool.remove(file for file, _ in opened)
        vault.drop_marks(file.name for file, _ in opened)
        event(logger, "drained", vault=name, messages=len(opened))
    return last
