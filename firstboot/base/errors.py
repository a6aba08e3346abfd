"""Every error that a person can see, so that message, hint and exit code have one owner.

Only the command line turns an error into an exit; everything else raises. Exit code 2 is left to
wrong usage, which is what click gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class MailsteadError(Exception):
    """Something failed for a reason that can be told in one sentence.

    `message` says what failed and with which value, `hint` what to do next ("" where the message
    already says it). Neither ever holds a secret.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class SettingsError(MailsteadError):
    """Settings are missing or wrong. Each of `problems` reads `source:line: key: text`."""

    exit_code = 3

    def __init__(self, problems: Sequence[str], hint: str = "") -> None:
        super().__init__("\n".join(problems), hint)
        self.problems = tuple(problems)


class CommandError(MailsteadError):
    """A program could not be started, failed, or did not finish in time."""

    exit_code = 4

    def __init__(self, message: str, hint: str = "", *, returncode: int | None = None) -> None:
        super().__init__(message, hint)
        self.returncode = returncode


class StackError(MailsteadError):
    """The description of the services, a template, or a secret of the stack is unusable."""

    exit_code = 5


class ReleaseError(MailsteadError):
    """The release manifest is missing or is not what this version can read."""

    exit_code = 6


class EngineError(MailsteadError):
    """The Docker engine cannot be reached, or did not take or run what it was given."""

    exit_code = 7


class MachineError(MailsteadError):
    """The machine itself is not fit: too little memory, a disk that cannot be read."""

    exit_code = 8


class DeadlineError(MailsteadError):
    """Something that was waited for did not happen in time."""

    exit_code = 9


class RoundTripError(MailsteadError):
    """A message sent through submission did not come back over IMAP as it was sent."""

    exit_code = 10


class UnreachableError(RoundTripError):
    """A server did not answer or refused a step of it, which another try may get through."""


class CheckError(MailsteadError):
    """At least one check of `mailstead check` failed."""

    exit_code = 11


class UpdateRefusedError(MailsteadError):
    """An upgrade is refused, or does not get what it needs; what runs has not been changed."""

    exit_code = 12
