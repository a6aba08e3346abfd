"""Quota: how much a vault holds, how much it may, and the warnings on the way there.

The numbers are kept by triggers, in the transaction of each change.
"""

from __future__ import annotations

from postmaster.storage.database import Database
from postmaster.storage.interface import NewMessage, OverQuotaError, Quota, Usage
from postmaster.storage.notice import notice

WARNINGS = (95, 80)  # per cent, the highest first
SLACK = 5  # per cent below a threshold that make it due again
MEBIBYTE = 1024 * 1024


def read_usage(database: Database, quota: Quota | None) -> Usage:
    """See `Mailbox.usage`."""
    ((size, messages),) = database.query("SELECT bytes, messages FROM usage", ())
    return Usage(size, messages, quota.limit if quota else None)


def require_quota(database: Database, quota: Quota | None, size: int) -> None:
    """Raise OverQuotaError when `size` bytes more are too many."""
    if quota is None or quota.limit is None:
        return
    if read_usage(database, quota).bytes + size > quota.limit:
        raise OverQuotaError(for_ever=size > quota.limit)


def warning_due(database: Database, quota: Quota | None) -> NewMessage | None:
    """Return the mail that tells the owner of a threshold just crossed, None when there is none.

    It is due once for each threshold, and again after the mailbox has been well below it.
    """
    if quota is None or not quota.limit:
        return None
    usage = read_usage(database, quota)
    ((warned,),) = database.query("SELECT warned FROM usage", ())
    percent = usage.bytes * 100 // quota.limit
    reached = next((mark for mark in WARNINGS if percent >= mark), 0)
    if reached > warned or percent < warned - SLACK:
        database.query("UPDATE usage SET warned = ?", (reached,))
    if reached > warned:
        return _warning(quota.owner, percent, usage.bytes, quota.limit)
    return None


def _warning(owner: str, percent: int, size: int, limit: int) -> NewMessage:
    return notice(
        owner,
        f"Your mailbox is {percent} % full",
        f"Your mailbox {owner} holds {size // MEBIBYTE} of {limit // MEBIBYTE} MiB.\n\n"
        "When it is full, new mail waits at its sender, who is told when it has waited too long.\n"
        "Delete what you do not need, then empty the trash; large attachments count most.\n",
    )
