"""A passkey in memory: what an authenticator and a browser do between them (WebAuthn, Level 2)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

FLAG = AuthenticatorData.FLAG
TYPE = CollectedClientData.TYPE


@dataclass
class Authenticator:
    """One passkey at one origin. Answers are JSON, as passkeys.js sends them."""

    origin: str = "https://mail.example.com"
    host: str = "mail.example.com"
    counter: int = 0
    flags: FLAG = FLAG.UP
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, question: dict[str, Any]) -> str:
        """Answer as a new passkey."""
        credential = AttestedCredentialData.create(
            Aaguid.NONE,
            self.id,
            ES256.from_cryptography_key(self.key.public_key()),  # type: ignore[no-untyped-call]
        )
        data = AuthenticatorData.create(
            sha256(self.host.encode()), self.flags | FLAG.AT, self.counter, credential
        )
        made = AttestationObject.create("none", data, {})
        return self._answer(TYPE.CREATE, question, attestationObject=websafe_encode(made))

    def show(self, question: dict[str, Any]) -> str:
        """Answer as one that is known."""
        data = AuthenticatorData.create(sha256(self.host.encode()), self.flags, self.counter)
        client = self._client(TYPE.GET, question)
        signature = self.key.sign(data + client.hash, ec.ECDSA(SHA256()))
        return self._answer(
            TYPE.GET,
            question,
            authenticatorData=websafe_encode(data),
            signature=websafe_encode(signature),
        )

    def _client(self, kind: TYPE, question: dict[str, Any]) -> CollectedClientData:
        return CollectedClientData.create(kind, question["challenge"], self.origin)

    def _answer(self, kind: TYPE, question: dict[str, Any], **response: str) -> str:
        client = websafe_encode(self._client(kind, question))
        name = websafe_encode(self.id)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": {"clientDataJSON": client, **response},
            }
        )
