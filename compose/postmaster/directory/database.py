"""The directory's database: who has which vault, and the wraps of its key.

One SQLite3MC file, encrypted with a secret of the stack. Several threads may call, one at a time
gets in. Every method may raise StorageUnavailableError.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from postmaster.crypto import DataKey, PersonId, person_id
from postmaster.crypto.sealing import PublicKey
from postmaster.crypto.wraps import Owner, Scope, WrapKind
from postmaster.directory.factor_table import FactorTable, make_factor_tables
from postmaster.files import sync_directory
from postmaster.storage.database import Database
from postmaster.storage.schema import Migration

FILE = "directory.db"
LAST_USE_STEP = 600  # seconds; a last use is not written more often than this


def _first(database: apsw.Connection) -> None:
    """People, their vaults, the wraps of each vault's key, and what was decided once."""
    database.execute(
        """
        CREATE TABLE constants (             -- decided once for this machine
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE people (
            person TEXT PRIMARY KEY,         -- 32 hexadecimal digits
            address TEXT NOT NULL UNIQUE,
            vault TEXT NOT NULL,             -- the one that new mail goes to
            adopted INTEGER                  -- when its key was taken over from a key file
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE vaults (
            vault TEXT PRIMARY KEY,          -- 32 hexadecimal digits
            person TEXT NOT NULL REFERENCES people(person),
            public_key BLOB NOT NULL,
            created INTEGER NOT NULL,        -- seconds since 1970, as every time here
            replaced INTEGER,                -- when another took its place
            handed_over BLOB                 -- its key, sealed for the person's present vault
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE wraps (                 -- one of each kind
            vault TEXT NOT NULL REFERENCES vaults(vault),
            kind INTEGER NOT NULL,
            wrap BLOB NOT NULL,
            created INTEGER NOT NULL,
            PRIMARY KEY (vault, kind)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE app_passwords (
            vault TEXT NOT NULL REFERENCES vaults(vault),
            id TEXT NOT NULL,                -- its first characters
            label TEXT NOT NULL,
            scopes INTEGER NOT NULL,
            wrap BLOB NOT NULL,
            created INTEGER NOT NULL,
            last_use INTEGER,
            PRIMARY KEY (vault, id)
        ) STRICT, WITHOUT ROWID;
        """
    )


MIGRATIONS: Sequence[Migration] = (_first, make_factor_tables)


@dataclass(frozen=True)
class AppEntry:
    """An app password, as far as it may be shown; times are seconds since 1970."""

    id: str
    label: str
    scopes: Scope
    created: int
    last_use: int | None
    wrap: bytes = field(repr=False)


@dataclass(frozen=True)
class RecipientEntry:
    """A vault, and what mail for it is sealed with."""

    owner: Owner
    public_key: PublicKey


@dataclass(frozen=True)
class VaultEntry(RecipientEntry):
    """A vault, and what opens it."""

    created: int
    replaced: int | None
    handed_over: bytes | None = field(repr=False)
    wraps: dict[WrapKind, bytes] = field(repr=False)


@dataclass(frozen=True)
class PersonEntry:
    """A person with the vault that new mail goes to, and those that were replaced.

    `factors`: the kinds of second factors that there are.
    """

    address: str
    adopted: int | None
    vault: VaultEntry
    former: tuple[VaultEntry, ...]
    apps: tuple[AppEntry, ...]
    factors: tuple[str, ...] = ()


