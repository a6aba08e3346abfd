"""From a machine that is set up to a fresh one, with its mail or without.

Each reset is one step that either happened or did not; what follows from it is done at the next
start, as often as the power lets it begin.
"""

from __future__ import annotations

import datetime
import socket

from firstboot.base.backuprules import age
from firstboot.base.backups import judge, read_backups
from firstboot.base.errors import MachineError, SettingsError
from firstboot.base.files import sync_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.settings import read_settings
from firstboot.system.cryptsetup import STATE, backing_device, read_uuid


def machine_name(paths: Paths) -> str:
    """What has to be typed: the host name, also where the settings cannot be read any more."""
    try:
        settings = read_settings(paths.settings)
    except SettingsError:
        settings = None
    return settings.hostname if settings else socket.gethostname()


def last_backups(paths: Paths) -> tuple[str, ...]:
    """A line for each target: when the last good backup was; none without usable settings."""
    try:
        settings = read_settings(paths.settings)
    except SettingsError:
        settings = None
    if settings is None:
        return ()
    entries, now = read_backups(paths.backup_history), datetime.datetime.now(datetime.UTC)
    limit = age(settings.backup.warn_after)
    found = (judge(entries, target.name, limit, now) for target in settings.backup.targets)
    return tuple(f"Backup to {standing.target}: {standing.sentence()}" for standing in found)


def forget_settings(paths: Paths) -> None:
    """Let the next start ask for settings as if it were the first; all else stays."""
    try:
        paths.settings.unlink()
    except FileNotFoundError:
        raise MachineError("this machine has no settings to forget") from None
    sync_directory(paths.settings.parent)


def mark_for_erasure(paths: Paths) -> None:
    """Let the next start erase the state and make another one.

    The keys of a volume that is in use cannot be taken from memory, so it is the early stage that
    erases. Raises MachineError where the state is not encrypted: overwriting it all would take
    hours, and nobody could be sure.
    """
    uuid = read_uuid(backing_device(STATE))
    if not uuid:
        raise MachineError("the state of this machine has no LUKS header")
    write_atomic(paths.reset_mark, f"{uuid}\n", mode=0o600)
