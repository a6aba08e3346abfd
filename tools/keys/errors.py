"""What can be wrong with a set of signing keys."""

from __future__ import annotations

from typing import ClassVar

from firstboot.base.errors import MailsteadError


class KeysError(MailsteadError):
    """The keys are missing, damaged, open to others, or not opened by this passphrase or token."""

    exit_code: ClassVar[int] = 50
