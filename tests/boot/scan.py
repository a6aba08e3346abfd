"""Prints the open TCP ports of an address as JSON; run inside the network that is scanned from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

CONNECTIONS = 400
SECONDS = 20.0


async def scan(address: str) -> list[int]:
    """Every port of `address` that takes a connection, found by trying all 65535."""
    gate = asyncio.Semaphore(CONNECTIONS)
    found: list[int] = []

    async def probe(port: int) -> None:
        async with gate:
            with contextlib.suppress(OSError, TimeoutError):
                connecting = asyncio.open_connection(address, port)
                _, writer = await asyncio.wait_for(connecting, SECONDS)
                found.append(port)
                writer.close()

    await asyncio.gather(*(probe(port) for port in range(1, 65536)))
    return sorted(found)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(scan(sys.argv[1]))))
