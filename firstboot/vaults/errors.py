"""What `mailstead vault` fails with."""

from __future__ import annotations

from typing import ClassVar

from firstboot.base.errors import MailsteadError


class VaultError(MailsteadError):
    """A vault cannot be reached, is damaged, or mail cannot be taken out of it or brought in."""

    exit_code: ClassVar[int] = 15


class TooLargeError(VaultError):
    """The mail store does not take a message of this size."""
