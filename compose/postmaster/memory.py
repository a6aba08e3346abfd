"""How much memory the sessions of a service hold at once: large pieces wait for their turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MEBIBYTE = 1024 * 1024


class MemoryBudget:
    """Bytes shared by everybody, of which one person gets a part; more is waited for.

    It bounds what messages take while they are read, written and sent, which nothing else does:
    a hundred sessions may each ask for the largest message at once.
    """

    def __init__(
        self,
        total: int = 256 * MEBIBYTE,
        per_person: int = 208 * MEBIBYTE,
        seconds: float = 30.0,
    ) -> None:
        """`seconds`: how long somebody waits."""
        self._total = total
        self._per_person = per_person
        self._seconds = seconds
        self._held: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, person: str, size: int) -> AsyncIterator[None]:
        """Hold `size` bytes while the context lasts. Raises TimeoutError when there is no room.

        A size beyond all bounds counts as the bound, so that it gets its turn when alone.
        """
        size = min(size, self._total, self._per_person)
        async with asyncio.timeout(self._seconds), self._freed:
            await self._freed.wait_for(lambda: self._has_room(person, size))
            self._held[person] += size
        try:
            yield
        finally:
            self._held[person] -= size
            self._held += Counter()  # drops those that hold nothing
            await self._wake()

    def _has_room(self, person: str, size: int) -> bool:
        fits = self._held.total() + size <= self._total
        return fits and self._held[person] + size <= self._per_person

    async def _wake(self) -> None:
        async with self._freed:
            self._freed.notify_all()
