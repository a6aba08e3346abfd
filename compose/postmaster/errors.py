"""The errors that a service reports, each with the text and exit code that an operator sees."""

from __future__ import annotations

from typing import ClassVar


class PostmasterError(Exception):
    """Base of every error of this package that has a cause outside the program."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        """`message` says what failed and with which value; `hint` what to do next."""
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint


class StartError(PostmasterError):
    """A service cannot start: a file is missing or wrong, or a port is taken."""

    exit_code = 3


class DirectoryUnavailableError(PostmasterError):
    """The directory did not answer, or not with sense; the caller should try again later."""


class RspamdUnavailableError(PostmasterError):
    """Rspamd did not answer, or not with sense; everything goes on without it."""


class StorageUnavailableError(PostmasterError):
    """A vault cannot be used now: key missing or wrong, file damaged, disk failing."""


class StorageFullError(StorageUnavailableError):
    """There is no room left on the disk of the vaults."""


class VaultUnreadableError(StorageUnavailableError):
    """A vault does not open with this key: it has another one, or its first page is damaged."""


class AccountError(PostmasterError):
    """Something about a person's passwords and keys was not done, and why."""


class SecretRefusedError(AccountError):
    """A password or code that was typed is not the person's."""


class VaultLockedError(StorageUnavailableError):
    """Nobody is logged in who could open the vault."""
