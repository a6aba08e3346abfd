"""Codes of an authenticator app: TOTP (RFC 6238), as every such app can do it.

HMAC-SHA-1, six digits, 30 s: several apps ignore whatever else one asks them for, and what is known
against SHA-1 does not touch HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

KEY_BYTES = 20  # as RFC 4226, 4 (R6) recommends
DIGITS = 6
STEP_SECONDS = 30
DRIFT = 1  # steps that a clock may be off, either way (RFC 6238, 5.2 and 6)


def new_key() -> bytes:
    """Return a random key."""
    return secrets.token_bytes(KEY_BYTES)


def written(key: bytes) -> str:
    """Return a key as people type it into an app: base32 (RFC 4648, 6)."""
    return base64.b32encode(key).decode()


def read_key(text: str) -> bytes | None:
    """Return the key that `written` wrote, None when it is none."""
    try:
        key = base64.b32decode(text)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def uri_of(key: bytes, person: str, issuer: str) -> str:
    """Return the `otpauth:` address that apps read from a QR code."""
    return _totp(key).get_provisioning_uri(person, issuer)


def code_at(key: bytes, step: int) -> str:
    """Return the code of a step, counted since 1970."""
    return _totp(key).generate(step * STEP_SECONDS).decode()


def step_of(key: bytes, typed: str, now: float, after: int) -> int | None:
    """Return the step whose code somebody typed, None when it is no code of this moment.

    `now` is in seconds since 1970. A code works once: only steps after `after`, that of the last
    one that was taken, are looked at.
    """
    code = "".join(typed.split()).encode()
    present = int(now) // STEP_SECONDS
    for step in range(max(present - DRIFT, after + 1), present + DRIFT + 1):
        if hmac.compare_digest(code_at(key, step).encode(), code):
            return step
    return None


def _totp(key: bytes) -> TOTP:
    return TOTP(key, DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - see above
