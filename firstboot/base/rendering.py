"""Putting single files of a rendered stack in their places, with the owners that they need."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.files import write_if_changed
from firstboot.base.services import Service


@dataclass
class Rendering:
    """Where the things of a stack are and go, and what has been written so far."""

    templates: Path
    config: Path
    state: Path
    # Only root can give files away. Without it (a developer's own stack) the containers' users read
    # through open modes, below directories that only the developer can enter.
    owned: bool = field(default_factory=lambda: os.geteuid() == 0)
    written: set[Path] = field(default_factory=set)

    def put(self, path: Path, data: bytes, *, user: int | None = None) -> None:
        """Write one file; with `user` it is a secret that only this user may read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if user is None:
            write_if_changed(path, data)
        elif self.owned:
            write_if_changed(path, data, mode=0o400, owner=user)
        else:
            write_if_changed(path, data, mode=0o444)
        self.written.add(path)

    def secret_directory(self, service: Service, name: str) -> Path:
        """Where the files of a secret that is a directory go."""
        return self.config / "secrets" / service.name / name
