"""The protocol of the socket (docs/administration.md): one request a connection, lines of JSON.

Nothing here trusts the other end: a line has a longest length, a request exactly the keys that it
may have, and an answer to a wrong one never repeats a value, which may be a password.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstboot.base.errors import MailsteadError, SettingsError

VERSION = 1
MOST_BYTES = 64 * 1024  # of a request
Model = TypeVar("Model", bound=BaseModel)
Kind: TypeAlias = Literal["invalid", "missing", "refused", "busy", "failed", "denied", "forbidden"]
# What a token of the API may be for; each verb that programs may ask is of one.
Scope: TypeAlias = Literal["status", "read", "people", "domains", "queue"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class InvalidError(MailsteadError):
    """A request is not one of this protocol, or its arguments are not those of its verb."""


class DeniedError(MailsteadError):
    """Nobody is signed in by this token, or the password is wrong; `wait`: seconds to wait."""

    def __init__(self, message: str, hint: str = "", *, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


class ForbiddenError(MailsteadError):
    """A token of the API is not for this verb."""


class BusyError(MailsteadError):
    """Too much is being done at this moment; the same request may be right later."""


class Arguments(BaseModel):
    """The arguments of a verb: a subclass has a field for each; these are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Request(Arguments):
    """One request; `arguments` are judged by the verb.

    `from` is the address of a program that uses the API: then `token` is one of the API's.
    """

    version: Literal[1]
    verb: str = Field(max_length=64)
    token: str = Field("", max_length=128, repr=False)
    address: str = Field("", alias="from", max_length=64)
    arguments: dict[str, Any] = Field({}, repr=False)


@dataclass(frozen=True)
class Call:
    """Around one run of a verb: who asks, the token, and where to tell how far it is."""

    who: str
    token: str = field(repr=False)
    progress: Callable[[str], None] = field(repr=False)


Result: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Http:
    """How programs ask a verb by the API (docs/api.md), and the scope that it takes.

    `{NAME}` in `path` is an argument. The others are in the query, or for POST and PATCH in a body.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    scope: Scope


@dataclass(frozen=True)
class Verb:
    """What can be asked: its arguments, and what it does. `run` raises MailsteadError.

    Without `http` it is for who is signed in to the pages, and no token of the API does. An `open`
    verb needs nobody to be signed in. A `single` one runs once at a time.
    """

    arguments: type[Arguments]
    run: Callable[[Call, Any], Result]
    http: Http | None = None
    open: bool = False
    single: bool = False


def parse_request(line: bytes) -> Request:
    """The request of a line. Raises InvalidError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidError("this is no line of JSON") from None
    return validated(Request, found, "the request")


def validated(model: type[Model], found: Any, what: str) -> Model:
    """`found` as the model. Raises InvalidError, which names keys and no values."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'all of it'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidError(f"{what} is not as it must be: {'; '.join(problems[:5])}") from None


def encode(answer: Mapping[str, Any]) -> bytes:
    """An answer as its line."""
    return json.dumps(answer, ensure_ascii=False).encode(errors="replace") + b"\n"


@dataclass(frozen=True)
class Refusals:
    """The errors by which features say no: that something is not there, or another no."""

    missing: tuple[type[MailsteadError], ...] = ()
    refused: tuple[type[MailsteadError], ...] = ()


def refusal(error: MailsteadError, refusals: Refusals) -> dict[str, Any]:
    """The answer that an error is."""
    answer = {
        "ok": False,
        "kind": _kind(error, refusals),
        "error": error.message,
        "hint": error.hint,
    }
    return answer | ({"wait": error.wait} if isinstance(error, DeniedError) else {})


def _kind(error: MailsteadError, refusals: Refusals) -> Kind:
    if isinstance(error, DeniedError):
        return "denied"
    if isinstance(error, ForbiddenError):
        return "forbidden"
    if isinstance(error, BusyError):
        return "busy"
    if isinstance(error, InvalidError | SettingsError):
        return "invalid"
    if isinstance(error, refusals.missing):
        return "missing"
    return "refused" if isinstance(error, refusals.refused) else "failed"
