"""What a person has taught Rspamd: asked for each delivery, and taught more (docs/transport.md).

By Rspamd's controller (its documentation, "Rspamd HTTP protocol"). Who a message is for is said by
the person's id, so that no address is kept there.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from dataclasses import dataclass
from typing import Any

from postmaster.crypto import person_id
from postmaster.errors import RspamdUnavailableError

LARGE = 1024 * 1024  # bytes; beyond that Rspamd takes no message apart (rspamd.local.lua)
SECONDS = 10.0  # for a slow machine; an answer takes milliseconds
ANSWER_LIMIT = 64 * 1024  # bytes
_SYMBOLS = ("BAYES_HAM", "BAYES_SPAM")


@dataclass(frozen=True)
class Opinion:
    """What somebody's lessons say of a message."""

    score: float  # to be added to Rspamd's own; 0 when they say nothing
    junk: float  # the sum from which a message is put aside


@dataclass(frozen=True)
class Rspamd:
    """Rspamd's controller. All questions may raise RspamdUnavailableError."""

    host: str
    port: int
    password: str

    async def opinion(self, person: str, message: bytes) -> Opinion:
        """Return what the lessons of the person with this main address say of a message."""
        # Not logged: the milter's line about the message says all but this.
        wanted = {"Settings": json.dumps({"symbols_enabled": _SYMBOLS}), "Flags": "no_log"}
        answer = await self._ask("/checkv2", person, message, wanted)
        try:
            found = json.loads(answer.text)
            scores = [float(found["symbols"][name]["score"]) for name in found["symbols"]]
            return Opinion(sum(scores), float(found["thresholds"]["add header"]))
        except (ValueError, KeyError, TypeError):
            raise RspamdUnavailableError(f"Rspamd says {answer.text[:100]!r}") from None

    async def learn(self, person: str, message: bytes, *, spam: bool) -> bool:
        """Teach what kind a message is; return whether that was news and there was text enough."""
        path = "/learnspam" if spam else "/learnham"
        return (await self._ask(path, person, message, {})).status == http.client.OK

    async def _ask(self, path: str, person: str, message: bytes, wanted: dict[str, str]) -> _Answer:
        headers = {**wanted, "Password": self.password, "Deliver-To": person_id(person)}
        return await asyncio.to_thread(self._exchange, path, headers, message)

    def _exchange(self, path: str, headers: dict[str, Any], message: bytes) -> _Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request("POST", path, message, headers)
            response = connection.getresponse()
            answer = _Answer(response.status, response.read(ANSWER_LIMIT))
        except (OSError, http.client.HTTPException) as error:
            raise RspamdUnavailableError(f"Rspamd does not answer: {error}") from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise RspamdUnavailableError(f"Rspamd says {answer.status} {answer.text[:100]!r}")
        return answer


@dataclass(frozen=True)
class _Answer:
    status: int
    text: bytes
