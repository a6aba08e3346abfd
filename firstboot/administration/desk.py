"""One request from its line to its answer: find the verb, who asks, its arguments; then do it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from firstboot.administration.protocol import (
    BusyError,
    Call,
    InvalidError,
    Refusals,
    Request,
    Verb,
    parse_request,
    refusal,
    validated,
)
from firstboot.administration.sessions import Sessions
from firstboot.administration.tokens import Tokens
from firstboot.base.errors import MailsteadError


@dataclass
class Desk:
    """Answers requests by the one table of verbs; `unexpected` tells people of a defect."""

    verbs: Mapping[str, Verb]
    sessions: Sessions
    tokens: Tokens
    refusals: Refusals = field(default_factory=Refusals)
    unexpected: Callable[[Exception], MailsteadError] = lambda error: MailsteadError(repr(error))
    _running: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, line: bytes, progress: Callable[[str], None]) -> dict[str, Any]:
        """The answer to one request. Raises only what `progress` raises as OSError."""
        try:
            request = parse_request(line)
            verb = self.verbs.get(request.verb)
            if verb is None:
                raise InvalidError(f"there is no verb {request.verb!r}")
            who = "" if verb.open else self._who(request, verb)
            arguments = validated(verb.arguments, request.arguments, request.verb)
            call = Call(who, request.token, progress)
            return {"ok": True, "result": dict(self._run(request, verb, call, arguments))}
        except MailsteadError as error:
            return refusal(error, self.refusals)
        except OSError:
            raise
        except Exception as error:
            return refusal(self.unexpected(error), self.refusals)

    def _who(self, request: Request, verb: Verb) -> str:
        """Who asks, for the audit log. Raises DeniedError, ForbiddenError, InvalidError."""
        if not request.address:
            return f"web {self.sessions.use(request.token).address}"
        scope = verb.http.scope if verb.http else None
        label = self.tokens.use(request.token, request.address, scope)
        return f"api {label} {request.address}"

    def _run(self, request: Request, verb: Verb, call: Call, arguments: Any) -> Mapping[str, Any]:
        if not verb.single:
            return verb.run(call, arguments)
        with self._lock:
            if request.verb in self._running:
                raise BusyError(f"{request.verb} is being done already", "Try again in a while.")
            self._running.add(request.verb)
        try:
            return verb.run(call, arguments)
        finally:
            with self._lock:
                self._running.discard(request.verb)
