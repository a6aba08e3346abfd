"""Releases as `tools/forge publish` makes them, small and signed with real keys."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from firstboot.base.manifest import CONTEXT, ROLES, ReleaseKey, Role, version_key
from firstboot.base.run import run

UUID = "01234567-89ab-cdef-0123-456789abcdef"
Parts = dict[Role, bytes]


@functools.cache
def signers(name: str) -> tuple[Ed25519PrivateKey, MLDSA65PrivateKey]:
    return Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate()


def release_key(name: str) -> ReleaseKey:
    texts = [
        signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for signer in signers(name)
    ]
    return ReleaseKey(id=name, ed25519=texts[0], ml_dsa_65=texts[1])


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    """What openssl does on the appliance."""
    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, Ed25519PublicKey | MLDSA65PublicKey)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@functools.cache
def contents(version: str) -> Parts:
    """Parts that share most of their bytes with those of other versions."""
    shared = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(8192))
    return {role: shared[:100_000] + f"{role} {version}".encode() + shared for role in ROLES}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Publisher:
    """A published directory; `extra` are keys of the manifest that differ from the usual."""

    folder: Path
    key: str = "ours"
    extra: dict[str, Any] = field(default_factory=dict)

    def publish(self, version: str, *, delta_from: Parts | None = None, **extra: Any) -> None:
        """Publish `version`, with deltas from a version 1.0.0 that had these parts."""
        folder = self.folder / version
        folder.mkdir(parents=True)
        parts = []
        for role, data in contents(version).items():
            part: dict[str, Any] = {
                "role": role,
                "bytes": len(data),
                "sha256": sha256(data),
                "uuid": None if role == "uki" else UUID,
                "full": self._transfer(version, f"{role}.zst", _zstd(data)),
                "deltas": [],
            }
            if delta_from is not None:
                delta = _zstd(_rdiff(delta_from[role], data))
                transfer = self._transfer(version, f"{role}.delta.zst", delta)
                base = {"base": "1.0.0", "base_sha256": sha256(delta_from[role])}
                part["deltas"] = [transfer | base]
            parts.append(part)
        manifest = {
            "format": 1,
            "version": version,
            "base": "ubuntu",
            "channel": "stable",
            "built": "2026-11-24T06:00:00+00:00",
            "not_before": "2026-11-24T06:00:00+00:00",
            "minimum_version": "0.0.1",
            "state_format": 1,
            "notes": f"What is new in {version}.",
            "parts": parts,
        } | extra
        envelope = self.envelope(json.dumps(manifest))
        (folder / "release.json").write_bytes(envelope)
        newest = max((path.parent.name for path in self.folder.glob("*/release.json")),
                     key=version_key)  # fmt: skip
        if newest == version:
            for channel in ("stable", "candidate"):
                (self.folder / f"{channel}.json").write_bytes(envelope)

    def envelope(self, text: str) -> bytes:
        message = CONTEXT + text.encode()
        signatures = [base64.b64encode(key.sign(message)).decode() for key in signers(self.key)]
        signature = {"key": self.key, "ed25519": signatures[0], "ml_dsa_65": signatures[1]}
        return json.dumps({"format": 1, "manifest": text, "signatures": [signature]}).encode()

    def bundle(self, version: str, path: Path) -> Path:
        """The bundle of a version: its envelope and its whole parts."""
        with tarfile.open(path, "w") as archive:
            names = ["release.json", *(f"{role}.zst" for role in ROLES)]
            for name in names:
                archive.add(self.folder / version / name, f"{version}/{name}")
        return path

    def _transfer(self, version: str, name: str, data: bytes) -> dict[str, Any]:
        (self.folder / version / name).write_bytes(data)
        return {"path": f"{version}/{name}", "bytes": len(data), "sha256": sha256(data)}


@functools.cache
def _zstd(data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain"), Path(folder, "packed")
        plain.write_bytes(data)
        run(["zstd", "--quiet", plain, "-o", packed])
        return packed.read_bytes()


@functools.cache
def _rdiff(old: bytes, new: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        names = ("old", "new", "signature", "delta")
        base, target, signature, delta = (Path(folder, name) for name in names)
        base.write_bytes(old)
        target.write_bytes(new)
        run(["rdiff", "--block-size=1024", "signature", base, signature])
        run(["rdiff", "delta", signature, target, delta])
        return delta.read_bytes()
