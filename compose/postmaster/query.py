"""How other services ask `directory`: one JSON object a line each way, both ends in one place.

| `op` | Request | Answer |
|---|---|---|
| `authenticate` | `login`, `password`, `address`, `service` | `verdict`, `person`, `unlock` |
| `resolve` | `address` | `person`, or null |
| `quota` | `person` | `quota`: bytes, or null |
| `recipient` | `person` | `vault`, `public_key` |
| `adopt` | `id`, `key` | `adopted` |
| `moved` | `person`, `vault` | `destroyed` |
| `redeem` | `pass` | `purpose`, `person`, `unlock`; or nulls |

Or `{"error": text}`. Whoever shows the mail store's token (`token`) gets keys with a verdict; only
with it are the last four answered. Bytes are base64. A connection may carry several requests, one
after the other.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from postmaster.asking import Asker, answering_lines
from postmaster.crypto import DataKey, PersonId, same_token
from postmaster.crypto.sealing import PublicKey, SealError
from postmaster.errors import DirectoryUnavailableError, PostmasterError
from postmaster.serving import Handler

LINE_LIMIT = 16 * 1024
ANSWER_SECONDS = 90.0  # a login may have to wait for its turn


class VerdictKind(Enum):
    """What became of a login."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    LIMITED = "limited"
    TEMPORARY = "temporary"


@dataclass(frozen=True)
class Unlock:
    """What a login opens: the person's vault, and former ones whose mail is to be moved in."""

    vault: str  # 32 hexadecimal digits
    key: DataKey = field(repr=False)
    former: tuple[tuple[str, DataKey], ...] = field(default=(), repr=False)

    def wipe(self) -> None:
        """Wipe the keys."""
        for key in (self.key, *(key for _, key in self.former)):
            key.wipe()


@dataclass(frozen=True)
class Verdict:
    """The answer to a login; `person` is the main address, set when accepted."""

    kind: VerdictKind
    person: str | None = None
    unlock: Unlock | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RecipientVault:
    """Where a person's new mail goes, and what it is sealed with."""

    vault: str  # 32 hexadecimal digits
    public_key: PublicKey


@dataclass(frozen=True)
class Pass:
    """What a person wants with the own vault, and what opens it (`directory.passes`)."""

    purpose: str
    person: str  # main address
    unlock: Unlock = field(repr=False)


class Adoption(Enum):
    """What the directory says to a key that lies in a file."""

    KEEP = "keep"
    DESTROY = "destroy"  # the key is safe under the person's password
    UNKNOWN = "unknown"  # it is nobody's, or another than the directory's


class DirectoryQueries(Protocol):
    """What other services may ask the directory. Raises DirectoryUnavailableError."""

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """Judge a login from the client's IP address to a service such as `imap`."""

    async def resolve(self, address: str) -> str | None:
        """Return the main address of the person who gets mail for `address`."""


class QuotaQueries(Protocol):
    """What the mail store asks besides. Raises DirectoryUnavailableError."""

    async def quota(self, person: str) -> int | None:
        """Return how many bytes the person with this main address may keep, None for all."""


class KeyQueries(Protocol):
    """What the mail store may ask besides. Raises DirectoryUnavailableError."""

    async def recipient(self, person: str) -> RecipientVault:
        """Return the vault for new mail of the person with this main address."""

    async def adopt(self, person: PersonId, key: DataKey) -> Adoption:
        """Hand the key over that lies in a file."""

    async def moved(self, person: str, vault: str) -> None:
        """Tell that a former vault is empty: its keys are destroyed."""


class PassQueries(Protocol):
    """What the mail store asks for the web pages. Raises DirectoryUnavailableError."""

    async def redeem(self, text: str) -> Pass | None:
        """Return what a pass is for, None for one that is not good, or not any more."""


class DirectoryAnswers(KeyQueries, QuotaQueries, PassQueries, Protocol):
    """All that the directory answers, on its side."""

    async def authenticate(
        self, login: str, password: str, address: str, service: str, *, keys: bool = False
    ) -> Verdict:
        """See `DirectoryQueries.authenticate`; `keys`: with what the login opens."""

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""


