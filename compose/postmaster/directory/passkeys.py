"""Passkeys as second factors: WebAuthn (W3C, Level 2), by Yubico's fido2.

Asked for is a key that is there and was touched; not a PIN or a finger, since the password was
shown before, and not who made it. `second_factors` imports this only when it is needed: fido2 takes
11 MiB.

A question is the JSON that a browser gets, and the state that has to be there when the answer
comes: for that one answer only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    CredentialCreationOptions,
    CredentialRequestOptions,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from postmaster.crypto import person_id

logging.getLogger("fido2").setLevel(logging.WARNING)

Question = tuple[str, str]  # the JSON for the browser, and the state


class AnswerError(Exception):
    """A browser's answer is none to the question."""


def ask_new(host: str, address: str, known: Sequence[bytes]) -> Question:
    """Return the question for a passkey that is none of the credentials that are `known`."""
    user = PublicKeyCredentialUserEntity(
        name=address, id=bytes.fromhex(person_id(address)), display_name=address
    )
    options, state = _server(host).register_begin(
        user,
        [AttestedCredentialData(credential) for credential in known],
        # No room on a hardware key is needed for one that is found by the address.
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    return _json(options), json.dumps(state)


def read_new(host: str, state: str, answer: str) -> tuple[bytes, bytes, int]:
    """Return id, credential (with the public key) and counter of a new one. Raises AnswerError."""
    try:
        found = _server(host).register_complete(json.loads(state), json.loads(answer))
    except Exception:  # JSON, CBOR and keys from anywhere have no common error
        raise AnswerError from None
    if found.credential_data is None:
        raise AnswerError
    return found.credential_data.credential_id, bytes(found.credential_data), found.counter


def ask_known(host: str, known: Sequence[bytes]) -> Question:
    """Return the question for one of the credentials that are `known`."""
    options, state = _server(host).authenticate_begin(
        [AttestedCredentialData(credential) for credential in known],
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    return _json(options), json.dumps(state)


def read_known(host: str, known: Sequence[bytes], state: str, answer: str) -> tuple[bytes, int]:
    """Return which one has answered, and its counter. Raises AnswerError."""
    credentials = [AttestedCredentialData(credential) for credential in known]
    try:
        response = AuthenticationResponse.from_dict(json.loads(answer))
        found = _server(host).authenticate_complete(json.loads(state), credentials, response)
    except Exception:  # as above
        raise AnswerError from None
    return found.credential_id, response.response.authenticator_data.counter


def _server(host: str) -> Fido2Server:
    return Fido2Server(
        PublicKeyCredentialRpEntity(name=host, id=host),
        # Not the hosts below it, which the standard would let in, too.
        verify_origin=lambda origin: _is_of(origin, host),
    )


def _is_of(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == "https" and parts.hostname == host


def _json(options: CredentialCreationOptions | CredentialRequestOptions) -> str:
    return json.dumps(dict(options)["publicKey"], default=dict)
