"""Which keys a repository has: the machine's, and the recovery code's under the name of its kit.

The list in the repository is the one record of that. So what a cut, or a place that could not be
reached, has left undone is done when the repository is next used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from firstboot.backup.keys import Recovery
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.system.restic import Key, Restic

_KIT = "kit-"
_HOST = "recovery"


def admit_recovery(restic: Restic, keys: Sequence[Key], recovery: Recovery, paths: Paths) -> bool:
    """Add the recovery code's key and then take those of older kits away; whether any changed.

    `keys` are those of the repository. To be called, with the machine's own password, before each
    backup. Keys that somebody made by hand stay. Raises BackupError's kinds.
    """
    wanted = f"{_KIT}{recovery.kit}"
    missing = all(key.user != wanted for key in keys)
    if missing:
        _add(restic, recovery, wanted, paths)
    stale = [k for k in keys if k.user.startswith(_KIT) and k.user != wanted and not k.current]
    for key in stale:
        restic.command("key", "remove", key.id)
    return missing or bool(stale)


def kit_of(restic: Restic) -> str | None:
    """The name of the kit whose code opens the repository now; None for another password."""
    key = restic.key or restic.entered().key
    return key.user.removeprefix(_KIT) if key and key.user.startswith(_KIT) else None


def _add(restic: Restic, recovery: Recovery, user: str, paths: Paths) -> None:
    make_directory(paths.runtime)
    with tempfile.TemporaryDirectory(prefix="kit-", dir=paths.runtime) as folder:
        code = Path(folder) / "code"
        write_atomic(code, recovery.code, mode=0o600)
        named = ("--host", _HOST, "--user", user)
        restic.command("key", "add", *named, "--new-password-file", code)
