"""Passes: what a password has opened for the web pages, until the mail store fetches it.

The pages have neither keys nor a way into a vault. Somebody's password makes a pass, which they
show the mail store; that alone gets the key for it, once and soon.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from enum import Enum

from postmaster.query import Pass, Unlock

SECONDS = 30.0  # for which a pass is good
MOST = 64  # the oldest ends when there is one more


class Purpose(Enum):
    """What somebody wants with the own vault."""

    COUNT = "count"  # how much is in it
    EXPORT = "export"  # all of it


@dataclass
class Passes:
    """Those that were made and not used. Use it in one event loop; `close` it there."""

    seconds: float = SECONDS
    _known: dict[bytes, tuple[Pass, asyncio.TimerHandle]] = field(
        default_factory=dict, init=False, repr=False
    )

    def make(self, purpose: Purpose, person: str, unlock: Unlock) -> str:
        """Return a new one, 256 random bits. The keys are the pass's from now on."""
        while len(self._known) >= MOST:
            self._end(next(iter(self._known)))
        text = secrets.token_urlsafe(32)
        timer = asyncio.get_running_loop().call_later(self.seconds, self._end, _name(text))
        self._known[_name(text)] = Pass(purpose.value, person, unlock), timer
        return text

    def take(self, text: str) -> Pass | None:
        """Return what a pass is for; it works once. The keys are the caller's then."""
        found, timer = self._known.pop(_name(text), (None, None))
        if timer is not None:
            timer.cancel()
        return found

    def close(self) -> None:
        """End all of them."""
        for name in list(self._known):
            self._end(name)

    def _end(self, name: bytes) -> None:
        found, timer = self._known.pop(name)
        timer.cancel()
        found.unlock.wipe()


def _name(text: str) -> bytes:
    """They are looked up by their hash, so that the time it takes tells nothing of them."""
    return hashlib.sha256(text.encode()).digest()
