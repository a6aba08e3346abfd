"""How full the mailbox is: GETQUOTA and GETQUOTAROOT (RFC 9208). One root, named by nothing.

A mailbox without a limit has a root without resources.
"""

from __future__ import annotations

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.storage.interface import Usage

ROOT = b""
UNIT = 1024  # bytes of one STORAGE (RFC 9208 5.1)


@command("GETQUOTA", LOGGED_IN)
async def get_quota(session: Session, parser: Parser) -> Done:
    """Tell how full a root is."""
    parser.space()
    root = parser.astring()
    parser.end()
    if root != ROOT:
        raise RefusedError("there is no such quota root", "NONEXISTENT")
    await session.send([_quota(await session.run(lambda box: box.usage()))])
    return Done("that is all")


@command("GETQUOTAROOT", LOGGED_IN)
async def get_quota_root(session: Session, parser: Parser) -> Done:
    """Tell the root of a folder, and how full it is."""
    parser.space()
    name = parser.mailbox()
    parser.end()
    folder, usage = await session.run(lambda box: (box.folder(name), box.usage()))
    root = b"* QUOTAROOT " + wire.folder(folder.name, utf8=session.utf8) + b" " + wire.string(ROOT)
    await session.send([root, _quota(usage)])
    return Done("that is all")


def _quota(usage: Usage) -> bytes:
    resources = b""
    if usage.limit is not None:
        # Rounded up, so that a mailbox with one byte is not empty.
        resources = b"STORAGE %d %d" % (-(-usage.bytes // UNIT), usage.limit // UNIT)
    return b"* QUOTA " + wire.string(ROOT) + b" (" + resources + b")"
