"""The control socket of `directory`: what an operator asks about people, one JSON object a line.

A Unix socket in a file system of the container's own, so only who may run a program in the
container reaches it. Requests are `{"op": …, "person": …}` and what else the operation takes, see
`OPERATIONS`; answers `{"ok": true, …}`, or `{"ok": false, "error", "hint"}`. The other end
is `desk`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from postmaster.addresses import normalise
from postmaster.crypto.wraps import Scope, WrapKind
from postmaster.directory.changes import Changes
from postmaster.directory.database import PersonEntry
from postmaster.directory.desk import ANSWER_SECONDS, SCOPES, Answer
from postmaster.directory.keyring import Keyring
from postmaster.directory.logins import OWN, Authenticator
from postmaster.directory.passes import Passes, Purpose
from postmaster.directory.people import Person
from postmaster.directory.roster import Roster
from postmaster.directory.second_factors import SecondFactors
from postmaster.errors import AccountError, PostmasterError, StartError
from postmaster.logs import event
from postmaster.serving import drain

logger = logging.getLogger(__name__)
T = TypeVar("T")

LINE_LIMIT = 64 * 1024
SCOPE_NAMES: Mapping[str, Scope] = {name: Scope[name.upper()] for name in SCOPES}


@dataclass(frozen=True)
class Control:
    """What the operations work on."""

    roster: Roster
    authenticator: Authenticator
    keys: Keyring
    changes: Changes
    factors: SecondFactors
    passes: Passes

    def person(self, request: Mapping[str, Any]) -> Person:
        """Return whom a request is about. Raises AccountError."""
        address = _text(request, "person")
        person = self.authenticator.person(address)
        if person is None:
            raise AccountError(f"there is no {address!r}", "`person list` shows who there is")
        return person

    def left(self, request: Mapping[str, Any]) -> str:
        """Return the address of somebody who has no mailbox any more. Raises AccountError."""
        address = normalise(_text(request, "person"))
        if self.roster.current.has_mailbox(address):
            raise AccountError(
                f"{address} still has a mailbox here",
                "take the person out of the settings before",
            )
        return address

    async def run(self, work: Callable[[], T]) -> T:
        """Run what blocks."""
        return await self.authenticator.run(work)


async def _list(control: Control, _request: Mapping[str, Any]) -> Answer:
    people = []
    for person in control.roster.current.people.values():
        address = person.address
        entry = await control.run(partial(control.keys.database.person, address))
        people.append({"address": address, "aliases": list(person.aliases), **state_of(entry)})
    known = await control.run(control.keys.database.addresses)
    left = [address for address in known if not control.roster.current.has_mailbox(address)]
    return {"people": people, "left": left}


async def _password(control: Control, request: Mapping[str, Any]) -> Answer:
    person, new = control.person(request), _text(request, "new")
    secret = _text(request, "secret")
    code_only = request.get("code_only") is True
    await control.run(
        lambda: control.changes.change_password(person, secret, new, code_only=code_only)
    )
    event(logger, "password-changed", person=person.address)
    return {}


async def _reset(control: Control, request: Mapping[str, Any]) -> Answer:
    person, new = control.person(request), _text(request, "new")
    sealed = await control.run(lambda: control.changes.reset_password(person, new))
    event(logger, "password-reset", person=person.address, mail_sealed=sealed)
    return {"sealed": sealed}


async def _recovery_code(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), _text(request, "secret")
    code = await control.run(lambda: control.changes.new_recovery_code(person, secret))
    event(logger, "recovery-code-made", person=person.address)
    return {"code": code}


async def _app_add(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), _text(request, "secret")
    label, scopes = _text(request, "label"), _scopes(request)
    password = await control.run(lambda: control.changes.add_app(person, secret, label, scopes))
    event(logger, "app-password-added", person=person.address, scopes="+".join(_names(scopes)))
    return {"password": password, "id": password[:4]}


async def _app_list(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    entry = await control.run(lambda: control.keys.database.person(person.address))
    apps = () if entry is None else entry.apps
    return {
        "app_passwords": [
            {
                "id": app.id,
                "label": app.label,
                "scopes": _names(app.scopes),
                "created": app.created,
                "last_use": app.last_use,
            }
            for app in apps
        ]
    }


async def _app_revoke(control: Control, request: Mapping[str, Any]) -> Answer:
    person, app = control.person(request), _text(request, "id")
    await control.run(lambda: control.changes.revoke_app(person, app))
    event(logger, "app-password-revoked", person=person.address, id=app)
    return {}


async def _unlock_old(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), _text(request, "secret")
    opened = await control.run(lambda: control.changes.unlock_former(person, secret))
    event(logger, "sealed-mail-unlocked", person=person.address, vaults=opened)
    return {"opened": opened}


async def _forget_factors(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    known = await control.run(lambda: control.factors.forget(person.address))
    if not known:
        raise AccountError(f"{person.address} has no second factor")
    event(logger, "second-factor-removed", person=person.address)
    return {}


async def _vaults(control: Control, request: Mapping[str, Any]) -> Answer:
    address = control.left(request)
    known, vaults = await control.run(lambda: control.changes.vaults(address))
    return {"known": known, "vaults": vaults}


async def _destroy(control: Control, request: Mapping[str, Any]) -> Answer:
    address = control.left(request)
    if await control.run(lambda: control.changes.destroy(address)):
        event(logger, "keys-destroyed", person=address)
    return {}


async def _prove(control: Control, request: Mapping[str, Any]) -> Answer:
    login, secret, client = (_text(request, key) for key in ("person", "secret", "address"))
    found = await control.authenticator.authenticate(login, secret, client, "machine")
    return {"verdict": found.kind.value, "person": found.person}


async def _open(control: Control, request: Mapping[str, Any]) -> Answer:
    login, secret, client = (_text(request, key) for key in ("person", "secret", "address"))
    purpose = Purpose(_text(request, "purpose"))
    found = await control.authenticator.authenticate(login, secret, client, OWN, keys=True)
    made = ""
    if found.person is not None and found.unlock is not None:
        made = control.passes.make(purpose, found.person, found.unlock)
    return {"verdict": found.kind.value, "person": found.person, "pass": made}


async def _reread(control: Control, _request: Mapping[str, Any]) -> Answer:
    now = control.roster.reread()
    event(logger, "directory", people=len(now.people), domains=len(now.domains))
    return {"people": len(now.people)}


OPERATIONS: Mapping[str, Callable[[Control, Mapping[str, Any]], Awaitable[Answer]]] = {
    "list": _list,
    "password": _password,  # secret, new, code_only
    "reset": _reset,  # new
    "recovery-code": _recovery_code,  # secret
    "app-add": _app_add,  # secret, label, scopes
    "app-list": _app_list,
    "app-revoke": _app_revoke,  # id
    "unlock-old": _unlock_old,  # secret
    "second-factor-remove": _forget_factors,
    "vaults": _vaults,
    "destroy": _destroy,
    "prove": _prove,  # secret, address: the client's, for the limits
    "open": _open,  # secret, address, purpose
    "reread": _reread,
}


async def answer(control: Control, line: bytes) -> Answer:
    """Answer one request; no error of ours has a secret in it."""
    try:
        request = json.loads(line)
        operation = OPERATIONS[request["op"]]
        return {"ok": True, **await operation(control, request)}
    except PostmasterError as error:
        return {"ok": False, "error": error.message, "hint": error.hint}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"ok": False, "error": "this is no request", "hint": ""}


@asynccontextmanager
async def controlled(control: Control, path: Path) -> AsyncIterator[None]:
    """Answer on a Unix socket while the context lasts. Raises StartError."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while (line := await reader.readline()).endswith(b"\n"):
                    writer.write(json.dumps(await answer(control, line)).encode() + b"\n")
                    await drain(writer)
        except (OSError, ValueError, TimeoutError):
            pass  # it went away, or never spoke our language
        finally:
            writer.close()

    try:
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(handle, path, limit=LINE_LIMIT)
        path.chmod(0o600)
    except OSError as error:
        raise StartError(f"cannot listen on {path}: {error}") from error
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def state_of(entry: PersonEntry | None) -> Answer:
    """Return how the mail of a person is locked, as `list` shows it."""
    if entry is None or WrapKind.PASSWORD not in entry.vault.wraps:
        return {
            "state": "never logged in",
            "recovery_code": False,
            "app_passwords": 0,
            "sealed": 0,
            "second_factor": [],
        }
    return {
        "state": "locked by password",
        "recovery_code": WrapKind.RECOVERY in entry.vault.wraps,
        "app_passwords": len(entry.apps),
        "sealed": sum(1 for former in entry.former if former.handed_over is None),
        "second_factor": list(entry.factors),
    }


def _scopes(request: Mapping[str, Any]) -> Scope:
    scopes = Scope(0)
    for name in request["scopes"]:
        if name not in SCOPE_NAMES:
            raise AccountError(f"there is no scope {name!r}", f"one of {', '.join(SCOPE_NAMES)}")
        scopes |= SCOPE_NAMES[name]
    return scopes


def _names(scopes: Scope) -> list[str]:
    return [name for name, scope in SCOPE_NAMES.items() if scope in scopes]


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request[key]
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # UnicodeEncodeError, a ValueError, for lone surrogates
    return value
