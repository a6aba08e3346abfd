"""The pieces of a slot as a build leaves them: what `publish` publishes and an upgrade writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.manifest import ROLES, Role
from tools.build.errors import BuildError

FILE = "slot.json"


@dataclass(frozen=True)
class SlotPart:
    """A piece's content; `uuid` is that of its partition, None for the UKI."""

    path: Path
    uuid: str | None


@dataclass(frozen=True)
class Slot:
    """All pieces of one version; `root_hash` is dm-verity's, in hexadecimal."""

    version: str
    root_hash: str
    parts: Mapping[Role, SlotPart]


def read_slot(folder: Path) -> Slot:
    """Read slot.json in a build's result; BuildError when it holds none."""
    path = folder / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        parts: dict[Role, SlotPart] = {
            role: SlotPart(folder / data["parts"][role]["file"], data["parts"][role]["uuid"])
            for role in ROLES
        }
        return Slot(data["version"], data["root_hash"], parts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(
            f"{folder} holds no build that can be published: {error!r}", "Build the image anew."
        ) from None


def write_slot(folder: Path, slot: Slot) -> None:
    """Write slot.json beside the pieces, which lie in `folder`."""
    parts = {role: {"file": part.path.name, "uuid": part.uuid} for role, part in slot.parts.items()}
    data = {"version": slot.version, "root_hash": slot.root_hash, "parts": parts}
    (folder / FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
