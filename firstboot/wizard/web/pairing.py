"""Who may answer the questions: a browser that had the code from the console, and nobody else."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

MOST_WRONG = 5
CODE_DIGITS = 8
# An owner may look for a paper in between; a browser left open somewhere must not count for ever.
IDLE_SECONDS = 2 * 3600.0
MOST_SESSIONS = 8


def _new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


@dataclass
class Pairing:
    """The code that is good once, and the wrong ones typed; used by several threads."""

    code: str = field(default_factory=_new_code, repr=False)
    wrong: int = 0
    paired: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def locked(self) -> bool:
        return not self.code

    def renew(self) -> None:
        """Another code, from the console: wrong ones are forgiven."""
        with self._lock:
            self.code, self.wrong = _new_code(), 0

    def redeem(self, typed: str) -> bool:
        """Whether this is the code, which then is used up. Five wrong ones lock it."""
        digits = "".join(letter for letter in typed if letter.isdigit())
        with self._lock:
            if not self.code:
                return False
            if hmac.compare_digest(digits.encode(), self.code.encode()):
                self.code, self.wrong = _new_code(), 0
                self.paired += 1
                return True
            self.wrong += 1
            if self.wrong >= MOST_WRONG:
                self.code = ""
            return False


@dataclass
class Session:
    """A paired browser. Its next page tells the `notice`, and `notes` by the questions' titles."""

    seen: float
    notice: str = ""
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class Sessions:
    """Paired browsers by the token in their cookie; kept in memory only. For one thread."""

    _open: OrderedDict[str, Session] = field(default_factory=OrderedDict)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def begin(self) -> str:
        """The token of a new session; the one that was idle longest goes when there are many."""
        token = new_token()
        self._open[token] = Session(time.monotonic())
        while len(self._open) > MOST_SESSIONS:
            self._open.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, unless it was idle for too long."""
        session = self._open.get(token)
        if session is None:
            return None
        now = time.monotonic()
        if now - session.seen > IDLE_SECONDS:
            del self._open[token]
            return None
        session.seen = now
        self._open.move_to_end(token)
        return session

    def form_token(self, token: str, form: str) -> str:
        """What a form must carry to be taken from the browser with this cookie."""
        message = f"{token}\n{form}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def is_form_token(self, token: str, form: str, given: str) -> bool:
        return hmac.compare_digest(self.form_token(token, form).encode(), given.encode())


def new_token() -> str:
    return secrets.token_urlsafe(32)
