"""Is a vault whole? In steps that take a moment each, so that its owner can go on meanwhile.

SQLite's own check covers the small tables. Contents and attachments are read in full: a page that
was changed does not decrypt (ChaCha20-Poly1305), and lengths and hashes are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from postmaster.errors import StorageUnavailableError
from postmaster.storage.attachments import whole_body
from postmaster.storage.database import Database
from postmaster.storage.interface import CheckPoint

STEP_BYTES = 8 * 1024 * 1024
MAX_PROBLEMS = 100
SMALL_TABLES = ("counters", "folders", "messages", "vanished", "usage", "deliveries", "pieces")
DERIVED = "it can be computed anew: the mail is not concerned"

# Each row is a fault: its text.
_NUMBERS = (
    "SELECT 'modseq '||max(m.modseq)||' of a message is above the counter' FROM messages m,"
    " counters c GROUP BY c.modseq HAVING max(m.modseq) > c.modseq",
    "SELECT 'UID '||m.uid||' in folder '||f.id||' is not below uidnext' FROM messages m"
    " JOIN folders f ON f.id = m.folder WHERE m.uid >= f.uidnext",
    "SELECT 'usage says '||bytes||' bytes in '||messages||' messages' FROM usage WHERE"
    " bytes <> (SELECT coalesce(sum(size), 0) FROM messages)"
    " OR messages <> (SELECT count(*) FROM messages)",
    "SELECT 'message '||m.uid||' in folder '||m.folder||' has another size than its content'"
    " FROM messages m JOIN contents c ON c.id = m.content WHERE c.size <> m.size",
    "SELECT 'content '||id||' has no message' FROM contents"
    " WHERE id NOT IN (SELECT content FROM messages)",
    "SELECT 'attachment '||id||' has no message' FROM attachments"
    " WHERE id NOT IN (SELECT attachment FROM pieces)",
    "SELECT 'the text of content '||id||' is not in the index, nor noted as missing'"
    " FROM contents WHERE id NOT IN (SELECT content FROM unindexed)"
    " AND id NOT IN (SELECT rowid FROM trigrams)",
)


def check_quickly(database: Database) -> None:
    """Look at what everything hangs on, for a vault that was not closed.

    Raises StorageUnavailableError when it is damaged.
    """
    for table in ("counters", "folders"):
        for problem in _check_table(database, table):
            raise StorageUnavailableError(f"the vault {database.path} is damaged: {problem}")


def check_step(database: Database, point: CheckPoint) -> CheckPoint:
    """Do the step that `point` names; return where the next one goes on.

    Its problems are those of this step. Raises ValueError when there is no such step.
    """
    names = list(_STEPS)
    name = point.step or names[0]
    following = names[names.index(name) + 1 :]
    if not point.total:
        pages = int(database.pragma("page_count")) * int(database.pragma("page_size"))
        point = replace(point, total=pages)
    try:
        problems, after, read = _STEPS[name](database, point.after)
    except StorageUnavailableError as error:
        # A page that does not decrypt ends this step; the others may be all right.
        problems, after, read = [f"{name}: {error.message}"], None, 0
    return replace(
        point,
        step=name if after is not None else (following[0] if following else ""),
        after=after or 0,
        done=min(point.done + read, point.total),
        problems=tuple(problems[:MAX_PROBLEMS]),
        finished=after is None and not following,
    )


Step = Callable[[Database, int], tuple[Sequence[str], int | None, int]]
"""Takes where it goes on; returns problems, where to go on (None: done), bytes read."""


def _tables(database: Database, _after: int) -> tuple[Sequence[str], None, int]:
    problems = [p for table in SMALL_TABLES for p in _check_table(database, table)]
    for table, rowid, parent, _ in database.query("PRAGMA foreign_key_check", ()):
        problems.append(f"row {rowid} of {table} belongs to nothing in {parent}")
    return problems, None, 0


def _check_table(database: Database, table: str) -> Iterator[str]:
    for (text,) in database.query(f"PRAGMA integrity_check({table})", ()):
        if text != "ok":
            yield f"{table}: {text}"


def _numbers(database: Database, _after: int) -> tuple[Sequence[str], None, int]:
    return [text for query in _NUMBERS for (text,) in database.query(query, ())], None, 0


def _contents(database: Database, after: int) -> tuple[Sequence[str], int | None, int]:
    problems: list[str] = []
    read = 0
    while read < STEP_BYTES:
        rows = database.query(
            "SELECT id, size, header, body FROM contents WHERE id > ? ORDER BY id LIMIT 1", (after,)
        )
        if not rows:
            return problems, None, read
        ((after, size, header, body),) = rows
        read += len(header) + len(body)
        try:
            whole_body(database, after, body, size - len(header))
        except StorageUnavailableError:
            problems.append(f"content {after} does not have its {size} bytes")
    return problems, after, read


def _attachments(database: Database, after: int) -> tuple[Sequence[str], int | None, int]:
    problems: list[str] = []
    read = 0
    while read < STEP_BYTES:
        rows = database.query(
            "SELECT id, hash, data FROM attachments WHERE id > ? ORDER BY id LIMIT 1", (after,)
        )
        if not rows:
            return problems, None, read
        ((after, digest, data),) = rows
        read += len(data)
        if hashlib.sha256(data).digest() != digest:
            problems.append(f"attachment {after} is not what it was")
    return problems, after, read


def _index(database: Database, _after: int) -> tuple[Sequence[str], None, int]:
    problems = [f"{p}; {DERIVED}" for p in _check_table(database, "texts")]
    try:
        database.query("INSERT INTO trigrams (trigrams) VALUES ('integrity-check')", ())
    except StorageUnavailableError:
        problems.append(f"the search index is damaged; {DERIVED}")
    return problems, None, 0


_STEPS: dict[str, Step] = {
    "tables": _tables,
    "numbers": _numbers,
    "contents": _contents,
    "attachments": _attachments,
    "index": _index,
}
