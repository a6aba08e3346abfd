"""An encrypted SQLite file: keyed, durable, with whole transactions and plain errors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from postmaster.crypto import DataKey, cipher_pragmas
from postmaster.errors import StorageFullError, StorageUnavailableError, VaultUnreadableError
from postmaster.storage.schema import MIGRATIONS, Migration, migrate

BUSY_MILLISECONDS = 10_000
WAL_LIMIT_BYTES = 16 * 1024 * 1024  # the log is cut back to this after a checkpoint


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's complaints into ours; their texts name no mail content."""
    try:
        yield
    except apsw.FullError as error:
        raise StorageFullError(f"no room left on the disk of {path}") from error
    except apsw.NotADBError as error:
        raise VaultUnreadableError(
            f"the vault {path} does not open with its key, or is damaged"
        ) from error
    except apsw.Error as error:
        kind = type(error).__name__
        raise StorageUnavailableError(f"the vault {path} cannot be used: {kind}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Database:
    """An open file. Use it on one thread only; every method may raise StorageUnavailableError."""

    def __init__(
        self, path: Path, key: DataKey, migrations: Sequence[Migration] = MIGRATIONS
    ) -> None:
        """Open or make the file. Raises StorageUnavailableError.

        `migrations` is the history of its tables, those of a vault unless told otherwise.
        """
        self._path = path
        # A log that was not written back: whoever had the file open did not close it.
        self.unclean = _size(path.with_name(path.name + "-wal")) > 0
        self._migrations = migrations
        with storage_errors(path):
            self._connection = apsw.Connection(str(path))
            try:
                self._prepare(key)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, key: DataKey) -> None:
        connection = self._connection
        for statement in cipher_pragmas(key):
            connection.execute(statement)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        # Before the first table: it cannot be had later without rewriting the file.
        connection.pragma("auto_vacuum", "INCREMENTAL")
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "FULL")  # each commit is on disk before it returns
        connection.pragma("foreign_keys", "ON")
        connection.pragma("temp_store", "MEMORY")  # nothing decrypted goes to a temporary file
        connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)
        migrate(connection, self._migrations)

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        with storage_errors(self._path):
            self._connection.close()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def pragma(self, name: str) -> Any:
        """Return a setting of the connection or the file."""
        with storage_errors(self._path):
            return self._connection.pragma(name)

    def query(
        self, statement: str, values: Sequence[apsw.SQLiteValue] | Mapping[str, apsw.SQLiteValue]
    ) -> list[Any]:
        """Run one statement and return its rows."""
        with storage_errors(self._path):
            return list(self._connection.execute(statement, values))

    def each(
        self, statement: str, values: Sequence[apsw.SQLiteValue]
    ) -> Generator[Any, None, None]:
        """Run one statement and yield its rows as they are read; close what is not read to its end.

        Within `reading` or `writing` only.
        """
        with storage_errors(self._path):
            yield from self._connection.execute(statement, values)

    def define(self, name: str, function: Callable[..., apsw.SQLiteValue]) -> None:
        """Let statements call a function that always gives the same for the same arguments."""
        with storage_errors(self._path):
            self._connection.create_scalar_function(name, function, deterministic=True)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See one state of the file while the context lasts."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have everything done in the context on disk at its end, or undone by an exception."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        """Commit at the end, or undo everything; nested ones belong to the outer."""
        if self._connection.in_transaction:
            yield
            return
        self.query(begin, ())
        try:
            yield
            self.query("COMMIT", ())
        except BaseException:
            if self._connection.in_transaction:
                self.query("ROLLBACK", ())
            raise
