"""What `admin` asks about one person, over the network: a port and a token of its own.

One JSON object a line each way. Every request has `token`, `op`, and `address`, the client's IP
address, for the limits; each but `log-in` has `person`: whom the browser is
logged in as, or, with a recovery code, who somebody says to be.

| `op` | Request besides | Answer besides `ok` |
|---|---|---|
| `log-in` | `login`, `password` | `person` |
| `describe` | | `person`, `aliases`, `forward_to`, `quota` (bytes, null), `stamp`, and `list` |
| `password` | `secret`, `new`; `code_only`: the recovery code alone will do | |
| `recovery-code` | `secret` | `code` |
| `app-add` | `secret`, `label`, `scopes` | `id`, `password` |
| `app-list` | | `app_passwords` |
| `app-revoke` | `id` | |
| `unlock-old` | `secret` | `opened` |
| `totp-new` | `key`: "", or one that was made so | `key`, `uri`: for an authenticator app |
| `totp-add` | `secret`, `key`, `code` | |
| `totp-check` | `code` | |
| `passkey-list` | | `passkeys` |
| `passkey-new`, `passkey-ask` | | `question` for the browser, `state` for its answer |
| `passkey-add` | `secret`, `label`, `state`, `answer` | |
| `passkey-check` | `state`, `answer` | |
| `factor-remove` | `secret`, `id`: of a passkey, or `totp` | |
| `factors-drop` | `secret`: the recovery code | |

Or `{"ok": false, "problem"}`: `wrong`, `limited`, `unavailable`, `refused`, or `nobody`. `stamp`
changes with the password, and is "" before the first login has locked the mail. `second_factor` of
`describe` has the kinds that a person has to show one of before being logged in: `log-in` is about
the password alone. No answer has a vault's key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from postmaster.asking import answering_lines
from postmaster.crypto import same_token
from postmaster.crypto.wraps import WrapKind
from postmaster.directory import factor_operations
from postmaster.directory.control import OPERATIONS, Control, state_of
from postmaster.directory.database import PersonEntry
from postmaster.directory.desk import Answer
from postmaster.errors import AccountError, StorageUnavailableError
from postmaster.query import VerdictKind, text_of
from postmaster.serving import Handler

LINE_LIMIT = 16 * 1024
SERVICE = "web"  # no scope of an app password: only the person's own password logs in
STAMP_DIGITS = 16

# What a person may have done: what a secret proves, and what needs none.
_PROVEN = {
    **{name: OPERATIONS[name] for name in ("password", "recovery-code", "app-add", "unlock-old")},
    **factor_operations.PROVEN,
    **factor_operations.SHORT,
}
_SECRETS = ("secret", "code", "answer")
_FREE = {
    **{name: OPERATIONS[name] for name in ("app-list", "app-revoke")},
    **factor_operations.FREE,
}

_PROBLEMS: Mapping[VerdictKind, str] = {
    VerdictKind.REJECTED: "wrong",
    VerdictKind.LIMITED: "limited",
    VerdictKind.TEMPORARY: "unavailable",
}


def self_service_handler(control: Control, token: str) -> Handler:
    """Return a connection handler that answers whoever shows the token of `admin`."""
    return answering_lines(lambda line: _answer(control, token, line))


async def _answer(control: Control, token: str, line: bytes) -> Answer:
    try:
        request = json.loads(line)
        if same_token(token, text_of(request, "token")):
            return await _do(control, request)
    except AccountError:
        return _problem("refused")
    except StorageUnavailableError:
        return _problem("unavailable")
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # the text of the error may hold a password
    return {"error": "bad request"}


async def _do(control: Control, request: Mapping[str, Any]) -> Answer:
    name, address = text_of(request, "op"), text_of(request, "address")
    if name == "log-in":
        return await _log_in(control, request, address)
    login = text_of(request, "person")
    person = control.authenticator.person(login)
    if name in _PROVEN:
        if person is None:
            # It takes as long as for somebody who exists.
            secret = text_of(request, next((key for key in _SECRETS if key in request), "secret"))
            await control.authenticator.authenticate(login, secret, address, SERVICE)
            return _problem("wrong")
        done = await control.authenticator.proven(
            person.address,
            address,
            lambda: _PROVEN[name](control, request),
            short=name in factor_operations.SHORT,
        )
        return _problem(_PROBLEMS[done]) if isinstance(done, VerdictKind) else _done(done)
    if person is None:
        return _problem("nobody")
    if name in _FREE:
        return _done(await _FREE[name](control, request))
    if name != "describe":
        raise ValueError
    entry = await control.run(lambda: control.keys.database.person(person.address))
    return _done(
        {
            "person": person.address,
            "aliases": list(person.aliases),
            "forward_to": list(person.forward_to),
            "quota": person.quota,
            "stamp": _stamp(entry),
            **state_of(entry),
        }
    )


async def _log_in(control: Control, request: Mapping[str, Any], address: str) -> Answer:
    login, password = text_of(request, "login"), text_of(request, "password")
    verdict = await control.authenticator.authenticate(login, password, address, SERVICE)
    if verdict.kind is not VerdictKind.ACCEPTED:
        return _problem(_PROBLEMS[verdict.kind])
    if verdict.person not in control.roster.current.people:
        return _problem("wrong")  # the canary has nothing to look after
    return _done({"person": verdict.person})


def _stamp(entry: PersonEntry | None) -> str:
    """Return what tells one password from the next, and nothing else of it."""
    wrap = None if entry is None else entry.vault.wraps.get(WrapKind.PASSWORD)
    return "" if wrap is None else hashlib.sha256(wrap).hexdigest()[:STAMP_DIGITS]


def _done(answer: Answer) -> Answer:
    return {"ok": True, **answer}


def _problem(problem: str) -> Answer:
    return {"ok": False, "problem": problem}
