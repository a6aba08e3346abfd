"""Network interfaces with hardware behind them, from sysfs (kernel: Documentation/ABI, net)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INTERFACES = Path("/sys/class/net")


@dataclass(frozen=True)
class Link:
    """`carrier`: whether there is somebody at the other end of the cable."""

    name: str
    carrier: bool


def read_links(interfaces: Path = INTERFACES) -> tuple[Link, ...]:
    """All interfaces that belong to a device, by name."""
    found = sorted(path for path in interfaces.glob("*") if (path / "device").exists())
    return tuple(Link(path.name, _carrier(path)) for path in found)


def _carrier(interface: Path) -> bool:
    try:
        return (interface / "carrier").read_text(encoding="ascii").strip() == "1"
    except OSError:
        # The kernel refuses to read it of an interface that is down.
        return False