class DirectoryClient:
    """`DirectoryQueries` and `KeyQueries` over the network. Close it in its event loop."""

    def __init__(self, host: str, port: int, token: str = "") -> None:
        """`token`: the mail store's; without it there are no keys."""
        self._where = f"{host}:{port}"
        self._asker = Asker(host, port, LINE_LIMIT)
        self._token = token

    def close(self) -> None:
        """Close the connections that are kept for the next question."""
        self._asker.close()

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """See `DirectoryQueries.authenticate`."""
        answer = await self._ask(
            op="authenticate", login=login, password=password, address=address, service=service
        )
        try:
            kind = VerdictKind(answer["verdict"])
            person = answer.get("person")
            if kind is VerdictKind.ACCEPTED and not isinstance(person, str):
                raise ValueError("accepted, but nobody")
            return Verdict(kind, person, _read_unlock(answer.get("unlock")))
        except (KeyError, TypeError, ValueError) as error:
            raise DirectoryUnavailableError("the directory gave no verdict") from error

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        answer = await self._ask(op="resolve", address=address)
        person = answer.get("person")
        if person is not None and not isinstance(person, str):
            raise DirectoryUnavailableError("the directory named no person")
        return person

    async def quota(self, person: str) -> int | None:
        """See `QuotaQueries.quota`."""
        quota = (await self._ask(op="quota", person=person)).get("quota")
        if quota is not None and (not isinstance(quota, int) or quota < 0):
            raise DirectoryUnavailableError("the directory named no quota")
        return quota

    async def recipient(self, person: str) -> RecipientVault:
        """See `KeyQueries.recipient`."""
        answer = await self._ask(op="recipient", person=person)
        try:
            public_key = PublicKey.decode(_bytes(answer, "public_key"))
            return RecipientVault(_vault(answer["vault"]), public_key)
        except (KeyError, TypeError, ValueError, SealError) as error:
            raise DirectoryUnavailableError("the directory named no vault") from error

    async def adopt(self, person: PersonId, key: DataKey) -> Adoption:
        """See `KeyQueries.adopt`."""
        answer = await self._ask(op="adopt", id=person, key=_base64(key.secret))
        try:
            return Adoption(answer.get("adopted"))
        except ValueError as error:
            raise DirectoryUnavailableError("the directory took no key") from error

    async def moved(self, person: str, vault: str) -> None:
        """See `KeyQueries.moved`."""
        await self._ask(op="moved", person=person, vault=vault)

    async def redeem(self, text: str) -> Pass | None:
        """See `PassQueries.redeem`."""
        answer = await self._ask(**{"op": "redeem", "pass": text})
        try:
            unlock = _read_unlock(answer["unlock"])
            if unlock is None:
                return None
            return Pass(text_of(answer, "purpose"), text_of(answer, "person"), unlock)
        except (KeyError, TypeError, ValueError) as error:
            raise DirectoryUnavailableError("the directory did not say what a pass is") from error

    async def _ask(self, **request: str) -> dict[str, Any]:
        if self._token:
            request["token"] = self._token
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self._asker.ask(json.dumps(request).encode() + b"\n")
            answer = json.loads(line)
        except (OSError, TimeoutError, ValueError) as error:
            kind = type(error).__name__
            raise DirectoryUnavailableError(
                f"no answer from the directory {self._where}: {kind}"
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            raise DirectoryUnavailableError("the directory could not answer")
        return answer


def query_handler(answers: DirectoryAnswers, token: str) -> Handler:
    """Return the server side: a connection handler. `token` is the mail store's."""
    return answering_lines(lambda line: _answer(answers, token, line))


async def _answer(answers: DirectoryAnswers, token: str, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        operation = _OPERATIONS.get(request["op"])
        trusted = same_token(token, text_of(request, "token")) if "token" in request else False
        if operation is not None and (trusted or operation in _FOR_EVERYBODY):
            return await operation(answers, request, trusted)
    except PostmasterError:
        return {"error": "not possible now"}
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # the text of the error may hold a password
    return {"error": "bad request"}


async def _authenticate(answers: DirectoryAnswers, request: Any, trusted: bool) -> dict[str, Any]:
    fields = (text_of(request, key) for key in ("login", "password", "address", "service"))
    verdict = await answers.authenticate(*fields, keys=trusted)
    answer: dict[str, Any] = {"verdict": verdict.kind.value, "person": verdict.person}
    if trusted and verdict.unlock is not None:
        answer["unlock"] = _handed_out(verdict.unlock)
    return answer


def _handed_out(unlock: Unlock) -> dict[str, Any]:
    """What a login opens, as it is sent; here the keys are wiped."""
    found = {
        "vault": unlock.vault,
        "key": _base64(unlock.key.secret),
        "former": {vault: _base64(key.secret) for vault, key in unlock.former},
    }
    unlock.wipe()
    return found


async def _resolve(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    return {"person": await answers.resolve(text_of(request, "address"))}


async def _quota(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    return {"quota": await answers.quota(text_of(request, "person"))}


async def _recipient(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    recipient = await answers.recipient(text_of(request, "person"))
    return {"vault": recipient.vault, "public_key": _base64(recipient.public_key.encode())}


async def _adopt(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    key = DataKey(_bytes(request, "key"))
    adoption = await answers.adopt(PersonId(_vault(request["id"])), key)
    return {"adopted": adoption.value}


async def _moved(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    await answers.moved(text_of(request, "person"), _vault(request["vault"]))
    return {}


async def _redeem(answers: DirectoryAnswers, request: Any, _trusted: bool) -> dict[str, Any]:
    found = await answers.redeem(text_of(request, "pass"))
    if found is None:
        return {"purpose": None, "person": None, "unlock": None}
    unlock = _handed_out(found.unlock)
    return {"purpose": found.purpose, "person": found.person, "unlock": unlock}


_Operation = Callable[[DirectoryAnswers, Any, bool], Awaitable[dict[str, Any]]]
_OPERATIONS: Mapping[str, _Operation] = {
    "authenticate": _authenticate,
    "resolve": _resolve,
    "quota": _quota,
    "recipient": _recipient,
    "adopt": _adopt,
    "moved": _moved,
    "redeem": _redeem,
}
_FOR_EVERYBODY = frozenset({_authenticate, _resolve, _quota})


def _read_unlock(value: Any) -> Unlock | None:
    if value is None:
        return None
    former = tuple(
        (_vault(vault), DataKey(_bytes(value["former"], vault))) for vault in value["former"]
    )
    return Unlock(_vault(value["vault"]), DataKey(_bytes(value, "key")), former)


def text_of(request: Any, key: str) -> str:
    """The text at a key of a question. Raises KeyError, TypeError, or ValueError."""
    value = request[key]
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # UnicodeEncodeError, a ValueError, for lone surrogates
    return value


def _vault(value: Any) -> str:
    """Return an id that becomes the name of a file."""
    if not isinstance(value, str) or len(value) != 32 or set(value) - set("0123456789abcdef"):
        raise ValueError
    return value


def _bytes(request: Any, key: str) -> bytes:
    try:
        return base64.b64decode(text_of(request, key), validate=True)
    except binascii.Error:
        raise ValueError from None


def _base64(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()
