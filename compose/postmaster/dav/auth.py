"""Radicale's logins: asked of the mail store, and remembered for some minutes.

Programs for calendars send the password with each request, several a second. A login costs one
Argon2id; so its session is found again by a keyed hash of name and password, whose key is made anew
with each start and never leaves the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from radicale.auth import AuthContext, BaseAuth
from radicale.config import Configuration

from postmaster.dav.current import TOO_MANY, Current
from postmaster.dav.link import Address, Link, ProblemError, log_in
from postmaster.dav.protocol import Problem

# Less than a session lasts, so that none ends between two questions of a request.
REMEMBERED_SECONDS = 240.0


class LimitedError(Exception):
    """There were too many failed logins; the password was not looked at."""


@dataclass(frozen=True)
class _Known:
    session: str = field(repr=False)
    person: str
    until: float


class Logins:
    """Sessions by who logged in how."""

    def __init__(self, address: Address, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()
        self._locks: dict[bytes, threading.Lock] = {}
        self._waiting: Counter[bytes] = Counter()

    def link(self, login: str, password: str, client: str) -> Link | None:
        """Return a link for whom this is the password of, None when it is wrong.

        Raises LimitedError, or ProblemError when the mail store or the directory is away.
        """
        name = self._name(login, password)
        # A program that opens several connections at once costs one login.
        with self._alone(name):
            link = self._remembered(name)
            if link is not None:
                return link
            answer = log_in(self._address, login, password, client)
            if answer["verdict"] == "limited":
                raise LimitedError
            if answer["verdict"] == "temporary":
                raise ProblemError(Problem.UNAVAILABLE)
            if answer["verdict"] != "accepted":
                return None
            known = _Known(answer["session"], answer["person"], self._clock() + REMEMBERED_SECONDS)
            with self._lock:
                self._known[name] = known
            return Link(self._address, known.session, known.person)

    def _remembered(self, name: bytes) -> Link | None:
        now = self._clock()
        with self._lock:
            for old in [old for old, known in self._known.items() if known.until <= now]:
                del self._known[old]
            known = self._known.get(name)
        if known is None:
            return None
        link = Link(self._address, known.session, known.person)
        try:
            link.ask("check")
        except ProblemError as error:
            link.close()
            if error.problem is not Problem.SESSION:
                raise
            return None  # the mail store has started anew
        return link

    @contextmanager
    def _alone(self, name: bytes) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
            self._waiting[name] += 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._waiting[name] -= 1
                if not self._waiting[name]:
                    del self._waiting[name], self._locks[name]

    def _name(self, login: str, password: str) -> bytes:
        parts = (login.encode(), password.encode())
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)


class Auth(BaseAuth):
    """Radicale's plugin; a `Logins` and a `Current` come with the type (`auth_type`)."""

    logins: Logins
    current: Current

    def _login_ext(self, login: str, password: str, context: AuthContext) -> str:
        client = context.x_remote_addr or context.remote_addr or "unknown"
        try:
            link = self.logins.link(login, password, client)
        except LimitedError:
            self.current.status = TOO_MANY
            raise
        except ProblemError as error:
            self.current.note(error)
            raise
        if link is None:
            return ""
        self.current.link = link
        return link.person

    def _sleep_for_constant_exec_time(self, time_ns_begin: int) -> None:
        """The directory takes the same time for every failure, and limits them."""


def auth_type(logins: Logins, current: Current) -> Callable[[Configuration], BaseAuth]:
    """Return what Radicale makes its plugin with."""

    def make(configuration: Configuration) -> BaseAuth:
        made = Auth(configuration)
        made.logins, made.current = logins, current
        return made

    return make
