"""What can be wrong with the host that builds, told apart by what to do about it."""

from __future__ import annotations

from typing import ClassVar

from firstboot.base.errors import MailsteadError


class HostError(MailsteadError):
    """The host lacks something, and it could not be obtained."""

    exit_code: ClassVar[int] = 20


class PrivilegeError(HostError):
    """Something needs root, and there is nobody to ask, or the answer was no."""

    exit_code: ClassVar[int] = 21


class ArchiveError(HostError):
    """A package archive or index cannot be reached, is not trusted, or has not got the package."""

    exit_code: ClassVar[int] = 22


class SpaceError(HostError):
    """There is not enough room on a disk."""

    exit_code: ClassVar[int] = 23
