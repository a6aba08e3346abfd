"""Databases that are held still: copied while somebody writes, with SQLite as the judge."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import apsw
import pytest

from firstboot.base.errors import DeadlineError, MachineError
from firstboot.base.waiting import wait_for
from firstboot.system import sqlitelocks

KEY = "11" * 32
SECONDS = 300.0  # a number is on disk with each
hold = partial(sqlitelocks.hold, patience=SECONDS)
OPEN = f"""\
import apsw, os, sys
connection = apsw.Connection(sys.argv[1])
connection.execute("PRAGMA cipher = 'chacha20'")
connection.execute("PRAGMA hexkey = '{KEY}'")
connection.set_busy_timeout({SECONDS * 1000:.0f})
connection.pragma("journal_mode", "wal")
connection.pragma("synchronous", "FULL")
"""
# Two rows of each number in one transaction, checkpoints all the time, the number told after that.
WRITER = OPEN + textwrap.dedent("""\
    connection.pragma("wal_autocheckpoint", 10)
    connection.execute("CREATE TABLE IF NOT EXISTS rows (number, content)")
    number = 0
    while True:
        number += 1
        with connection:
            for _ in range(2):
                row = (number, os.urandom(3000))
                connection.execute("INSERT INTO rows VALUES (?, ?)", row)
        print(number, flush=True)
        if number % 50 == 0:
            connection.execute("DELETE FROM rows WHERE number < ?", (number - 20,))
""")


def connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA cipher = 'chacha20'")
    connection.execute(f"PRAGMA hexkey = '{KEY}'")
    return connection


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An encrypted database that is closed, with one row."""
    path = tmp_path / "live.db"
    connection = connect(path)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE rows (number, content); INSERT INTO rows VALUES (0, 'first')")
    connection.close()
    assert [file.name for file in tmp_path.iterdir()] == ["live.db"]
    return path


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes as fast as it can."""
    argv = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(12):
                told(process)
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> int:
    """The next number that is on disk, says the writer."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def told_beyond(process: subprocess.Popen[str], number: int) -> bool:
    return told(process) > number


def judge(copy: Path) -> int:
    """The last number in a copy, which must be whole."""
    connection = connect(copy)
    assert connection.pragma("integrity_check") == "ok"
    counts = {
        count
        for (count,) in connection.execute(
            "SELECT count(*) FROM rows WHERE number > 0 GROUP BY number"
        )
    }
    assert counts <= {2}, "half a transaction"
    ((last,),) = connection.execute("SELECT max(number) FROM rows")
    connection.close()
    return int(last)


def test_a_copy_under_writing_is_whole_and_has_what_was_told(
    database: Path, tmp_path: Path
) -> None:
    with writer(database) as process:
        for attempt in range(3):
            copy = tmp_path / f"copy-{attempt}.db"
            before = told(process)
            with hold(database) as held:
                with held.without_writers():
                    held.copy_log(copy.with_name(f"{copy.name}-wal"))
                # The file is read later, and slowly, while the writer goes on.
                now = told(process)
                wait_for(
                    partial(told_beyond, process, now + 6),
                    what="writing",
                    timeout=SECONDS,
                    interval=0,
                )
                shutil.copy(database, copy)
            assert judge(copy) >= before


def test_the_file_stays_as_it_is_while_held(database: Path) -> None:
    with writer(database) as process:
        with hold(database):
            held = database.read_bytes()
            now = told(process)
            wait_for(lambda: told(process) > now + 25, what="writing", timeout=SECONDS, interval=0)
            assert database.read_bytes() == held
        changed = wait_for(
            lambda: told(process) and database.read_bytes() != held,
            what="a checkpoint",
            timeout=SECONDS,
            interval=0,
        )
        assert changed


def test_writers_wait_only_while_the_log_is_copied(database: Path) -> None:
    connection = connect(database)
    with hold(database) as held:
        connection.execute("SELECT * FROM rows").fetchall()
        with held.without_writers(), pytest.raises(apsw.BusyError):
            connection.execute("INSERT INTO rows VALUES (1, 'x'), (1, 'x')")
        connection.execute("INSERT INTO rows VALUES (1, 'x'), (1, 'x')")
    connection.close()
    assert judge(database) == 1


def test_who_is_away_can_come_and_go_while_it_is_held(database: Path, tmp_path: Path) -> None:
    """A locked vault: somebody logs in after we began, writes, and logs out again."""
    copy = tmp_path / "copy.db"
    with hold(database) as held:
        with held.without_writers():
            held.copy_log(tmp_path / "copy.db-wal")
        before = database.read_bytes()
        for number in (1, 2):
            connection = connect(database)
            connection.execute("INSERT INTO rows VALUES (?, 'x'), (?, 'x')", (number, number))
            connection.pragma("wal_checkpoint")
            connection.close()
        assert database.read_bytes() == before
        shutil.copy(database, copy)
    assert (judge(copy), judge(database)) == (0, 2)
    assert not (tmp_path / "live.db-wal").exists(), "the last one tidies up as ever"


def test_what_a_crash_left_is_recovered(database: Path, tmp_path: Path) -> None:
    """The index that is left is of no use to anybody, and nobody may trust it."""
    with writer(database):
        pass
    assert (tmp_path / "live.db-wal").stat().st_size > 0
    (tmp_path / "live.db-shm").write_bytes(b"\xff" * 32768)
    copy = tmp_path / "copy.db"
    with hold(database) as held:
        with held.without_writers():
            held.copy_log(tmp_path / "copy.db-wal")
        shutil.copy(database, copy)
        last = judge(database)
    assert judge(copy) == last >= 12


def test_a_database_that_is_being_made_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    with pytest.raises(MachineError, match="no database in WAL mode"), hold(path, patience=0.1):
        pass
    connection = connect(path)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE t (a)")
    with hold(path):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()


def test_a_transaction_without_end_is_told(database: Path) -> None:
    connection = connect(database)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO rows VALUES (1, 'x')")
    with (
        hold(database, patience=0.1) as held,
        pytest.raises(DeadlineError, match=r"live\.db"),
        held.without_writers(),
    ):
        pass
    connection.execute("ROLLBACK")
    connection.close()


def test_one_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), hold(tmp_path / "gone.db"):
        pass
