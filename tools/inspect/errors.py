"""What can be wrong with an image that is looked at."""

from __future__ import annotations

from typing import ClassVar

from firstboot.base.errors import MailsteadError


class InspectError(MailsteadError):
    """The file is not an image of ours, is damaged, or there is nothing to read it with."""

    exit_code: ClassVar[int] = 40
