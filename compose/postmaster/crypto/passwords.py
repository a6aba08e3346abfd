"""Passwords and tokens: whether they are right, and how costly it is made to try them."""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,2}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}"
)
KEY_BYTES = 32
SALT_BYTES = 16
MOST_SECONDS = 2.0  # several may log in at once, and Postfix waits for 10 s
TARGET_SECONDS = 0.3  # of one check, once tuned: a person does not mind, who guesses does
MAX_PASSES = 16
MAX_MEMORY = 256 * 1024  # KiB; the service has not got more


@dataclass(frozen=True)
class Argon2Parameters:
    """What one derivation costs (RFC 9106): memory in KiB, passes over it, lanes."""

    memory: int
    passes: int
    lanes: int

    def __post_init__(self) -> None:
        fine = 8 * self.lanes <= self.memory <= MAX_MEMORY
        if not (fine and 1 <= self.passes <= 64 and 1 <= self.lanes <= 16):
            raise ValueError(f"no usable parameters of Argon2id: {self}")

    def derive(self, secret: bytes, salt: bytes) -> bytes:
        """Return 32 bytes; takes the time and memory, and releases the interpreter meanwhile."""
        argon2 = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory,
        )
        return argon2.derive(secret)


# The least that is used; the second choice of RFC 9106 4, on one lane.
LEAST = Argon2Parameters(memory=64 * 1024, passes=3, lanes=1)
# Instead of it where it takes too long, as on an emulated machine; the least that OWASP's Password
# Storage Cheat Sheet and our settings know.
SLOW = Argon2Parameters(memory=19 * 1024, passes=2, lanes=1)


def tune(target: float = TARGET_SECONDS, most: float = MOST_SECONDS) -> Argon2Parameters:
    """Return parameters that take about `target` seconds on this machine.

    Never less than LEAST, unless that takes more than `most` seconds: then SLOW.
    """
    started = time.perf_counter()
    LEAST.derive(b"tuning", bytes(SALT_BYTES))
    took = time.perf_counter() - started
    if took > most:
        return SLOW
    per_pass = took / LEAST.passes
    passes = min(MAX_PASSES, max(LEAST.passes, int(target / per_pass)))
    return Argon2Parameters(LEAST.memory, passes, LEAST.lanes)


def is_password_hash(phc: str) -> bool:
    """Say whether this is an Argon2id hash in PHC form that `verify_password` can check."""
    return _PHC.fullmatch(phc) is not None


def verify_password(phc: str, password: str) -> bool:
    """Say whether `password` belongs to an Argon2id hash in PHC form; False for a bad hash.

    Takes the time and memory that the hash asks for, and releases the interpreter meanwhile.
    """
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except (InvalidKey, UnsupportedAlgorithm, ValueError):
        return False
    return True


def same_token(expected: str, given: str) -> bool:
    """Compare two high-entropy tokens without telling by time where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode())
