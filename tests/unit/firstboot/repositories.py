"""Repositories of restic whose keys cost nothing; each run of restic derives one, as a rule slowly.

Such a repository is like one that `restic init` made, but for the parameters of scrypt, which stand
beside each key; restic itself takes any. Laid out as restic's manual has it ("Design", sections
"Repository Format" and "Keys, Encryption and MAC").
"""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

_N, _R, _P = 2, 8, 1
# Irreducible, of degree 53: where files are cut depends on it.
_POLYNOMIAL = "3da3358b4dc173"


def make_repository(folder: Path, passwords: Mapping[str, bytes]) -> bytes:
    """Make an empty repository that each of the passwords opens; their names are those of users.

    Returns its master key.
    """
    for name in ("data", "index", "keys", "locks", "snapshots"):
        (folder / name).mkdir(parents=True)
    master = secrets.token_bytes(64)
    config = {"version": 2, "id": secrets.token_hex(32), "chunker_polynomial": _POLYNOMIAL}
    (folder / "config").write_bytes(_seal(master, json.dumps(config).encode()))
    for user, password in passwords.items():
        key = json.dumps(_key(master, user, password)).encode()
        (folder / "keys" / hashlib.sha256(key).hexdigest()).write_bytes(key)
    return master


def leave_lock(folder: Path, master: bytes, age: datetime.timedelta) -> Path:
    """Leave the lock of a process on another machine that has the repository for itself.

    `age` is how long ago that process has last said that it lives.
    """
    lock = {
        "time": (datetime.datetime.now(datetime.UTC) - age).isoformat(),
        "exclusive": True,
        "hostname": "another.example.com",
        "username": "root",
        "pid": 4711,
    }
    content = _seal(master, json.dumps(lock).encode())
    path = folder / "locks" / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


def _key(master: bytes, user: str, password: bytes) -> dict[str, object]:
    salt = secrets.token_bytes(64)
    wrapping = hashlib.scrypt(password, salt=salt, n=_N, r=_R, p=_P, dklen=64)
    encrypt, mac_k, mac_r = (
        b64encode(p).decode() for p in (master[:32], master[32:48], master[48:])
    )
    content = {"mac": {"k": mac_k, "r": mac_r}, "encrypt": encrypt}
    return {
        "created": "2030-01-01T00:00:00Z",
        "username": user,
        "hostname": "test",
        "kdf": "scrypt",
        "N": _N,
        "r": _R,
        "p": _P,
        "salt": b64encode(salt).decode(),
        "data": b64encode(_seal(wrapping, json.dumps(content).encode())).decode(),
    }


def _seal(key: bytes, content: bytes) -> bytes:
    """AES-256 in counter mode, then Poly1305-AES. `key`: 32 bytes for AES, 16 of k, 16 of r."""
    nonce = secrets.token_bytes(16)
    encryptor = Cipher(AES(key[:32]), CTR(nonce)).encryptor()
    sealed = encryptor.update(content) + encryptor.finalize()
    # One block, as Poly1305-AES has it.
    once = Cipher(AES(key[32:48]), ECB()).encryptor()  # noqa: S305
    return nonce + sealed + Poly1305.generate_tag(key[48:] + once.update(nonce), sealed)
