"""Signatures, verified by openssl(1): the Python library of the appliance lacks ML-DSA.

OpenSSL has it from 3.5 on (openssl-pkeyutl(1), EVP_PKEY-ML-DSA(7)).
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.run import run

# Under emulation and with a cold disk, starting the program alone can take seconds.
TIMEOUT_SECONDS = 120
# It says this on standard output for a wrong signature and nothing there when it could not look;
# its exit code is 1 for both.
_WRONG = "Signature Verification Failure"


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is right for a public key (PEM, SubjectPublicKeyInfo).

    Raises CommandError when openssl cannot tell: it is missing, does not know the algorithm, or
    cannot read the key.
    """
    with tempfile.TemporaryDirectory(prefix="mailstead-verify-") as folder:
        key, signed, found = (Path(folder, name) for name in ("key.pem", "message", "signature"))
        key.write_text(public_key, encoding="utf-8")
        signed.write_bytes(message)
        found.write_bytes(signature)
        words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
        words += ["-in", str(signed), "-sigfile", str(found)]
        done = run(words, check=False, timeout=TIMEOUT_SECONDS)
    if done.returncode == 0:
        return True
    if done.returncode == 1 and _WRONG in done.stdout:
        return False
    said = done.stderr.strip() or done.stdout.strip()
    raise CommandError(
        f"command {shlex.join(words)} could not verify a signature: {said}",
        "Neither a right nor a wrong signature was found; this system needs OpenSSL 3.5 or newer.",
        returncode=done.returncode,
    )
