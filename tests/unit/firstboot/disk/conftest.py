"""A machine with an encrypted disk in a model, and consoles that type what a test wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firstboot.disk import protect, recovery
from firstboot.disk.places import Places
from firstboot.system import cryptenroll, cryptsetup
from firstboot.system.console import Console
from firstboot.system.secureboot import VENDOR
from tests.unit.firstboot.disk.luks import Disk, Slot

KEY_FILE = "0f" * 32
PASSPHRASE = "correct horse battery"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A machine without a TPM, as the initrd leaves it at the first start."""
    places = Places.below(tmp_path / "machine")
    for directory in (places.paths.state_partition, places.paths.esp, places.paths.runtime):
        directory.mkdir(parents=True)
    mapped = places.mapper.parent / "dm-0"
    (places.block / "dm-0/slaves/vda6").mkdir(parents=True)
    mapped.parent.mkdir(parents=True)
    mapped.touch()
    places.mapper.symlink_to(mapped)
    found = Disk(places, {0: Slot(KEY_FILE)})
    places.key_file.write_text(KEY_FILE)
    monkeypatch.setattr(cryptsetup, "run", found.run)
    monkeypatch.setattr(cryptenroll, "run", found.run)
    for module in (protect, recovery):
        write = module.write_atomic

        def counted(path: Path, data: str, *, mode: int, write: Any = write) -> None:
            found.step()
            write(path, data, mode=mode)

        monkeypatch.setattr(module, "write_atomic", counted)
    return found


@pytest.fixture
def console() -> Console:
    return Console(())


def give_tpm(disk: Disk, serial: int | None) -> None:
    """Put another TPM into the machine, and start a UKI there that it can measure; or none."""
    places = disk.places
    disk.tpm = serial
    (places.tpms / "tpmrm0").mkdir(parents=True, exist_ok=True)
    places.public_key.parent.mkdir(parents=True, exist_ok=True)
    places.public_key.write_text("-----BEGIN PUBLIC KEY-----\n")
    if serial is None:
        (places.tpms / "tpmrm0").rmdir()


def enforce_secure_boot(places: Places) -> None:
    places.paths.efivars.mkdir(parents=True, exist_ok=True)
    (places.paths.efivars / f"SecureBoot-{VENDOR}").write_bytes(b"\6\0\0\0\1")
