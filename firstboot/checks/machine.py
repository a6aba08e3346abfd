"""What the checks look at: a machine, set up or not yet, and what is around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstboot.base.engine import Engine
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release
from firstboot.base.services import Stack, read_stack
from firstboot.base.settings import Settings, require_settings
from firstboot.checks.targets import Surroundings


@dataclass(frozen=True, kw_only=True)
class Bare:
    """What there is before the first setup: everything that the slot says, and the network."""

    paths: Paths
    stack: Stack
    release: Release
    around: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, kw_only=True)
class Machine(Bare):
    """A machine that has been set up: everything that the settings say should be, too."""

    settings: Settings
    engine: Engine

    @property
    def needed(self) -> Stack:
        """What of the stack runs with these settings."""
        return self.stack.needed_by(self.settings)


def read_bare(paths: Paths) -> Bare:
    """Read the slot."""
    return Bare(paths=paths, stack=read_stack(paths.services), release=read_release(paths.release))


def read_machine(paths: Paths, engine: Engine) -> Machine:
    """Read slot and settings; SettingsError when the machine has not been set up."""
    return Machine(
        paths=paths,
        settings=require_settings(paths.settings),
        stack=read_stack(paths.services),
        release=read_release(paths.release),
        engine=engine,
    )
