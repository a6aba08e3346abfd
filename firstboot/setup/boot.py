"""`mailstead boot`: before Docker starts, from a bare machine to a rendered stack."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from firstboot.base.errors import MachineError
from firstboot.base.handover import forget_given, take_back
from firstboot.base.memory import MEMINFO, read_memory
from firstboot.base.paths import Paths
from firstboot.base.settings import read_settings, require_settings
from firstboot.base.state import claim_state
from firstboot.setup.apply import apply_settings, set_up
from firstboot.setup.firewall import raise_firewall
from firstboot.setup.seed import Admit, BringBack, Seed, bring_back_nothing
from firstboot.setup.waiting import hold, require_memory, wait_for_seed
from firstboot.system.console import Console


def boot(
    paths: Paths,
    console: Console,
    admit: Admit,
    restored: Callable[[], str] = lambda: "",
    bring_back: BringBack = bring_back_nothing,
) -> None:
    """Refuse a machine that is too small, get settings if there are none, and apply them.

    Settings that `admit` refuses count as wrong: they are explained, and others waited for.
    `restored` puts a restore in place that is ready, and says which; "" when none is. `bring_back`
    makes one ready that a seed asks for.
    Does not return on a machine with too little memory: Docker, which waits for us, must not start
    there, and the reason is to stay on the screen.
    """
    console.say("console ready")
    try:
        require_memory(read_memory(MEMINFO))
    except MachineError as error:
        console.error(error)
        console.show("This machine is too small", (f"{error}.", error.hint))
        hold()
    if what := restored():
        console.say(f"restored {what}")
    claim_state(paths.state_format)
    settings = read_settings(paths.settings)
    if settings is not None:
        apply_settings(settings, paths)
    else:
        # Its pages in a browser can be reached while the machine waits.
        raise_firewall(paths)
        _set_up(wait_for_seed(paths, console, admit, restored, bring_back), paths, console)
    forget_answers(paths)
    console.say("setup done")


def _set_up(found: Seed | str, paths: Paths, console: Console) -> None:
    """By a seed, or by the settings that were restored."""
    if isinstance(found, Seed):
        console.say(f"settings from {found.source}")
        set_up(found, paths)
        return
    console.say(f"restored {found}")
    apply_settings(require_settings(paths.settings), paths)


def forget_answers(paths: Paths) -> None:
    """Once the settings are kept, nobody needs what led to them."""
    take_back(paths)
    forget_given(paths)
    shutil.rmtree(paths.draft.parent, ignore_errors=True)
