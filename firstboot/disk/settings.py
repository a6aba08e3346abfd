"""What the owner has chosen to protect the disk with, from the machine's own settings."""

from __future__ import annotations

from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.disk.protect import Protection


def chosen_protection(paths: Paths) -> Protection:
    """SettingsError when the machine has not been set up, or its settings are wrong."""
    try:
        text = paths.settings.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            ["this machine has not been set up yet"], "Its console says what it is waiting for."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{paths.settings} cannot be read: {error}"], "Run this command as root."
        ) from None
    return parse_settings(text, str(paths.settings)).disk.protection
