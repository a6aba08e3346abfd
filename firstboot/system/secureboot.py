"""Whether the firmware enforces Secure Boot, and whose signatures it trusts: its EFI variables."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

EFIVARS = Path("/sys/firmware/efi/efivars")
# EFI_GLOBAL_VARIABLE, UEFI specification 3.3.
VENDOR = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
# EFI_IMAGE_SECURITY_DATABASE_GUID, UEFI specification 2.10, 32.6.1: the vendor of db.
DATABASE_VENDOR = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
# efivarfs puts 32 bits of attributes before the value (kernel: filesystems/efivarfs).
_ATTRIBUTES = 4
# EFI_SIGNATURE_LIST (32.4.1): its type, and the sizes of the whole, of a header that follows, and
# of each entry, which is an owner's GUID and then the certificate.
_LIST = struct.Struct("<16sIII")
_OWNER = 16
_CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le

SecureBoot = Literal["enforced", "off", "setup mode", "unknown (no UEFI)"]


def read_secure_boot(efivars: Path = EFIVARS) -> SecureBoot:
    """What the firmware says; in setup mode whoever comes first can enrol keys."""
    if not efivars.is_dir():
        return "unknown (no UEFI)"
    # The firmware keeps SecureBoot at 0 in setup mode, but this is what explains it.
    if _is_set(efivars, "SetupMode"):
        return "setup mode"
    return "enforced" if _is_set(efivars, "SecureBoot") else "off"


def trusted_certificates(efivars: Path = EFIVARS) -> tuple[bytes, ...]:
    """The X.509 certificates (DER) in db, by one of which a program must be signed.

    A list that is not what the specification says ends the reading; without db there are none.
    """
    try:
        rest = (efivars / f"db-{DATABASE_VENDOR}").read_bytes()[_ATTRIBUTES:]
    except OSError:
        return ()
    found: list[bytes] = []
    while len(rest) >= _LIST.size:
        kind, whole, header, each = _LIST.unpack_from(rest)
        if not _LIST.size <= whole <= len(rest):
            break
        if kind == _CERT_X509 and each > _OWNER:
            entries = rest[_LIST.size + header : whole]
            starts = range(0, len(entries) - each + 1, each)
            found += [entries[start + _OWNER : start + each] for start in starts]
        rest = rest[whole:]
    return tuple(found)


def carries(program: Path, certificates: Sequence[bytes]) -> bool:
    """Whether one of the certificates is in the file, as a PE signature has that of its signer.

    This verifies nothing: it tells a program of another key from one of a key that is trusted.
    """
    content = program.read_bytes()
    return any(certificate in content for certificate in certificates)


def _is_set(efivars: Path, name: str) -> bool:
    """A variable of one byte; firmware that lacks it does not know the feature."""
    try:
        return (efivars / f"{name}-{VENDOR}").read_bytes()[_ATTRIBUTES:] == b"\x01"
    except OSError:
        return False
