"""A machine that is being set up."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.setup.machine import ESP, STICK, Volumes


@pytest.fixture
def volumes(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    made = Volumes(tmp_path / "stick", tmp_path / "esp", tmp_path / "credentials")
    for path in (made.stick, made.esp, made.credentials):
        path.mkdir()
    programs.lsblk(STICK, ESP)
    programs.mount_copies(("/dev/sda", made.stick), ("/dev/vda1", made.esp))
    programs.add("systemctl", "exit 3")
    programs.add("nft", "cat")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made.credentials))
    monkeypatch.setattr(socket, "sethostname", lambda _name: None)
    return made
