"""Who there is at this moment: the table that everybody asks, and its replacement while they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from postmaster.directory.people import Directory, read_directory
from postmaster.directory.srs import Rewriter


class Roster:
    """Holds the table as it was read last; a lookup sees the old one or the new one."""

    def __init__(self, current: Directory, read: Callable[[], Directory] | None = None) -> None:
        self.current = current
        self._read = read

    @classmethod
    def of_settings(cls, settings: Path, rewriting_key: bytes) -> Roster:
        """Read the settings file. Senders are rewritten by the key. Raises StartError."""

        def read() -> Directory:
            directory = read_directory(settings)
            return replace(directory, rewriter=Rewriter(directory.hostname, rewriting_key))

        return cls(read(), read)

    def reread(self) -> Directory:
        """Take the settings as they are now. Raises StartError, and nothing has changed then."""
        if self._read is not None:
            self.current = self._read()
        return self.current
