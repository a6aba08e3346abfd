"""`mailstead firewall`: the rules for the settings that the machine has, or for its setup."""

from __future__ import annotations

from firstboot.base.errors import SettingsError
from firstboot.base.firewall import HTTPS, SETUP_HTTPS, Opening, open_ports
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import read_settings
from firstboot.system.nftables import apply_rules


def raise_firewall(paths: Paths) -> tuple[Opening, ...]:
    """Apply the rules and return what is open.

    A machine without settings is one that is being set up, which can be done in a browser. With
    settings that cannot be used nothing is open: nothing runs then, and the console says why.
    """
    stack = read_stack(paths.services)
    diversions: dict[int, int] = {}
    try:
        settings = read_settings(paths.settings)
        openings = open_ports(settings, stack, setting_up=settings is None)
        if settings is None:
            diversions = {HTTPS: SETUP_HTTPS}
    except SettingsError:
        openings = ()
    apply_rules(openings, paths.firewall, diversions)
    return openings
