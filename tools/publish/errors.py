"""What can keep a release from being published."""

from __future__ import annotations

from typing import ClassVar

from firstboot.base.errors import MailsteadError


class PublishError(MailsteadError):
    """A release cannot be published so; what was published before is as it was."""

    exit_code: ClassVar[int] = 60
