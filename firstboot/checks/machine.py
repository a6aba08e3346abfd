"""What the checks look at: a machine that has been set up, and the engine that it runs."""

from __future__ import annotations

from dataclasses import dataclass

from firstboot.base.engine import Engine
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release
from firstboot.base.services import Stack, read_stack
from firstboot.base.settings import Settings, require_settings


@dataclass(frozen=True)
class Machine:
    """Everything that the slot and the settings say should be."""

    paths: Paths
    settings: Settings
    stack: Stack
    release: Release
    engine: Engine


def read_machine(paths: Paths, engine: Engine) -> Machine:
    """Read slot and settings; SettingsError when the machine has not been set up."""
    return Machine(
        paths,
        require_settings(paths.settings),
        read_stack(paths.services),
        read_release(paths.release),
        engine,
    )
