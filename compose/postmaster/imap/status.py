"""STATUS (RFC 3501 6.3.10) and its further items: the names, and the response for a folder.

SIZE (RFC 8438), HIGHESTMODSEQ (RFC 7162), APPENDLIMIT (RFC 7889), MAILBOXID (RFC 8474 4.3),
DELETED and DELETED-STORAGE (RFC 9208 4.1.4).
"""

from __future__ import annotations

from collections.abc import Sequence

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.storage.interface import FolderCounts

STATUS_ITEMS = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "SIZE",
        "HIGHESTMODSEQ",
        "APPENDLIMIT",
        "DELETED",
        "DELETED-STORAGE",
        "MAILBOXID",
    }
)


def parse_status_items(parser: Parser) -> tuple[str, ...]:
    """Read `(ITEM …)`, at least one."""
    parser.expect(b"(")
    items = [parser.keyword()]
    while not parser.accept(b")"):
        parser.space()
        items.append(parser.keyword())
    if unknown := set(items) - STATUS_ITEMS:
        raise SyntaxFaultError(f"STATUS does not know {sorted(unknown)[0]}")
    return tuple(dict.fromkeys(items))


def status_line(
    counts: FolderCounts, items: Sequence[str], *, append_limit: int, utf8: bool
) -> bytes:
    """Return the STATUS response; `append_limit` is the size of the largest message, in bytes."""
    values = {
        "MESSAGES": counts.messages,
        "RECENT": counts.recent,
        "UIDNEXT": counts.folder.uidnext,
        "UIDVALIDITY": counts.folder.uidvalidity,
        "UNSEEN": counts.unseen,
        "SIZE": counts.size,
        "HIGHESTMODSEQ": counts.highest_modseq,
        "APPENDLIMIT": append_limit,
        "DELETED": counts.deleted,
        "DELETED-STORAGE": counts.deleted_size,
        "MAILBOXID": f"({counts.folder.mailbox_id})",
    }
    text = " ".join(f"{item} {values[item]}" for item in items)
    return b"* STATUS " + wire.folder(counts.folder.name, utf8=utf8) + f" ({text})".encode()
