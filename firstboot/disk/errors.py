"""What can go wrong with the protection of the disk, beyond a machine that is not fit."""

from __future__ import annotations

from firstboot.base.errors import MachineError


class NoKeyError(MachineError):
    """The header is to be changed, and no key that opens the disk is at hand."""
