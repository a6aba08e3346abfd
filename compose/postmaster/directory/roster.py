"""Who there is at this moment: the table that everybody asks, and its replacement while they do."""

from __future__ import annotations

from pathlib import Path

from postmaster.directory.people import Directory, read_directory


class Roster:
    """Holds the table as the settings were read last; a lookup sees the old one or the new one."""

    def __init__(self, current: Directory, settings: Path | None = None) -> None:
        self.current = current
        self._settings = settings

    @classmethod
    def of_settings(cls, settings: Path) -> Roster:
        """Read the settings file. Raises StartError."""
        return cls(read_directory(settings), settings)

    def reread(self) -> Directory:
        """Take the settings as they are now. Raises StartError, and nothing has changed then."""
        if self._settings is not None:
            self.current = read_directory(self._settings)
        return self.current
