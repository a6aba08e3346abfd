"""Which distribution the host runs, read from os-release(5)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

_OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


@dataclass(frozen=True)
class Distribution:
    """`name` is os-release's ID ("debian"), `codename` its VERSION_CODENAME, each "" if absent."""

    name: str
    codename: str
    pretty: str

    @property
    def has_apt(self) -> bool:
        return self.name in {"debian", "ubuntu"}


def host_distribution(path: Path | None = None) -> Distribution:
    """The distribution of this host, or the one that the os-release file at `path` describes."""
    candidates = (path,) if path else _OS_RELEASE
    text = next((file.read_text(encoding="utf-8") for file in candidates if file.exists()), "")
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            values[key.strip()] = "".join(shlex.split(value))
    return Distribution(
        name=values.get("ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        pretty=values.get("PRETTY_NAME", "this host"),
    )
