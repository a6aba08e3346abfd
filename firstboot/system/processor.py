"""What processor the machine has, from proc_cpuinfo(5) and uname(2)."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MachineError

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Processor:
    """`flags` are the kernel's names of what it can do; `cores` counts threads, too."""

    architecture: str
    model: str
    cores: int
    flags: frozenset[str]


def read_processor(cpuinfo: Path = CPUINFO) -> Processor:
    """The processor; MachineError when the kernel does not tell."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MachineError(f"the processor is unknown: {error.strerror}") from None
    pairs = [line.partition(":") for line in text.splitlines()]
    fields = [(name.strip(), value.strip()) for name, _, value in pairs]
    first = dict(reversed(fields))
    return Processor(
        architecture=platform.machine(),
        model=first.get("model name", "unknown"),
        cores=sum(name == "processor" for name, _ in fields),
        # 64-bit ARM calls them features.
        flags=frozenset((first.get("flags") or first.get("Features") or "").split()),
    )
