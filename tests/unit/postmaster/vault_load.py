"""Delivers, appends and moves mail in a vault until it is killed: python -m … VAULT FIRST.

Message N is delivered with an id, or appended when N is odd. A line `N MODSEQ` on standard output
acknowledges it. What was FIRST is delivered again by the next run, as a queue does.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from postmaster.crypto import DataKey
from postmaster.storage.attachments import APART_BYTES
from postmaster.storage.interface import INBOX, Delivery, NewMessage, arrival_time
from postmaster.storage.vault import Vault

KEY = DataKey(bytes(range(32)))
FILE = b"0123456789abcdef" * (APART_BYTES // 16)


def message(number: int) -> bytes:
    """Return message N; each fifth has the same attachment."""
    text = b"Subject: number %d\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" % number
    text += b"--b\r\n\r\nbody of %d\r\n" % number
    if number % 5 == 0:
        text += b"--b\r\nContent-Type: application/pdf\r\n\r\n" + FILE + b"\r\n"
    return text + b"--b--\r\n"


def is_delivery(number: int) -> bool:
    """Say whether message N is delivered; others are appended, which nobody does again."""
    return number % 2 == 0


def keep(vault: Vault, number: int) -> None:
    """Put message N into the vault."""
    new = NewMessage(message(number), frozenset(), arrival_time())
    if is_delivery(number):
        vault.deliver(Delivery(new, id=b"\1%d" % number))
    else:
        vault.append(INBOX, new)


def run(path: Path, first: int) -> None:
    """Keep one message after the other."""
    vault = Vault(path, KEY)
    inbox = vault.folder(INBOX).id
    for number in itertools.count(first):
        keep(vault, number)
        sys.stdout.write(f"{number} {vault.modseq}\n")
        sys.stdout.flush()
        if number % 7 == 0:
            vault.move(inbox, vault.snapshot(INBOX, claim_recent=True).uids[:3], "Archive")
        if number % 11 == 0:
            vault.tidy()


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
