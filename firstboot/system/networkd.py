"""systemd-networkd: the network file made from the settings, see systemd.network(5)."""

from __future__ import annotations

import contextlib
import ipaddress
from fnmatch import fnmatch
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.files import make_directory, write_if_changed
from firstboot.base.run import run
from firstboot.base.sections import Network
from firstboot.system import systemctl

# Sorts before what the image ships, so it decides.
FILE_NAME = "10-mailstead.network"
ETHERNET = "en* eth*"
WAIT_ONLINE = "/usr/lib/systemd/systemd-networkd-wait-online"
LINKS = Path("/sys/class/net")


def render_network(network: Network) -> str:
    """The .network file: DHCP or static addresses, nothing announced to the neighbours."""
    static = network.method == "static"
    lines = [
        "[Match]",
        f"Name={network.interface or ETHERNET}",
        "",
        "[Network]",
        f"DHCP={'no' if static else 'yes'}",
        # A static machine does not take addresses or routers from whoever advertises them.
        f"IPv6AcceptRA={'no' if static else 'yes'}",
        "LLMNR=no",
        "MulticastDNS=no",
        *(f"Address={address}" for address in network.addresses if not _probed(network, address)),
        *(f"Gateway={gateway}" for gateway in network.gateways),
        *(f"DNS={server}" for server in network.dns),
    ]
    for address in network.addresses:
        if _probed(network, address):
            # RFC 5227, which is not asked for otherwise; IPv6 has its own by default.
            lines += ["", "[Address]", f"Address={address}", "DuplicateAddressDetection=ipv4"]
    if not static:
        # The settings name the machine, not the network that it happens to be in.
        for section in ("DHCPv4", "DHCPv6"):
            lines += ["", f"[{section}]", "UseHostname=no", "UseDomains=no"]
    return "\n".join(lines) + "\n"


def _probed(network: Network, address: str) -> bool:
    """Whether the link is asked for an address before it is used."""
    return network.detect_duplicates and ipaddress.ip_interface(address).version == 4


def apply_network(network: Network, directory: Path) -> None:
    """Write the file below `directory`; networkd takes it at once if it runs already."""
    make_directory(directory)
    changed = write_if_changed(directory / FILE_NAME, render_network(network))
    if changed and systemctl.is_active("systemd-networkd.service"):
        run(["networkctl", "reload"], timeout=60)


def connect_before_setup(directory: Path, network: Network | None = None) -> None:
    """Give a machine without settings the addresses that its networks offer, or those of `network`.

    At that time systemd holds the network back, since it begins after the settings
    (network-pre.target): so these units are started whatever they would wait for. CommandError when
    systemd does not take that.
    """
    apply_network(network or Network(), directory)
    systemctl.start_now("systemd-networkd.service", "systemd-resolved.service")


def await_online(seconds: int) -> None:
    """Wait until some link has an address with a way out; what lacks then is told by who needs it.

    See systemd-networkd-wait-online(8).
    """
    how = ["--any", "--operational-state=routable", f"--timeout={seconds}"]
    with contextlib.suppress(CommandError):
        run([WAIT_ONLINE, *how], timeout=seconds + 30)


def links_of(network: Network, devices: Path = LINKS) -> tuple[str, ...]:
    """The wired links that a network's settings are for."""
    patterns = (network.interface or ETHERNET).split()
    return tuple(n for n in wired_links(devices) if any(fnmatch(n, each) for each in patterns))


def wired_links(devices: Path = LINKS) -> tuple[str, ...]:
    """The names of the machine's own wired networks, from sysfs; none of containers."""
    try:
        names = sorted(link.name for link in devices.iterdir() if (link / "device").exists())
    except OSError:
        return ()
    patterns = ETHERNET.split()
    return tuple(name for name in names if any(fnmatch(name, each) for each in patterns))
