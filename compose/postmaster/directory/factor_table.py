"""The directory's tables of second factors: what people show besides their password."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apsw

from postmaster.crypto import PersonId


def make_factor_tables(database: apsw.Connection) -> None:
    """Second factors. They go with their person."""
    database.execute(
        """
        CREATE TABLE totp (                  -- an authenticator app (RFC 6238)
            person TEXT PRIMARY KEY REFERENCES people(person) ON DELETE CASCADE,
            key BLOB NOT NULL,
            step INTEGER NOT NULL,           -- that of the last code that was taken
            created INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE passkeys (              -- WebAuthn credentials
            person TEXT NOT NULL REFERENCES people(person) ON DELETE CASCADE,
            id BLOB NOT NULL,
            label TEXT NOT NULL,
            credential BLOB NOT NULL,        -- attested credential data, with the public key
            counter INTEGER NOT NULL,        -- the last one that it has shown; 0: it does not count
            created INTEGER NOT NULL,
            last_use INTEGER,
            PRIMARY KEY (person, id)
        ) STRICT, WITHOUT ROWID;
        """
    )


@dataclass(frozen=True)
class Totp:
    """An authenticator app; `step` is that of the last code that was taken."""

    key: bytes = field(repr=False)
    step: int


@dataclass(frozen=True)
class Passkey:
    """A WebAuthn credential; times are seconds since 1970."""

    id: bytes
    label: str
    credential: bytes = field(repr=False)
    created: int
    last_use: int | None


@dataclass(frozen=True)
class FactorTable:
    """All of them. Every method may raise StorageUnavailableError."""

    query: Callable[..., list[Any]]  # see `DirectoryDatabase.query`

    def kinds(self, person: PersonId) -> tuple[str, ...]:
        """Return which kinds of second factors a person has: `totp`, `passkey`."""
        found = {"totp": self.totp(person), "passkey": self.passkeys(person)}
        return tuple(kind for kind, there in found.items() if there)

    def totp(self, person: PersonId) -> Totp | None:
        """Return a person's authenticator app."""
        rows = self.query("SELECT key, step FROM totp WHERE person = ?", person)
        return Totp(*rows[0]) if rows else None

    def set_totp(self, person: PersonId, totp: Totp) -> None:
        """Put an authenticator app in place of the one before."""
        self.query(
            "INSERT INTO totp (person, key, step, created) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (person) DO UPDATE SET key = ?2, step = ?3, created = ?4",
            person,
            totp.key,
            totp.step,
            int(time.time()),
        )

    def take_step(self, person: PersonId, totp: Totp, step: int) -> bool:
        """Note that a step's code was taken; False when one that is not before it was already."""
        return bool(
            self.query(
                "UPDATE totp SET step = ?3 WHERE person = ?1 AND key = ?2 AND step < ?3"
                " RETURNING 1",
                person,
                totp.key,
                step,
            )
        )

    def remove_totp(self, person: PersonId) -> bool:
        """Remove a person's authenticator app; say whether there was one."""
        return bool(self.query("DELETE FROM totp WHERE person = ? RETURNING 1", person))

    def passkeys(self, person: PersonId) -> tuple[Passkey, ...]:
        """Return a person's passkeys, the oldest first."""
        rows = self.query(
            "SELECT id, label, credential, created, last_use FROM passkeys"
            " WHERE person = ? ORDER BY created, id",
            person,
        )
        return tuple(Passkey(*row) for row in rows)

    def add_passkey(
        self, person: PersonId, name: bytes, label: str, credential: bytes, counter: int
    ) -> None:
        """Add a passkey."""
        self.query(
            "INSERT INTO passkeys (person, id, label, credential, counter, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            person,
            name,
            label,
            credential,
            counter,
            int(time.time()),
        )

    def note_passkey(self, person: PersonId, name: bytes, counter: int) -> bool:
        """Note that a passkey was used; False when its counter has not gone up.

        One that counts shows no number twice unless there is a copy of it (WebAuthn, 7.2, step 21).
        """
        return bool(
            self.query(
                "UPDATE passkeys SET counter = ?3, last_use = ?4 WHERE person = ?1 AND id = ?2"
                " AND (counter < ?3 OR (counter = 0 AND ?3 = 0)) RETURNING 1",
                person,
                name,
                counter,
                int(time.time()),
            )
        )

    def remove_passkey(self, person: PersonId, name: bytes) -> bool:
        """Remove a passkey; say whether there was one."""
        return bool(
            self.query("DELETE FROM passkeys WHERE person = ? AND id = ? RETURNING 1", person, name)
        )

    def remove_all(self, person: PersonId) -> bool:
        """Remove all second factors of a person; say whether there was one."""
        totp = self.remove_totp(person)
        gone = self.query("DELETE FROM passkeys WHERE person = ? RETURNING 1", person)
        return totp or bool(gone)
