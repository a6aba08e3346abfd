"""What `self_service` has done about second factors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postmaster.directory.control import Control
from postmaster.directory.desk import Answer
from postmaster.directory.second_factors import TOTP
from postmaster.logs import event
from postmaster.query import text_of

logger = logging.getLogger(__name__)


async def _new_totp(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    key, uri = control.factors.new_totp(person, text_of(request, "key"))
    return {"key": key, "uri": uri}


async def _add_totp(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), text_of(request, "secret")
    key, code = text_of(request, "key"), text_of(request, "code")
    await control.run(lambda: control.factors.add_totp(person, secret, key, code))
    event(logger, "second-factor-added", person=person.address, kind="totp")
    return {}


async def _check_totp(control: Control, request: Mapping[str, Any]) -> Answer:
    person, code = control.person(request), text_of(request, "code")
    await control.run(lambda: control.factors.check_totp(person, code))
    event(logger, "second-factor-accepted", person=person.address, kind="totp")
    return {}


async def _remove(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), text_of(request, "secret")
    name = text_of(request, "id")
    await control.run(lambda: control.factors.remove(person, secret, name))
    event(logger, "second-factor-removed", person=person.address, kind=_kind(name))
    return {}


def _kind(name: str) -> str:
    return TOTP if name == TOTP else "passkey"


async def _passkeys(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    known = await control.run(lambda: control.factors.passkeys(person))
    return {
        "passkeys": [
            {
                "id": passkey.id.hex(),
                "label": passkey.label,
                "created": passkey.created,
                "last_use": passkey.last_use,
            }
            for passkey in known
        ]
    }


async def _new_passkey(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    question, state = await control.run(lambda: control.factors.ask_new_passkey(person))
    return {"question": question, "state": state}


async def _add_passkey(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), text_of(request, "secret")
    label, state, given = (text_of(request, key) for key in ("label", "state", "answer"))
    await control.run(lambda: control.factors.add_passkey(person, secret, label, state, given))
    event(logger, "second-factor-added", person=person.address, kind="passkey")
    return {}


async def _ask_passkey(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    question, state = await control.run(lambda: control.factors.ask_passkey(person))
    return {"question": question, "state": state}


async def _check_passkey(control: Control, request: Mapping[str, Any]) -> Answer:
    person = control.person(request)
    state, given = text_of(request, "state"), text_of(request, "answer")
    await control.run(lambda: control.factors.check_passkey(person, state, given))
    event(logger, "second-factor-accepted", person=person.address, kind="passkey")
    return {}


async def _drop(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), text_of(request, "secret")
    await control.run(lambda: control.factors.drop(person, secret))
    event(logger, "second-factor-removed", person=person.address, by="recovery-code")
    return {}


_Operation = Callable[[Control, Mapping[str, Any]], Awaitable[Answer]]

# Who asks has shown the password before, and is trusted with that.
FREE: Mapping[str, _Operation] = {
    "totp-new": _new_totp,  # key
    "passkey-list": _passkeys,
    "passkey-new": _new_passkey,
    "passkey-ask": _ask_passkey,
}
# Each is a proof itself: by a password or recovery code, or by something short.
PROVEN: Mapping[str, _Operation] = {
    "totp-add": _add_totp,  # secret, key, code
    "passkey-add": _add_passkey,  # secret, label, state, answer
    "passkey-check": _check_passkey,  # state, answer
    "factor-remove": _remove,  # secret, id
    "factors-drop": _drop,  # secret: the recovery code
}
SHORT: Mapping[str, _Operation] = {"totp-check": _check_totp}  # code
