"""Administrators who are signed in to the web pages: tokens, of which only hashes are kept.

They lie below /run, so that a restart ends them all, and are bound to the administrator's password:
another password ends them, too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import ipaddress
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from firstboot.administration.protocol import DeniedError, InvalidError
from firstboot.base.change import alone
from firstboot.base.files import make_directory
from firstboot.base.passwords import password_matches
from firstboot.base.paths import Paths
from firstboot.base.settings import require_settings
from firstboot.system.administrator import Verdict, check_from

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
MOST_SESSIONS = 50
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in: hash of the token and of the password's hash, from where, when.

    Times are of CLOCK_MONOTONIC.
    """

    token: str
    password: str
    address: str
    begun: float
    used: float


@dataclass(frozen=True)
class Sessions:
    """All of them. `now` is CLOCK_MONOTONIC."""

    paths: Paths
    now: Callable[[], float] = time.monotonic

    def log_in(self, password: str, address: str) -> str:
        """Return a token for whoever knows the administrator's password. Raises DeniedError."""
        phc = require_settings(self.paths.settings).administrator.password_hash
        if phc is None:
            raise DeniedError(
                "this machine has no administrator's password",
                "Set one on the machine's console or by SSH: mailstead admin password",
            )
        right = functools.partial(password_matches, password, phc)
        verdict = check_from(right, self.paths.web_tries, place_of(address), self.now)
        if not verdict.right:
            raise denied("this is not the password", verdict)
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self.now()
        with alone(self._lock):
            known = self._read(phc)[-(MOST_SESSIONS - 1) :]
            self._write([*known, Session(_hash(token), _hash(phc), address, now, now)])
        return token

    def use(self, token: str) -> Session:
        """Return who is signed in by a token, which stays so for another while. DeniedError."""
        phc, wanted = self._password(), _hash(token)
        with alone(self._lock):
            known = self._read(phc)
            for index, session in enumerate(known):
                if secrets.compare_digest(session.token, wanted):
                    known[index] = replace(session, used=self.now())
                    self._write(known)
                    return known[index]
        raise DeniedError("nobody is signed in by this token", "Sign in again.")

    def log_out(self, token: str) -> None:
        """End one."""
        wanted = _hash(token)
        with alone(self._lock):
            self._write([one for one in self._read(self._password()) if one.token != wanted])

    @property
    def _lock(self) -> Path:
        return self.paths.web_sessions.with_suffix(".lock")

    def _password(self) -> str:
        return require_settings(self.paths.settings).administrator.password_hash or ""

    def _read(self, phc: str) -> list[Session]:
        """Those that count: under this password, used lately, and not too old."""
        found = []
        with contextlib.suppress(OSError, ValueError, TypeError):
            for entry in json.loads(self.paths.web_sessions.read_text(encoding="ascii")):
                found.append(Session(**entry))
        now, password = self.now(), _hash(phc)
        return [
            one
            for one in found
            if one.password == password
            and now - one.used < IDLE_SECONDS
            and now - one.begun < LONGEST_SECONDS
        ]

    def _write(self, sessions: list[Session]) -> None:
        # In memory, behind the lock: nothing lasts that would have to be whole.
        make_directory(self.paths.web_sessions.parent)
        self.paths.web_sessions.touch(mode=0o600)
        text = json.dumps([asdict(one) for one in sessions])
        self.paths.web_sessions.write_text(text, encoding="ascii")


def denied(message: str, verdict: Verdict) -> DeniedError:
    """What is said to whoever was not right."""
    hint = f"The next try counts in {verdict.wait:.0f} s." if verdict.wait else ""
    return DeniedError(message, hint, wait=round(verdict.wait, 1))


def place_of(address: str) -> str:
    """For whom tries are counted: an IPv4 address or an IPv6 /64. Raises InvalidError."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise InvalidError("from: expected an IP address") from None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
