"""Password hashes: what is accepted, and how one is made.

PHC string format of Argon2id (RFC 9106); the minimum is OWASP's Password Storage Cheat Sheet
(19 MiB of memory, 2 passes). The maximum keeps one login from taking the memory of the machine.
"""

from __future__ import annotations

import base64
import binascii
import re

HASH_COMMAND = "tools/forge hash-password"
# Of a password itself, in characters (NIST SP 800-63B asks for at least 8).
MIN_LENGTH = 10
# At most what two logins at a time can have within the directory's memory (services.yaml).
MIN_MEMORY_KIB, MAX_MEMORY_KIB = 19_456, 65_536
MIN_PASSES, MAX_PASSES = 2, 16
MAX_LANES = 16
MIN_SALT_BYTES = 16
MIN_HASH_BYTES = 32

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=([1-9]\d{0,8}),t=([1-9]\d{0,8}),p=([1-9]\d{0,8})"
    r"\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,256})",
    re.ASCII,
)


def hash_password(password: str, *, memory: int = MAX_MEMORY_KIB, passes: int = 3) -> str:
    """Make the PHC string of a password: Argon2id, 64 MiB (`memory` KiB), 3 passes, one lane."""
    # Imported here: loading the C library costs time that no other command should pay.
    from argon2 import PasswordHasher, Type  # noqa: PLC0415

    hasher = PasswordHasher(
        time_cost=passes,
        memory_cost=memory,
        parallelism=1,
        hash_len=MIN_HASH_BYTES,
        salt_len=MIN_SALT_BYTES,
        type=Type.ID,
    )
    return hasher.hash(password)


def password_matches(password: str, phc: str) -> bool:
    """Whether `phc` was made of this password; False also for what is no hash of ours."""
    # Imported here: loading the C library costs time that no other command should pay.
    from argon2 import PasswordHasher  # noqa: PLC0415
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    if hash_problem(phc) is not None:
        return False
    try:
        return PasswordHasher().verify(phc, password)
    except (InvalidHashError, VerificationError):
        return False


def hash_problem(text: str) -> str | None:
    """What is wrong with a password hash, as `expected …, got …`, or None.

    Never quotes salt or hash, only the parameters.
    """
    match = _PHC.fullmatch(text)
    if match is None:
        return f"expected an Argon2id hash in PHC format, got {_kind(text)}"
    memory, passes, lanes = (int(match[index]) for index in (1, 2, 3))
    limits = (
        ("KiB of memory (m)", memory, MIN_MEMORY_KIB, MAX_MEMORY_KIB),
        ("passes (t)", passes, MIN_PASSES, MAX_PASSES),
        ("lanes (p)", lanes, 1, MAX_LANES),
        ("bytes of salt", _decoded_length(match[4]), MIN_SALT_BYTES, 64),
        ("bytes of hash", _decoded_length(match[5]), MIN_HASH_BYTES, 128),
    )
    for name, value, low, high in limits:
        if not low <= value <= high:
            return f"expected an Argon2id hash with {low} to {high} {name}, got {value}"
    return None


def _decoded_length(text: str) -> int:
    """Bytes in unpadded base64, 0 when it is none."""
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        return 0


def _kind(text: str) -> str:
    """What a text that is no Argon2id hash seems to be; it may well be somebody's password."""
    if not text:
        return "an empty text"
    if match := re.match(r"\$([a-z0-9-]{1,16})\$", text, re.ASCII):
        return f"a hash of the kind {match[1]}" + (
            " with other parameters" if match[1] == "argon2id" else ""
        )
    return "something else (a password itself is never written here)"
