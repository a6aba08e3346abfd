"""What a control group has used: processor time and memory, by cgroup v2 or v1 (cgroups(7))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _fields(path: Path) -> dict[str, int]:
    lines = path.read_text(encoding="ascii").splitlines()
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines)}


@dataclass(frozen=True)
class Cgroup:
    """The folders of a group's controllers; with v2 they are one."""

    cpu: Path
    memory_folder: Path

    @classmethod
    def of(cls, pid: int) -> Cgroup:
        """Return the group of a process."""
        found = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            found.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
        if "memory" not in found:
            return cls(_ROOT / found[""], _ROOT / found[""])
        return cls(_ROOT / "cpuacct" / found["cpuacct"], _ROOT / "memory" / found["memory"])

    def cpu_seconds(self) -> float:
        """Processor time so far, of all that was ever in the group."""
        old = self.cpu / "cpuacct.usage"
        if old.exists():
            return int(old.read_text(encoding="ascii")) / 1e9
        return _fields(self.cpu / "cpu.stat")["usage_usec"] / 1e6

    def memory(self) -> int:
        """Bytes in use, without file cache that can be given back."""
        stat = _fields(self.memory_folder / "memory.stat")
        old = self.memory_folder / "memory.usage_in_bytes"
        if old.exists():
            return int(old.read_text(encoding="ascii")) - stat["total_inactive_file"]
        used = (self.memory_folder / "memory.current").read_text(encoding="ascii")
        return int(used) - stat["inactive_file"]
