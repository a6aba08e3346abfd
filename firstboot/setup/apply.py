"""Makes the machine what its settings say; the same settings twice change nothing."""

from __future__ import annotations

from firstboot.base.compose import StackOptions
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.firewall import open_ports
from firstboot.base.paths import Paths
from firstboot.base.release import read_release
from firstboot.base.services import read_stack
from firstboot.base.settings import Settings
from firstboot.base.stack import write_stack
from firstboot.setup.seed import Seed
from firstboot.system.hostname import apply_hostname
from firstboot.system.networkd import apply_network
from firstboot.system.nftables import apply_rules
from firstboot.system.openssh import apply_ssh


def apply_settings(settings: Settings, paths: Paths) -> None:
    """Render the stack, then give the machine its firewall, its network and its name.

    All of that is volatile or made once; see write_stack for what goes into the state.
    """
    stack = read_stack(paths.services)
    write_stack(
        settings,
        stack,
        read_release(paths.release),
        templates=paths.templates,
        config=paths.stack,
        state=paths.state,
        options=StackOptions(),
    )
    apply_rules(open_ports(settings, stack), paths.firewall)
    apply_network(settings.network, paths.networkd)
    apply_hostname(settings.hostname, paths.etc)
    apply_ssh(settings.ssh, paths)


def set_up(seed: Seed, paths: Paths) -> None:
    """First setup: apply the seed, and only when all of it worked keep it as the settings.

    Until settings.yaml exists the machine counts as not set up, so that a power cut at any instant
    leaves a machine that takes its seed again.
    """
    apply_settings(seed.settings, paths)
    make_directory(paths.settings.parent)
    write_atomic(paths.settings, seed.text, mode=0o600)
