"""The recovery kit of the last page, as the command of another feature gives it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firstboot.base.errors import CommandError, MailsteadError
from firstboot.base.run import run

# No place of backups is tried for it; drawing the page is all that takes time.
COMMAND = ("mailstead", "backup", "kit", "--offline", "--json", "--pdf")
CONFIRM = ("mailstead", "backup", "kit", "--confirm", "-")
SECONDS = 120.0


@dataclass(frozen=True)
class Kit:
    """The kit as `text` and as a page to print (`pdf`); `group` is the part to type back."""

    name: str
    code: str = field(repr=False)
    group: int
    text: str = field(repr=False)
    pdf: bytes = field(repr=False)


class KitDesk(Protocol):
    """Gives the kit, and hears that it was kept. Both may take seconds."""

    def fetch(self) -> Kit | None:
        """The kit; None when it cannot be had, or was confirmed already."""

    def confirm(self, group: str) -> bool:
        """Whether that is the group asked for; then the kit counts as kept."""


@dataclass(frozen=True)
class CommandDesk:
    """The kit by `mailstead backup kit`; `folder` is in memory, for root only."""

    folder: Path

    def fetch(self) -> Kit | None:
        """See `KitDesk.fetch`."""
        try:
            with tempfile.TemporaryDirectory(dir=self.folder) as made:
                pdf = Path(made) / "kit.pdf"
                found = json.loads(run((*COMMAND, pdf), timeout=SECONDS).stdout)
                if found["confirmed"]:
                    return None
                return Kit(
                    str(found["kit"]),
                    str(found["code"]),
                    int(found["group"]),
                    str(found["page"]),
                    pdf.read_bytes(),
                )
        except (MailsteadError, OSError, ValueError, KeyError, TypeError):
            return None

    def confirm(self, group: str) -> bool:
        """See `KitDesk.confirm`."""
        try:
            run(CONFIRM, stdin=f"{group}\n", timeout=SECONDS)
        except CommandError:
            return False
        return True
