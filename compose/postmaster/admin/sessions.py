"""Who is logged in: sessions in the memory of this process, and nowhere else.

A restart logs everybody out. In exchange there is no store to be stolen, and no second container
that can reach Redis. Kept is the hash of a session's token, never the token.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_SECONDS = 30 * 60.0
LONGEST_SECONDS = 12 * 3600.0
MOST_OF_A_PERSON = 20  # the oldest ends when there is one more
TOKEN_BYTES = 32


@dataclass
class Session:
    """One browser of a person. Times are seconds of the sessions' clock."""

    id: str  # to name it on a page; not secret
    person: str
    address: str  # the client's IP address at the login
    browser: str  # what it called itself, as `browsers` reads it
    began: float
    used: float
    stamp: str = ""  # of the password, see `directory.self_service`
    notice: str = ""  # a key of the catalogue, shown on the next page
    asked: str = ""  # the state of the last question for a passkey, until it is answered


@dataclass
class Sessions:
    """All of them."""

    clock: Callable[[], float] = time.time
    idle: float = IDLE_SECONDS
    longest: float = LONGEST_SECONDS
    _known: dict[bytes, Session] = field(default_factory=dict, init=False, repr=False)

    def begin(self, person: str, stamp: str, address: str, browser: str) -> str:
        """Begin a session and return its token, 256 random bits."""
        self._forget_old()
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self.clock()
        for old in self.of(person)[MOST_OF_A_PERSON - 1 :]:
            self.end(person, old.id)
        made = Session(secrets.token_hex(8), person, address, browser, now, now, stamp)
        self._known[_name(token)] = made
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, which counts as used; None when it has ended."""
        session = self._known.get(_name(token))
        if session is None:
            return None
        if self._is_over(session):
            del self._known[_name(token)]
            return None
        session.used = self.clock()
        return session

    def of(self, person: str) -> list[Session]:
        """Return a person's sessions, the one that was used last first."""
        found = [s for s in self._known.values() if s.person == person and not self._is_over(s)]
        return sorted(found, key=lambda session: session.used, reverse=True)

    def end(self, person: str, name: str) -> bool:
        """End the session with an id, if it is this person's; say whether there was one."""
        gone = [key for key, s in self._known.items() if (s.person, s.id) == (person, name)]
        for key in gone:
            del self._known[key]
        return bool(gone)

    def end_others(self, kept: Session) -> int:
        """End all sessions of a person but one; return how many."""
        others = [session for session in self.of(kept.person) if session is not kept]
        return sum(self.end(kept.person, session.id) for session in others)

    def _is_over(self, session: Session) -> bool:
        now = self.clock()
        return now - session.used > self.idle or now - session.began > self.longest

    def _forget_old(self) -> None:
        for key in [key for key, session in self._known.items() if self._is_over(session)]:
            del self._known[key]


def _name(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
