"""Fixtures: programs faked on PATH, and an appliance's files below a temporary directory."""

from __future__ import annotations

import io
import json
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from firstboot import cli
from firstboot.base.paths import Paths
from tests.unit.firstboot.samples import write_share

_SCRIPT = """\
#!/bin/sh
{{ for word in "$0" "$@"; do printf '%s\\n' "$word"; done; printf '\\036'; }} >>{log}
{body}
"""


@dataclass(frozen=True)
class FakePrograms:
    """Programs first on PATH that write down how they were called."""

    directory: Path

    def add(self, name: str, body: str = "") -> None:
        """A shell script in the place of a program."""
        path = self.directory / name
        path.write_text(_SCRIPT.format(log=self.directory / "calls", body=body))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        """Each call so far: the program's name and its arguments."""
        log = self.directory / "calls"
        records = log.read_text().split("\x1e")[:-1] if log.exists() else []
        words = [record.splitlines() for record in records]
        return [[Path(program).name, *arguments] for program, *arguments in words]

    def lsblk(self, *devices: dict[str, str | None]) -> None:
        """An lsblk that lists these devices from now on."""
        listing = self.directory / "lsblk.json"
        listing.write_text(json.dumps({"blockdevices": devices}))
        self.add("lsblk", f"cat {listing}")

    def mount_copies(self, *volumes: tuple[str, Path]) -> None:
        """A mount that shows a device's files by copying them from a directory."""
        cases = "\n".join(f"{device}) cp -R {source}/. $4/ ;;" for device, source in volumes)
        self.add("mount", f'case "$3" in\n{cases}\n*) echo no such device >&2; exit 32 ;;\nesac')
        self.add("umount", 'rm -rf "$1"/*')


class Command(Protocol):
    """A command line, and what is typed: exit code and all output."""

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str]: ...


@pytest.fixture
def mailstead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `mailstead …`, in this process."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["mailstead", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out + captured.err

    return run


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    directory = tmp_path / "programs"
    directory.mkdir()
    # The restic that `tools/forge test` has chosen, which need not be the host's.
    restic = Path(shutil.which("restic") or "/usr/bin/restic").parent
    monkeypatch.setenv("PATH", f"{directory}:{restic}:/usr/bin:/bin")
    return FakePrograms(directory)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An appliance before its first setup."""
    found = Paths.below(tmp_path / "root")
    found.state_partition.mkdir(parents=True)
    found.etc.mkdir()
    write_share(found.share)
    return found
