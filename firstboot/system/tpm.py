"""Whether the machine has a TPM 2.0, from sysfs."""

from __future__ import annotations

from pathlib import Path

# The kernel's resource manager, and so this class, exists for TPM 2.0 only.
DEVICES = Path("/sys/class/tpmrm")


def has_tpm2(devices: Path = DEVICES) -> bool:
    """Whether the kernel drives a TPM 2.0 (a TPM 1.2 does not count)."""
    try:
        return any(devices.iterdir())
    except OSError:
        return False