class DirectoryDatabase:
    """The open file."""

    def __init__(self, folder: Path, key: DataKey) -> None:
        """Open or make the file in `folder`. Raises StorageUnavailableError."""
        self._lock = threading.RLock()
        path = folder / FILE
        made = not path.exists()
        self._database = Database(path, key, MIGRATIONS)
        # What is deleted, such as a wrap, is overwritten.
        self._query("PRAGMA secure_delete = ON")
        self.forget_log()  # a cut may have come between a destruction and this
        if made:
            sync_directory(folder)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    # Reading

    def constant(self, name: str) -> str | None:
        """Return what was decided once under this name."""
        rows = self._query("SELECT value FROM constants WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def person(self, address: str) -> PersonEntry | None:
        """Return what is known of a person, None when no vault was needed so far."""
        with self._lock:
            rows = self._query(
                "SELECT person, vault, adopted FROM people WHERE person = ?", person_id(address)
            )
            if not rows:
                return None
            person, current, adopted = rows[0]
            vaults = {vault.owner.vault: vault for vault in self._vaults(person)}
            apps = self._query(
                "SELECT id, label, scopes, created, last_use, wrap FROM app_passwords"
                " WHERE vault = ? ORDER BY created, id",
                current,
            )
            return PersonEntry(
                address,
                adopted,
                vaults.pop(current),
                tuple(vaults.values()),
                tuple(AppEntry(i, label, Scope(s), c, u, w) for i, label, s, c, u, w in apps),
                FactorTable(self.query).kinds(person),
            )

    def recipient(self, address: str) -> RecipientEntry | None:
        """Return the vault for a person's new mail, None when none was needed so far."""
        person = person_id(address)
        rows = self._query(
            "SELECT vault, public_key FROM people JOIN vaults USING (vault)"
            " WHERE people.person = ?",
            person,
        )
        if not rows:
            return None
        ((vault, public_key),) = rows
        return RecipientEntry(Owner(person, vault), PublicKey.decode(public_key))

    def _vaults(self, person: str) -> Iterator[VaultEntry]:
        rows = self._query(
            "SELECT vault, public_key, created, replaced, handed_over FROM vaults"
            " WHERE person = ? ORDER BY created, vault",
            person,
        )
        for vault, public_key, created, replaced, handed_over in rows:
            wraps = self._query("SELECT kind, wrap FROM wraps WHERE vault = ?", vault)
            yield VaultEntry(
                Owner(PersonId(person), vault),
                PublicKey.decode(public_key),
                created,
                replaced,
                handed_over,
                {WrapKind(kind): wrap for kind, wrap in wraps},
            )

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have everything done in the context on disk at its end, or undone by an exception."""
        with self._lock, self._database.writing():
            yield

    def set_constant(self, name: str, value: str) -> None:
        """Decide something, once."""
        self._query("INSERT INTO constants (name, value) VALUES (?, ?)", name, value)

    def add_vault(self, address: str, owner: Owner, public_key: PublicKey) -> None:
        """Give a person a vault, the one for new mail from now on."""
        now = int(time.time())
        with self.writing():
            self._query(
                "UPDATE vaults SET replaced = ? WHERE person = ? AND replaced IS NULL",
                now,
                owner.person,
            )
            # A replaced vault's app passwords go: they were for logging in.
            self._query(
                "DELETE FROM app_passwords WHERE vault IN"
                " (SELECT vault FROM vaults WHERE person = ?)",
                owner.person,
            )
            self._query(
                "INSERT INTO people (person, address, vault) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (person) DO UPDATE SET vault = ?3",
                owner.person,
                address,
                owner.vault,
            )
            self._query(
                "INSERT INTO vaults (vault, person, public_key, created) VALUES (?, ?, ?, ?)",
                owner.vault,
                owner.person,
                public_key.encode(),
                now,
            )

    def note_adopted(self, owner: Owner) -> None:
        """Note that the key of a person's vault came from a key file."""
        self._query(
            "UPDATE people SET adopted = ? WHERE person = ?", int(time.time()), owner.person
        )

    def set_wrap(self, owner: Owner, kind: WrapKind, wrap: bytes) -> None:
        """Put a wrap in place of the one of its kind."""
        self._query(
            "INSERT INTO wraps (vault, kind, wrap, created) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (vault, kind) DO UPDATE SET wrap = ?3, created = ?4",
            owner.vault,
            int(kind),
            wrap,
            int(time.time()),
        )

    def destroy_wrap(self, owner: Owner, kind: WrapKind) -> None:
        """Overwrite and remove a wrap; call `forget_log` after the transaction."""
        self._query("DELETE FROM wraps WHERE vault = ? AND kind = ?", owner.vault, int(kind))

    def forget_log(self) -> None:
        """Write the log back and empty it, so that it holds nothing of what was destroyed."""
        self._query("PRAGMA wal_checkpoint(TRUNCATE)")

    def add_app(self, owner: Owner, entry: AppEntry) -> None:
        """Add an app password."""
        self._query(
            "INSERT INTO app_passwords (vault, id, label, scopes, wrap, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            owner.vault,
            entry.id,
            entry.label,
            int(entry.scopes),
            entry.wrap,
            entry.created,
        )

    def remove_app(self, owner: Owner, app: str) -> bool:
        """Remove an app password; say whether there was one."""
        rows = self._query(
            "DELETE FROM app_passwords WHERE vault = ? AND id = ? RETURNING id", owner.vault, app
        )
        return bool(rows)

    def note_use(self, owner: Owner, app: AppEntry) -> None:
        """Note when an app password was last used, to ten minutes or so."""
        now = int(time.time())
        if app.last_use is None or now - app.last_use >= LAST_USE_STEP or now < app.last_use:
            self._query(
                "UPDATE app_passwords SET last_use = ? WHERE vault = ? AND id = ?",
                now,
                owner.vault,
                app.id,
            )

    def addresses(self) -> Sequence[str]:
        """Return the main addresses of all for whom a vault was needed."""
        return [str(address) for (address,) in self._query("SELECT address FROM people ORDER BY 1")]

    def destroy_person(self, person: PersonId) -> bool:
        """Destroy all keys of a person and forget who it was; say whether there was one.

        Call `forget_log` afterwards.
        """
        with self.writing():
            for (vault,) in self._query("SELECT vault FROM vaults WHERE person = ?", person):
                self._destroy_vault(vault)
            return bool(self._query("DELETE FROM people WHERE person = ? RETURNING 1", person))

    def hand_over(self, owner: Owner, sealed: bytes) -> None:
        """Keep a former vault's key, sealed for the present vault."""
        self._query("UPDATE vaults SET handed_over = ? WHERE vault = ?", sealed, owner.vault)

    def destroy_former(self, person: PersonId, vault: str) -> bool:
        """Destroy all keys of a vault that was replaced; say whether there was one."""
        with self.writing():
            known = self._query(
                "SELECT 1 FROM vaults v JOIN people p ON p.person = v.person"
                " WHERE v.vault = ? AND v.person = ? AND p.vault <> v.vault",
                vault,
                person,
            )
            if known:
                self._destroy_vault(vault)
        return bool(known)

    def _destroy_vault(self, vault: str) -> None:
        self._query("DELETE FROM wraps WHERE vault = ?", vault)
        self._query("DELETE FROM app_passwords WHERE vault = ?", vault)
        self._query("DELETE FROM vaults WHERE vault = ?", vault)

    def query(self, statement: str, *values: apsw.SQLiteValue) -> list[Any]:
        """Run one statement and return its rows, for tables that have a module of their own."""
        return self._query(statement, *values)

    def _query(self, statement: str, *values: apsw.SQLiteValue) -> list[Any]:
        with self._lock:
            return self._database.query(statement, values)
