"""An installation with something to lose, and its backup in a repository of the real restic."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from firstboot.backup.keys import Recovery, present_recovery, repository_password
from firstboot.backup.staging import vault_id
from firstboot.base.paths import Paths
from firstboot.base.state import claim_state
from firstboot.system.restic import Restic, Written
from tests.unit.firstboot.repositories import make_repository
from tests.unit.firstboot.samples import SETTINGS

ADA = "ada@example.com"
VAULT = f"mail/mailstore/vaults/{vault_id(ADA)}.vault"
SPOOL = f"mail/mailstore/spool/{vault_id(ADA)}"
FILES = {
    VAULT: b"ada's mail" * 5000,
    f"{VAULT}-wal": b"and what is in the log of it",
    f"{SPOOL}/1.sealed": b"sealed before the backup",
    "mail/mailstore/vaults/0123.vault": bytes(range(256)) * 900,
    "mail/directory/database/directory.db": b"who is who",
    "mail/secrets/directory_key": b"ab" * 32,
    "mail/dkim/example.com/m1.pem": b"a key",
    "mail/tls/key.pem": b"another key",
    "ssh/ssh_host_ed25519_key": b"the SSH server's",
}
LOCAL = {
    "disk.json": b"of this disk",
    "machine-id": b"of this machine",
    "updates/history.json": b"x",
}


@dataclass
class Backed:
    """A machine at `paths`, and its repository as the machine itself opens it."""

    paths: Paths
    restic: Restic
    recovery: Recovery
    folder: Path

    def back_up(self) -> Written:
        return self.restic.backup(self.paths.state_partition, host="mail.example.com")

    def by_code(self, code: str = "") -> Restic:
        return replace(self.restic, password=(code or self.recovery.code).encode())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk does not matter where no power goes; a busy host takes seconds for it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture(scope="session")
def first_backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for all tests, which copy it."""
    root = tmp_path_factory.mktemp("backed")
    paths = machine(root / "old")
    fill(paths, {**FILES, **LOCAL, "settings.yaml": SETTINGS.encode()})
    claim_state(paths.state_format)
    made = _backed(root)
    code = {f"kit-{made.recovery.kit}": made.recovery.code.encode()}
    make_repository(made.folder, {"machine": made.restic.password, **code})
    made.back_up()
    return root


@pytest.fixture
def backed(first_backup: Path, tmp_path: Path) -> Backed:
    root = tmp_path / "backed"
    shutil.copytree(first_backup, root)
    return _backed(root)


def _backed(root: Path) -> Backed:
    paths, folder = Paths.below(root / "old"), root / "repository"
    location = root / "location"
    location.write_text(str(folder))
    restic = Restic(location, repository_password(paths), root)
    return Backed(paths, restic, present_recovery(paths), folder)


@pytest.fixture
def fresh(tmp_path: Path) -> Paths:
    """New hardware at its first start."""
    paths = machine(tmp_path / "new")
    claim_state(paths.state_format)
    fill(paths, {"disk.json": b"of the new disk", "machine-id": b"of the new machine"})
    return paths


def machine(root: Path) -> Paths:
    paths = Paths.below(root)
    paths.state_partition.mkdir(parents=True)
    return paths


def fill(paths: Paths, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = paths.state_partition / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files_of(paths: Paths) -> dict[str, bytes]:
    root = paths.state_partition
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
