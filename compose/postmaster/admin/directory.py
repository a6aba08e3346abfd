"""The side of `admin` of `directory.self_service`: a connection a question, light to import."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

LINE_LIMIT = 64 * 1024
ANSWER_SECONDS = 95.0  # a login may have to wait for its turn


class Problem(Enum):
    """Why the directory did not do it."""

    WRONG = "wrong"  # name, password or code
    LIMITED = "limited"  # too many failures; nothing was tried
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    NOBODY = "nobody"  # the person has left


class ProblemError(Exception):
    """The directory did not do it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class PersonState:
    """What there is to know of a person; `quota` is in bytes, None for as much as the disk has."""

    address: str
    aliases: tuple[str, ...]
    forward_to: tuple[str, ...]
    quota: int | None
    recovery_code: bool
    app_passwords: int
    sealed: int  # vaults that a reset has left closed
    stamp: str
    second_factor: tuple[str, ...]  # the kinds: `totp`, `passkey`


@dataclass(frozen=True)
class AppPassword:
    """One that was made before; times are seconds since 1970."""

    id: str
    label: str
    scopes: tuple[str, ...]
    created: int
    last_use: int | None


@dataclass(frozen=True)
class NewAppPassword:
    """One that was just made."""

    id: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class NewTotp:
    """A key for an authenticator app: as one types it, and as the address in a QR code."""

    key: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True)
class Passkey:
    """One that was made before; times are seconds since 1970."""

    id: str
    label: str
    created: int
    last_use: int | None


@dataclass(frozen=True)
class Question:
    """What a browser is asked to do with a passkey (JSON), and the state for its answer."""

    question: str
    state: str = field(repr=False)


