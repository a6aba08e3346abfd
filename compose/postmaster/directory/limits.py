"""Limits on failed logins, counted in Redis per client address, and per person from each."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 600
FAILURES_PER_PERSON = 20
FAILURES_PER_ADDRESS = 60  # several people may share an address
REDIS_SECONDS = 1.0
RETRY_SECONDS = 10.0  # how long Redis is left alone after it failed


class LoginLimits(Protocol):
    """Remembers failures. What strangers do from elsewhere never keeps a person out."""

    async def exceeded(self, login: str, address: str) -> bool:
        """Say whether this client address has failed too often, or with this login name."""

    async def failed(self, login: str, address: str) -> None:
        """Count a failure."""

    async def succeeded(self, login: str, address: str) -> None:
        """Forget the failures of a login name from there; those of the address stay."""


class RedisLimits:
    """Fixed windows in Redis; without Redis there are no limits, but everybody gets in."""

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = Redis(
            host=host,
            port=port,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            protocol=2,  # answers are plain lists and numbers
        )
        self._clock = clock
        self._away_until: float | None = None

    async def exceeded(self, login: str, address: str) -> bool:
        """See `LoginLimits.exceeded`."""
        keys = [_person_key(login, address), _address_key(address)]
        counts = await self._ask(["MGET", *keys])
        if not isinstance(counts, list) or len(counts) != len(keys):
            return False
        person, from_address = map(_count, counts)
        return person >= FAILURES_PER_PERSON or from_address >= FAILURES_PER_ADDRESS

    async def failed(self, login: str, address: str) -> None:
        """See `LoginLimits.failed`."""
        for key in (_person_key(login, address), _address_key(address)):
            # SET … NX starts the window and INCR keeps its end, so no key can live for ever.
            await self._ask(["SET", key, "0", "EX", str(WINDOW_SECONDS), "NX"])
            await self._ask(["INCR", key])

    async def succeeded(self, login: str, address: str) -> None:
        """See `LoginLimits.succeeded`."""
        await self._ask(["DEL", _person_key(login, address)])

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, command: list[str]) -> object:
        """Return Redis's answer, None when Redis is away."""
        if self._away_until is not None and self._clock() < self._away_until:
            return None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                # redis-py leaves this method without types.
                answer: object = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            if self._away_until is None:
                warn(logger, "redis-away", kind=type(error).__name__, effect="no-login-limits")
            self._away_until = self._clock() + RETRY_SECONDS
            return None
        if self._away_until is not None:
            event(logger, "redis-back")
            self._away_until = None
        return answer


def _count(value: object) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 0


def _person_key(login: str, address: str) -> str:
    # Hashed: names typed by strangers shall neither fill nor decorate the cache.
    digest = hashlib.sha256(f"{address}\0{login}".encode()).hexdigest()
    return f"login:person:{digest[:32]}"


def _address_key(address: str) -> str:
    return f"login:address:{address}"
