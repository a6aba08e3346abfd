"""A computer without Mailstead, on which somebody does what the recovery kit says, and no more."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from firstboot.base.run import run
from tests.unit.firstboot.backup.appliance import Appliance


def require_opens(page: str, fills: Mapping[str, str], folder: Path, appliance: Appliance) -> None:
    """Follow a kit's page in a new `folder`; what comes back must be what the appliance has.

    `fills` are what its reader has to put in: text of the page → what takes its place.
    """
    commands = re.search(r"\(restic [^\n]*\n((?:  (?:export|restic) [^\n]*\n)+)", page)
    code = re.search(r"^    (\S{4}(?:-\S{4}){6})$", page, re.MULTILINE)
    assert commands is not None
    assert code is not None
    script = commands[1]
    for text, value in fills.items():
        assert text in script
        script = script.replace(text, value)
    folder.mkdir()
    # The shell's own lines, with the code where restic would ask for it.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    fed = script.replace("restic ", f"printf '%s\\n' {code[1]} | restic ")
    run(["sh", "-eu"], stdin=fed, env=environment, cwd=folder)
    found, original = folder / "mailserver", appliance.paths.state_partition
    vaults = sorted((original / "mail/mailstore/vaults").glob("*.vault"))
    assert vaults
    for vault in vaults:
        assert (found / vault.relative_to(original)).read_bytes() == vault.read_bytes()
    assert (found / "settings.yaml").read_bytes() == appliance.paths.settings.read_bytes()
