"""What `self_service` has done about second factors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postmaster.directory.control import Control
from postmaster.directory.desk import Answer
from postmaster.logs import event
from postmaster.query import text_of

logger = logging.getLogger(__name__)


async def _new_totp(control: Control, request: Mapping[str, Any]) -> Answer:
    person, issuer = control.person(request), control.roster.current.hostname
    key, uri = control.factors.new_totp(person, issuer, text_of(request, "key"))
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
    await control.run(lambda: control.factors.remove(person, secret))
    event(logger, "second-factor-removed", person=person.address)
    return {}


async def _drop(control: Control, request: Mapping[str, Any]) -> Answer:
    person, secret = control.person(request), text_of(request, "secret")
    await control.run(lambda: control.factors.drop(person, secret))
    event(logger, "second-factor-removed", person=person.address, by="recovery-code")
    return {}


_Operation = Callable[[Control, Mapping[str, Any]], Awaitable[Answer]]

# Who asks has shown the password before, and is trusted with that.
FREE: Mapping[str, _Operation] = {"totp-new": _new_totp}  # key
# Each is a proof itself: by a password or recovery code, or by something short.
PROVEN: Mapping[str, _Operation] = {
    "totp-add": _add_totp,  # secret, key, code
    "factors-remove": _remove,  # secret
    "factors-drop": _drop,  # secret: the recovery code
}
SHORT: Mapping[str, _Operation] = {"totp-check": _check_totp}  # code
