"""What a key set is, for people and as JSON: nothing in it is private."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from firstboot.base.manifest import ReleaseKey
from tools.keys.certificates import SUBJECTS
from tools.keys.folder import KeyFolder, file_errors
from tools.keys.passphrase import Stretching
from tools.keys.pem import load_certificate
from tools.keys.release import load_public_key, public_der
from tools.keys.token import TokenKey, TokenLock


def describe(found: KeyFolder) -> dict[str, Any]:
    """The JSON of `keys show`. Fingerprints are SHA-256 in hexadecimal, times RFC 3339."""
    record = found.record
    with file_errors(found.path):
        certificates = {
            name: _certificate(load_certificate(found.path / f"{name}.crt")) for name in SUBJECTS
        }
    return {
        "folder": str(found.path),
        "kind": record.kind,
        "created": record.created,
        "passphrase": isinstance(record.stretching, Stretching),
        "token": _token(record.stretching),
        "certificates": certificates,
        "release_key": record.signing[0],
        "rotating_from": record.signing[1] if record.rotating else None,
        "trusted": [_release_key(key) for key in record.trusted],
    }


def format_description(shown: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"folder       {shown['folder']}",
        f"kind         {shown['kind']}",
        f"created      {shown['created']}",
        _opened_by(shown),
    ]
    for name, found in shown["certificates"].items():
        lines += [
            "",
            f"{name}",
            f"  subject    {found['subject']}",
            f"  SHA-256    {found['sha256']}",
            f"  valid to   {found['not_after']}",
        ]
    for key in shown["trusted"]:
        lines += [
            "",
            f"trusted release key {key['id']}{_role(key['id'], shown)}",
            f"  Ed25519    {key['ed25519_sha256']}",
            f"  ML-DSA-65  {key['ml_dsa_65_sha256']}",
        ]
    if shown["rotating_from"]:
        lines += ["", f"Under way: the rotation from {shown['rotating_from']}. Both keys sign."]
    return "\n".join(lines)


def _opened_by(shown: dict[str, Any]) -> str:
    if token := shown["token"]:
        return f"token        {token['token']}, key {token['object']} (by {token['module']})"
    word = "yes" if shown["passphrase"] else "NONE: whoever has the files can sign"
    return f"passphrase   {word}"


def _token(stretching: Stretching | TokenLock | None) -> dict[str, str] | None:
    if not isinstance(stretching, TokenLock):
        return None
    return stretching.model_dump(include=set(TokenKey.model_fields))


def _role(key: str, shown: dict[str, Any]) -> str:
    return {shown["release_key"]: " (own)", shown["rotating_from"]: " (former)"}.get(key, "")


def _certificate(certificate: x509.Certificate) -> dict[str, str]:
    return {
        "subject": certificate.subject.rfc4514_string(),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_before": certificate.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _release_key(key: ReleaseKey) -> dict[str, str]:
    return {
        "id": key.id,
        "ed25519_sha256": _fingerprint(key.ed25519),
        "ml_dsa_65_sha256": _fingerprint(key.ml_dsa_65),
    }


def _fingerprint(pem: str) -> str:
    return hashlib.sha256(public_der(load_public_key(pem))).hexdigest()
