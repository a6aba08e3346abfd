"""How much memory the machine has, from proc_meminfo(5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MachineError

MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """Bytes: all that the kernel manages, and what can be had without swapping."""

    total: int
    available: int

    @property
    def used(self) -> int:
        return self.total - self.available


def read_memory(meminfo: Path = MEMINFO) -> Memory:
    """The memory now; MachineError when the kernel does not tell."""
    fields: dict[str, int] = {}
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                fields[name] = int(value.split()[0]) * 1024
        return Memory(fields["MemTotal"], fields["MemAvailable"])
    except (OSError, ValueError, KeyError) as error:
        raise MachineError(f"the memory of this machine is unknown: {error!r}") from None
