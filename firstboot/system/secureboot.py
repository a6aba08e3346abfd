"""Whether the firmware enforces Secure Boot, from the EFI variables that tell (efivarfs)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

EFIVARS = Path("/sys/firmware/efi/efivars")
# EFI_GLOBAL_VARIABLE, UEFI specification 3.3.
VENDOR = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
# efivarfs puts 32 bits of attributes before the value (kernel: filesystems/efivarfs).
_ATTRIBUTES = 4

SecureBoot = Literal["enforced", "off", "setup mode", "unknown (no UEFI)"]


def read_secure_boot(efivars: Path = EFIVARS) -> SecureBoot:
    """What the firmware says; in setup mode whoever comes first can enrol keys."""
    if not efivars.is_dir():
        return "unknown (no UEFI)"
    # The firmware keeps SecureBoot at 0 in setup mode, but this is what explains it.
    if _is_set(efivars, "SetupMode"):
        return "setup mode"
    return "enforced" if _is_set(efivars, "SecureBoot") else "off"


def _is_set(efivars: Path, name: str) -> bool:
    """A variable of one byte; firmware that lacks it does not know the feature."""
    try:
        return (efivars / f"{name}-{VENDOR}").read_bytes()[_ATTRIBUTES:] == b"\x01"
    except OSError:
        return False
