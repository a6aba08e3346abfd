"""Port 80: says that the wizard is at https, and nothing else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Message: TypeAlias = "MutableMapping[str, Any]"

# A name or an address as in a URL (RFC 3986, 3.2.2), perhaps with a port.
_HOST = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)


def location(host: str, own: str) -> str:
    """Where to go from http://`host`; to the address `own` when nobody could be called that."""
    match = _HOST.fullmatch(host)
    return f"https://{match[1]}/" if match else f"https://{own}/"


async def redirect(
    scope: Message,
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The ASGI application. 307, since no browser may remember it: mail comes here later."""
    headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
    server = ipaddress.ip_address(scope["server"][0])
    server = getattr(server, "ipv4_mapped", None) or server
    own = f"[{server}]" if server.version == 6 else str(server)
    there = location(headers.get(b"host", b"").decode("latin-1"), own)
    await send(
        {
            "type": "http.response.start",
            "status": 307,
            "headers": [
                (b"location", there.encode("ascii")),
                (b"content-length", b"0"),
                (b"cache-control", b"no-store"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})