@dataclass(frozen=True)
class PersonDirectory:
    """Asks the directory. Every method raises ProblemError; `client` is an IP address."""

    host: str
    port: int
    token: str = field(repr=False)

    async def log_in(self, login: str, password: str, client: str) -> str:
        """Return the main address of whom this is the password of.

        Whoever has a second factor (`describe`) is not logged in by that alone.
        """
        answer = await self._ask(op="log-in", login=login, password=password, address=client)
        return str(answer["person"])

    async def describe(self, person: str) -> PersonState:
        """Return what there is to know of somebody."""
        found = await self._ask(op="describe", person=person, address="")
        try:
            return PersonState(
                address=found["person"],
                aliases=tuple(found["aliases"]),
                forward_to=tuple(found["forward_to"]),
                quota=found["quota"],
                recovery_code=found["recovery_code"],
                app_passwords=found["app_passwords"],
                sealed=found["sealed"],
                stamp=found["stamp"],
                second_factor=tuple(found["second_factor"]),
            )
        except (KeyError, TypeError):
            raise ProblemError(Problem.UNAVAILABLE) from None

    async def change_password(self, person: str, secret: str, new: str, client: str) -> None:
        """Set a new password; `secret` is the present one, or the recovery code."""
        await self._ask(op="password", person=person, secret=secret, new=new, address=client)

    async def set_forgotten(self, login: str, code: str, new: str, client: str) -> None:
        """Set a new password by the recovery code; the present password will not do."""
        await self._ask(
            op="password", person=login, secret=code, new=new, code_only=True, address=client
        )

    async def new_recovery_code(self, person: str, secret: str, client: str) -> str:
        """Return a recovery code; the one before opens nothing any more."""
        answer = await self._ask(op="recovery-code", person=person, secret=secret, address=client)
        return str(answer["code"])

    async def add_app(
        self, person: str, secret: str, label: str, scopes: Sequence[str], client: str
    ) -> NewAppPassword:
        """Make an app password."""
        found = await self._ask(
            op="app-add",
            person=person,
            secret=secret,
            label=label,
            scopes=list(scopes),
            address=client,
        )
        return NewAppPassword(str(found["id"]), str(found["password"]))

    async def apps(self, person: str) -> tuple[AppPassword, ...]:
        """Return the app passwords of somebody."""
        found = await self._ask(op="app-list", person=person, address="")
        try:
            return tuple(
                AppPassword(
                    app["id"],
                    app["label"],
                    tuple(app["scopes"]),
                    app["created"],
                    app["last_use"],
                )
                for app in found["app_passwords"]
            )
        except (KeyError, TypeError):
            raise ProblemError(Problem.UNAVAILABLE) from None

    async def revoke_app(self, person: str, app: str) -> None:
        """Take an app password away."""
        await self._ask(op="app-revoke", person=person, id=app, address="")

    async def unlock_old(self, person: str, secret: str, client: str) -> None:
        """Have mail that a reset left sealed moved in, by the recovery code or password of then."""
        await self._ask(op="unlock-old", person=person, secret=secret, address=client)

    async def new_totp(self, person: str, key: str = "") -> NewTotp:
        """Return a key for an authenticator app, which counts once `add_totp` has been given it.

        It is a new one, unless `key` is one from here already.
        """
        found = await self._ask(op="totp-new", person=person, key=key, address="")
        return NewTotp(str(found["key"]), str(found["uri"]))

    async def add_totp(self, person: str, secret: str, key: str, code: str, client: str) -> None:
        """Set up an authenticator app. Problem.REFUSED: the code is not of this key."""
        await self._ask(
            op="totp-add", person=person, secret=secret, key=key, code=code, address=client
        )

    async def check_totp(self, person: str, code: str, client: str) -> None:
        """Take a code of the authenticator app, which works once."""
        await self._ask(op="totp-check", person=person, code=code, address=client)

    async def passkeys(self, person: str) -> tuple[Passkey, ...]:
        """Return the passkeys of somebody."""
        found = await self._ask(op="passkey-list", person=person, address="")
        try:
            return tuple(
                Passkey(key["id"], key["label"], key["created"], key["last_use"])
                for key in found["passkeys"]
            )
        except (KeyError, TypeError):
            raise ProblemError(Problem.UNAVAILABLE) from None

    async def ask_new_passkey(self, person: str) -> Question:
        """Return a question for a browser that shall make a passkey."""
        found = await self._ask(op="passkey-new", person=person, address="")
        return Question(str(found["question"]), str(found["state"]))

    async def add_passkey(
        self, person: str, secret: str, *, label: str, state: str, answer: str, client: str
    ) -> None:
        """Take a new passkey. Problem.REFUSED: the answer is none to the question."""
        await self._ask(
            op="passkey-add",
            person=person,
            secret=secret,
            label=label,
            state=state,
            answer=answer,
            address=client,
        )

    async def ask_passkey(self, person: str) -> Question:
        """Return a question for a browser that shall show a passkey."""
        found = await self._ask(op="passkey-ask", person=person, address="")
        return Question(str(found["question"]), str(found["state"]))

    async def check_passkey(self, person: str, state: str, answer: str, client: str) -> None:
        """Take the answer of a passkey."""
        await self._ask(
            op="passkey-check", person=person, state=state, answer=answer, address=client
        )

    async def remove_factor(self, person: str, secret: str, name: str, client: str) -> None:
        """Remove a second factor of somebody who is logged in, by the password.

        `name` is `totp`, or the id of a passkey.
        """
        await self._ask(op="factor-remove", person=person, secret=secret, id=name, address=client)

    async def drop_factors(self, person: str, code: str, client: str) -> None:
        """Remove all second factors of somebody who is not, by the recovery code."""
        await self._ask(op="factors-drop", person=person, secret=code, address=client)

    async def _ask(self, **request: Any) -> dict[str, Any]:
        line = json.dumps({**request, "token": self.token}).encode() + b"\n"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = json.loads(await self._exchange(line))
            if answer["ok"]:
                return dict(answer)
            problem = Problem(answer["problem"])
        except (OSError, ValueError, KeyError, TypeError):
            problem = Problem.UNAVAILABLE  # it is away, or not of this release
        raise ProblemError(problem)

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=LINE_LIMIT)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readline()
        finally:
            writer.close()
