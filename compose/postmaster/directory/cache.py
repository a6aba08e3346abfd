"""Redis, as far as it is there: counters that may be lost, and nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

REDIS_SECONDS = 3.0  # for a slow machine; an answer takes milliseconds, and Postfix waits for 10 s
RETRY_SECONDS = 10.0  # how long Redis is left alone after it failed


class Cache:
    """One Redis server; while it is away every answer is None."""

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

    async def ask(self, command: list[str]) -> object:
        """Return Redis's answer, None when Redis is away."""
        if self._away_until is not None and self._clock() < self._away_until:
            return None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                # redis-py leaves this method without types.
                answer: object = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            if self._away_until is None:
                warn(logger, "redis-away", kind=type(error).__name__, effect="no-limits")
            self._away_until = self._clock() + RETRY_SECONDS
            return None
        if self._away_until is not None:
            event(logger, "redis-back")
            self._away_until = None
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
