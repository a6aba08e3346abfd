"""Rows of a vault and the values of `interface` that they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from postmaster.storage.interface import DELIMITER, INBOX, Folder, Message

BATCH = 500  # UIDs in one statement
FLAG_SETS = 256  # that are made once; most messages have the same

SELECT_FOLDER = "SELECT id, name, special_use, subscribed, uidvalidity, uidnext FROM folders "
SELECT_MESSAGE = "SELECT uid, flags, internal_date, zone, size, modseq, content FROM messages "


def folder_name(name: str) -> str:
    """Return the name under which a folder is kept: INBOX is the one without case."""
    first, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if first.upper() == INBOX else name


def folder_of(row: Sequence[Any]) -> Folder:
    """Return the folder of a row of SELECT_FOLDER."""
    identifier, name, special_use, subscribed, uidvalidity, uidnext = row
    return Folder(identifier, name, special_use, bool(subscribed), uidvalidity, uidnext)


def message_of(row: Sequence[Any]) -> Message:
    """Return the message of a row of SELECT_MESSAGE."""
    uid, flags, arrived, zone, size, modseq, content = row
    return Message(uid, _flags(flags), arrived, zone, size, modseq, content)


@lru_cache(FLAG_SETS)
def _flags(column: str) -> frozenset[str]:
    return frozenset(column.split())


def date_columns(date: datetime) -> tuple[int, int]:
    """Return `internal_date` and `zone`: seconds since 1970, minutes east of Greenwich."""
    zone = int((date.utcoffset() or timedelta()).total_seconds()) // 60
    return int(date.timestamp()), zone


def flags_column(flags: Iterable[str]) -> str:
    """Return `flags`: sorted, separated by spaces."""
    return " ".join(sorted(flags))


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ",".join("?" * len(values))


def among(uids: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return the condition that a UID is one of these, and its values; they ascend, each once.

    Where none is missing it is a range, which takes less time than a list.
    """
    if uids and uids[-1] - uids[0] == len(uids) - 1:
        return "BETWEEN ? AND ?", (uids[0], uids[-1])
    return f"IN ({marks(uids)})", uids


def batches(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut UIDs into what fits one statement."""
    for start in range(0, len(uids), BATCH):
        yield uids[start : start + BATCH]
