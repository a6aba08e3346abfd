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
        """
    )


@dataclass(frozen=True)
class Totp:
    """An authenticator app; `step` is that of the last code that was taken."""

    key: bytes = field(repr=False)
    step: int


@dataclass(frozen=True)
class FactorTable:
    """All of them. Every method may raise StorageUnavailableError."""

    query: Callable[..., list[Any]]  # see `DirectoryDatabase.query`

    def kinds(self, person: PersonId) -> tuple[str, ...]:
        """Return which kinds of second factors a person has: `totp`."""
        return ("totp",) if self.totp(person) else ()

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

    def remove(self, person: PersonId) -> bool:
        """Remove all second factors of a person; say whether there was one."""
        return bool(self.query("DELETE FROM totp WHERE person = ? RETURNING 1", person))
