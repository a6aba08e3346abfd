"""How far an export or import is, so that the next one goes on there after any interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.files import write_atomic
from firstboot.vaults.errors import VaultError

FORMAT = 1


@dataclass(frozen=True)
class Mark:
    """How far one folder is: its UIDVALIDITY, the last UID, the bytes written (mbox)."""

    uidvalidity: int = 0
    uid: int = 0
    size: int = 0


class Journal:
    """A JSON file: `format`, `what` it is about (another one is refused), and `entries`."""

    def __init__(self, path: Path, what: str) -> None:
        """Read the file if it is there. Raises VaultError when it is about something else."""
        self._path = path
        self._what = what
        self.entries: dict[str, Any] = {}
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise VaultError(
                f"the record {path} cannot be read: {error}", "Remove it to begin anew."
            ) from None
        if document.get("format") != FORMAT or document.get("what") != what:
            raise VaultError(
                f"{path} is the record of something else: {document.get('what')}",
                "Choose another place, or remove the file to begin anew.",
            )
        self.entries = dict(document["entries"])

    def note(self, name: str, value: Any) -> None:
        """Keep an entry; it is on disk on return."""
        self.entries[name] = value
        document = {"format": FORMAT, "what": self._what, "entries": self.entries}
        write_atomic(self._path, json.dumps(document, indent=1) + "\n", mode=0o600)

    def remove(self) -> None:
        """Forget it: all is done."""
        self._path.unlink(missing_ok=True)
