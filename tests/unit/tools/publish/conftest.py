"""Small slots with real deltas between them, keys that sign, and what a machine sees of it all."""

from __future__ import annotations

import hashlib
import os
import random
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.manifest import (
    FORMAT,
    ROLES,
    Channel,
    Envelope,
    Manifest,
    ReleaseKey,
    Role,
    parse_envelope,
)
from firstboot.base.signature import open_envelope
from tools.build.slot import Slot, SlotPart
from tools.keys.release import ReleasePair, make_release_pair, verify
from tools.publish.release import promote, publish_slot

UUID = "6d4f0591-4556-f67e-7a48-7b9644f52157"
BUILT = "2026-05-04T03:02:01Z"


@dataclass(frozen=True)
class Keys:
    """One pair of release keys."""

    pair: ReleasePair = field(default_factory=make_release_pair)

    @property
    def trusted(self) -> tuple[ReleaseKey, ...]:
        return (self.pair.public,)

    def sign(self, manifest_text: str) -> Envelope:
        unsigned = Envelope(format=FORMAT, manifest=manifest_text, signatures=())
        return unsigned.model_copy(update={"signatures": (self.pair.sign(unsigned.message),)})


def contents(version: str) -> dict[Role, bytes]:
    """Parts of a version: most of root and UKI is as in others, the rest is its own."""
    own, common = random.Random(version), random.Random("common")  # noqa: S311
    return {
        "verity": own.randbytes(3000),
        "signature": f'{{"rootHash": "{version}"}}'.encode(),
        "root": common.randbytes(90_000) + own.randbytes(4_001) + common.randbytes(90_000),
        "uki": common.randbytes(50_000) + own.randbytes(100) + common.randbytes(10_000),
    }


def write_parts(folder: Path, version: str) -> Slot:
    """A slot with these contents, in files that only their owner may read."""
    folder.mkdir()
    parts: dict[Role, SlotPart] = {}
    for role, data in contents(version).items():
        path = folder / f"mailstead_{version}.{role}"
        path.write_bytes(data)
        path.chmod(0o600)
        parts[role] = SlotPart(path, None if role == "uki" else UUID)
    return Slot(version, "ab" * 32, parts)


@dataclass
class Site:
    """A published directory, who publishes into it, and who reads it."""

    folder: Path
    slots: Path
    keys: Keys
    lines: list[str] = field(default_factory=list)

    def publish(self, version: str, channel: Channel = "candidate", **changes: Any) -> Manifest:
        values: dict[str, Any] = {
            "keys": self.keys,
            "base": "ubuntu",
            "built": BUILT,
            "channel": channel,
            "notes": f"What is new in {version}.",
            "not_before": BUILT,
            "minimum_version": None,
            "state_format": 1,
            "report": self.lines.append,
        }
        values |= changes
        return publish_slot(values.pop("slot", None) or self.slot(version), self.folder, **values)

    def promote(self, version: str, **changes: Any) -> Manifest:
        values: dict[str, Any] = {"keys": self.keys, "report": self.lines.append}
        return promote(self.folder, version, **values | changes)

    def slot(self, version: str) -> Slot:
        folder = self.slots / version
        if not folder.exists():
            return write_parts(folder, version)
        parts: dict[Role, SlotPart] = {
            role: SlotPart(folder / f"mailstead_{version}.{role}", None if role == "uki" else UUID)
            for role in ROLES
        }
        return Slot(version, "ab" * 32, parts)

    def read(self, name: str) -> Manifest:
        """A manifest as a machine gets it: believed only when its signatures are right."""
        envelope = parse_envelope((self.folder / name).read_bytes(), name)
        return open_envelope(envelope, self.keys.trusted, verify, name)

    def head(self, channel: Channel) -> str | None:
        """The newest version of a channel, whose files are all there and whole."""
        if not (self.folder / f"{channel}.json").exists():
            return None
        manifest = self.read(f"{channel}.json")
        self.check(manifest)
        return manifest.version

    def check(self, manifest: Manifest) -> None:
        for part in manifest.parts:
            for transfer in (part.full, *part.deltas):
                path = self.folder / transfer.path
                data = path.read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (
                    transfer.bytes,
                    transfer.sha256,
                )
                assert stat.S_IMODE(path.stat().st_mode) == 0o644

    @property
    def versions(self) -> list[str]:
        """The versions that are there, each with a manifest and all its files."""
        found = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        for version in found:
            if not version.startswith("."):
                self.check(self.read(f"{version}/release.json"))
        return found

    @property
    def state(self) -> dict[str, bytes]:
        """All files with their contents."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(autouse=True)
def fast_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power will not go during a test, and a busy disk can take long."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture
def site(tmp_path: Path, keys: Keys) -> Site:
    slots = tmp_path / "slots"
    slots.mkdir()
    return Site(tmp_path / "site", slots, keys)
