"""What a drill begins with: the code of a kit, and the place of the backups as a seed names it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from firstboot.base.backupplaces import repository_problem
from firstboot.base.codes import read_recovery_code
from firstboot.base.restorewish import parse_restore
from firstboot.base.run import run
from tools.drill.errors import DrillError

LABEL = "DRILL"
# The top of that file system.
DISK_PLACE = f"disk:{LABEL}/."
_CODE = re.compile(r"\b[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){6}\b")
_BLOCK = 4096
# What ext4 needs beside the files: its tables, and a journal.
_ROOM = 128 << 20
_PER_FILE = 16384


def read_code(kit: Path) -> str:
    """The recovery code in a kit's text file, or in a file that holds nothing else."""
    try:
        text = kit.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise DrillError(
            f"{kit} is no text file",
            "Give the text of the kit (mailstead backup kit --output FILE), or a file that you "
            "have typed the code into.",
        ) from None
    codes = [code for found in _CODE.findall(text) if (code := read_recovery_code(found))]
    codes = codes or [code for code in [read_recovery_code(text)] if code]
    if not codes:
        raise DrillError(f"there is no recovery code in {kit}", "It has seven groups of four.")
    return codes[0]


def write_seed(place: str, code: str, credentials: str, snapshot: str) -> str:
    """The seed with which the machine restores by itself; SettingsError when it is wrong."""
    wish = {"repository": place, "code": code, "credentials": credentials, "snapshot": snapshot}
    text: str = yaml.safe_dump({"version": 1, "restore": wish}, sort_keys=False)
    parse_restore(text, "the drill's seed")
    return text


def require_place(repository: str) -> Path | None:
    """The folder of this host that `repository` is, None for a place that the machine reaches."""
    folder = Path(repository)
    if (folder / "config").is_file() and (folder / "snapshots").is_dir():
        return folder
    if folder.is_dir():
        raise DrillError(f"{folder} is no repository of restic", "Give the folder with `config`.")
    if problem := repository_problem(repository):
        raise DrillError(f"{problem}, or a folder, got {repository!r}")
    if repository.startswith("disk:"):
        raise DrillError(
            "the drill's machine has no disk of yours", "Mount it here, and give its folder."
        )
    return None


def make_disk(folder: Path, image: Path) -> Path:
    """A disk image with all of `folder`, labelled LABEL, for a machine to read.

    mke2fs(8) fills it without root. Raises CommandError when there is no room for it.
    """
    size = _ROOM
    for above, _folders, names in os.walk(folder):
        for name in names:
            size += -(-(Path(above) / name).stat().st_size // _BLOCK) * _BLOCK + _PER_FILE
    with image.open("wb") as file:
        file.truncate(size)
    # Root would have to look into folders that belong to somebody else.
    options = ["-q", "-F", "-t", "ext4", "-b", str(_BLOCK), "-i", str(_PER_FILE), "-L", LABEL]
    run(["mke2fs", *options, "-E", "root_owner=0:0", "-d", folder, image])
    return image
