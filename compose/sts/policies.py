"""mta-sts-daemon, which says that DANE counts where a domain has both that and an MTA-STS policy.

Postfix takes what the daemon answers in the place of DANE. But a policy must not hide that DANE
fails (RFC 8461, 2).
"""

from __future__ import annotations

import asyncio

from dane import has_dane
from postfix_mta_sts_resolver import daemon, netstring
from postfix_mta_sts_resolver.responder import STSSocketmapResponder
from postfix_mta_sts_resolver.utils import filter_domain


class Responder(STSSocketmapResponder):  # type: ignore[misc]
    """The daemon's own, for one kind of answer."""

    async def process_request(self, raw_req: bytes) -> bytes:
        """The answer to `MAP DOMAIN`, as a netstring (socketmap_table(5))."""
        answer: bytes = await super().process_request(raw_req)
        if b":OK secure " not in answer:
            return answer
        domain: str = filter_domain(raw_req.decode().partition(" ")[2])
        # `dane` would send in the clear to a server without records, which the policy forbids.
        return bytes(netstring.encode(b"OK dane-only")) if await has_dane(domain) else answer


if __name__ == "__main__":
    daemon.STSSocketmapResponder = Responder
    # It expects a loop that Python, since 3.14, makes for nobody by itself.
    asyncio.set_event_loop(asyncio.new_event_loop())
    daemon.main()
