"""What can go wrong with a virtual machine, told apart so that tests can expect it.

What merely takes too long is `firstboot.base.errors.DeadlineError`.
"""

from __future__ import annotations

from firstboot.base.errors import MailsteadError


class VirtualMachineError(MailsteadError):
    """The harness could not do what was asked with the machine."""

    exit_code = 12


class MachineDiedError(VirtualMachineError):
    """QEMU or its TPM ended although nobody asked for it."""


class ConsoleFailureError(VirtualMachineError):
    """The console showed a line that means the boot cannot succeed any more."""


class GuestAgentError(VirtualMachineError):
    """The guest agent does not answer, or refuses a command."""
