"""Limits on failed logins: a delay that grows with each, counted in Redis.

Counted are the failures of a name from one place, of a name from everywhere, and of a place with
any name; a place is an IPv4 address or an IPv6 /64. After some that are free, each failure doubles
the time in which nothing is tried. Where a person has logged in before, what strangers do elsewhere
does not count, and the delay stays short: nobody is locked out by an attacker, or by a telephone
that still has the old password.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Protocol

from postmaster.directory.cache import Cache

COUNT_SECONDS = 3600  # without a failure for so long, counting begins anew
KNOWN_SECONDS = 30 * 24 * 3600  # how long a place where somebody logged in is known
FIRST_DELAY = 8  # seconds, at the first failure that is not free; doubles with each
LONGEST_DELAY = 900
LONGEST_KNOWN_DELAY = 10  # for a person at a place that is known


@dataclass(frozen=True)
class Counter:
    """What failures are counted for, and how many are free."""

    key: str
    free: int

    @property
    def wait(self) -> str:
        """The key that is there while nothing is tried."""
        return f"{self.key}:wait"

    def delay(self, failures: int) -> int:
        """Return for how many seconds nothing is tried after so many failures."""
        if failures < self.free:
            return 0
        return min(LONGEST_DELAY, FIRST_DELAY << min(failures - self.free, 10))


def counters(login: str, address: str) -> tuple[Counter, Counter, Counter]:
    """Return the counters of the name from this place, the name, and the place."""
    place = place_of(address)
    return (
        Counter(f"login:here:{_hash(place, login)}", 5),
        Counter(f"login:name:{_hash(login)}", 20),
        Counter(f"login:place:{_hash(place)}", 20),  # several people may share one
    )


class LoginLimits(Protocol):
    """Remembers failures. What strangers do from elsewhere never keeps a person out."""

    async def exceeded(self, login: str, address: str) -> bool:
        """Say whether it is too early to try this name from this client address."""

    async def counting(self) -> bool:
        """Say whether failures are counted at present."""

    async def failed(self, login: str, address: str) -> None:
        """Count a failure."""

    async def succeeded(self, login: str, address: str) -> None:
        """Forget the failures of a login name from there, and know the place from now on."""


class RedisLimits:
    """In Redis; without it there are no limits, but everybody gets in."""

    def __init__(self, cache: Cache) -> None:
        self._ask = cache.ask

    async def exceeded(self, login: str, address: str) -> bool:
        """See `LoginLimits.exceeded`."""
        here, name, place = counters(login, address)
        found = await self._ask(["MGET", _known(login, address), here.wait, name.wait, place.wait])
        if not isinstance(found, list) or len(found) != 4:
            return False
        known, *waits = (value is not None for value in found)
        return waits[0] or (not known and any(waits))

    async def counting(self) -> bool:
        """See `LoginLimits.counting`."""
        return await self._ask(["PING"]) is not None

    async def failed(self, login: str, address: str) -> None:
        """See `LoginLimits.failed`."""
        known = await self._ask(["GET", _known(login, address)]) is not None
        here, *others = counters(login, address)
        for counter in (here,) if known else (here, *others):
            # SET … NX gives the counter an end before INCR can make it, so none lives for ever.
            await self._ask(["SET", counter.key, "0", "EX", str(COUNT_SECONDS), "NX"])
            failures = await self._ask(["INCR", counter.key])
            await self._ask(["EXPIRE", counter.key, str(COUNT_SECONDS)])
            delay = counter.delay(failures if isinstance(failures, int) else 0)
            if known:
                delay = min(delay, LONGEST_KNOWN_DELAY)
            if delay:
                await self._ask(["SET", counter.wait, "1", "EX", str(delay)])

    async def succeeded(self, login: str, address: str) -> None:
        """See `LoginLimits.succeeded`."""
        here, _, _ = counters(login, address)
        await self._ask(["DEL", here.key, here.wait])
        await self._ask(["SET", _known(login, address), "1", "EX", str(KNOWN_SECONDS)])


def place_of(address: str) -> str:
    """Return whence a client comes: one that has an IPv6 /64 has every address in it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _known(login: str, address: str) -> str:
    return f"known:{_hash(place_of(address), login)}"


def _hash(*parts: str) -> str:
    # Names typed by strangers shall neither fill nor decorate the cache.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
