"""What can go wrong in a build, as errors of ours."""

from __future__ import annotations

from firstboot.base.errors import MailsteadError


class BuildError(MailsteadError):
    """An image could not be built from what is there."""

    exit_code = 30
