"""The JSON API (docs/api.md): HTTP for other programs, before the machine's verbs.

The machine's own document says what there is: a method and a path lead to a verb, whose arguments
are path, query and body together. Token, scope and arguments are judged by the machine, and nothing
here. No cookie counts, so that no page of another site does anything by it.
"""

from __future__ import annotations

import asyncio
import http
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from postmaster.admin.forms import FormError, read_body
from postmaster.admin.machine_link import MachineError
from postmaster.admin.rendering import finished
from postmaster.admin.site import Site
from postmaster.admin.visit import CLIENT_HEADER
from postmaster.serving import place

logger = logging.getLogger(__name__)

BASE, DOCUMENT = "/api/v1", "/openapi.json"
BUSY_SECONDS = 10
STATUSES = {
    "invalid": 422,
    "missing": 404,
    "refused": 409,
    "busy": 429,
    "denied": 401,
    "forbidden": 403,
    "failed": 500,
    "away": 503,
}
_BEARER = re.compile(r"bearer +([\w.~+/-]{1,120}=*)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_BOOLEANS = {"true": True, "false": False}

Operations: TypeAlias = Mapping[str, Mapping[str, Any]]  # by method in small letters, as in OpenAPI
Endpoint: TypeAlias = "Callable[[Request], Awaitable[Response]]"


def api_routes(site: Site) -> Mount:
    """Return all that is below BASE."""
    return Mount(BASE, app=Api(site))


@dataclass
class Api:
    """An ASGI application, which asks the machine what there is when it is used first."""

    site: Site
    _ready: ASGIApp | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            application = await self._application()
        except MachineError as error:
            application = _refusal(error)
        await application(scope, receive, send)

    async def _application(self) -> ASGIApp:
        async with self._lock:
            if self._ready is None:
                self._ready = _make(self.site, await self.site.link.ask("api.describe"))
            return self._ready


def problem(
    status: int, detail: str = "", hint: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Return problem details (RFC 9457)."""
    content: dict[str, Any] = {"type": "about:blank", "title": http.HTTPStatus(status).phrase}
    content["status"] = status
    content |= {"detail": detail} if detail else {}
    content |= {"hint": hint} if hint else {}
    media_type = "application/problem+json"
    return finished(JSONResponse(content, status, headers, media_type=media_type))


def _make(site: Site, document: Mapping[str, Any]) -> Starlette:
    async def describe(_request: Request) -> Response:
        return finished(JSONResponse(document))

    routes = [Route(DOCUMENT, describe)]
    for path, operations in document["paths"].items():
        methods = [method.upper() for method in operations]
        routes.append(Route(path, _endpoint(site, operations), methods=methods))
    app = Starlette(
        routes=routes,
        exception_handlers={
            FormError: _bad_body,
            HTTPException: _no_operation,
            MachineError: _said_no,
            Exception: _defect,
        },
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(site: Site, operations: Operations) -> Endpoint:
    async def respond(request: Request) -> Response:
        operation = operations["get" if request.method == "HEAD" else request.method.lower()]
        found = _BEARER.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise MachineError("denied", "expected a token", "Authorization: Bearer TOKEN")
        arguments = await _arguments(request, operation)
        result = await site.link.call(
            operation["operationId"],
            found[1],
            arguments,
            client=request.headers.get(CLIENT_HEADER, "unknown"),
        )
        return finished(JSONResponse(result))

    return respond


async def _arguments(request: Request, operation: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {
        one["name"]: one["schema"].get("type")
        for one in operation["parameters"]
        if one["in"] == "query"
    }
    query = request.query_params
    given = {name: _value(kinds.get(name), query.getlist(name)) for name in query}
    if "requestBody" in operation:
        if given:
            raise MachineError("invalid", f"this has no query: {', '.join(given)}")
        given = await _read_json(request)
    if twice := given.keys() & request.path_params.keys():
        raise MachineError("invalid", f"this stands in the path: {', '.join(sorted(twice))}")
    return {**given, **request.path_params}


def _value(kind: str | None, values: list[str]) -> Any:
    """What a parameter of the query is; the machine says what is wrong with one that is not so."""
    if kind == "array" or len(values) != 1:
        return values
    if kind == "integer" and _INTEGER.fullmatch(values[0]):
        return int(values[0])
    return _BOOLEANS.get(values[0], values[0]) if kind == "boolean" else values[0]


async def _read_json(request: Request) -> dict[str, Any]:
    body = await read_body(request, "application/json")
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise FormError(400) from None
    if not isinstance(found, dict):
        raise MachineError("invalid", "expected a JSON object")
    return found


def _no_number(text: str) -> None:
    raise ValueError(text)


def _refusal(error: MachineError) -> Response:
    status, headers = STATUSES.get(error.kind, 500), {}
    if error.kind == "busy" or error.wait:
        status = 429
        headers["Retry-After"] = str(math.ceil(error.wait) or BUSY_SECONDS)
    elif status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Mailstead"'
    detail = error.message or "the machine does not answer"
    return problem(status, detail, error.hint, headers)


async def _said_no(_request: Request, error: Exception) -> Response:
    return _refusal(error if isinstance(error, MachineError) else MachineError("failed"))


async def _bad_body(_request: Request, error: Exception) -> Response:
    return problem(error.status if isinstance(error, FormError) else 400)


async def _no_operation(_request: Request, error: Exception) -> Response:
    status, headers = 404, None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    return problem(status, headers=headers)


async def _defect(_request: Request, error: Exception) -> Response:
    # Not its text, which may quote what was sent.
    logger.error("failure service=admin kind=%s %s", type(error).__name__, place(error))
    return problem(500)
