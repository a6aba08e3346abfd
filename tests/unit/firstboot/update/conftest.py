"""A machine to upgrade: two slots that are files, a boot loader's files, and fake programs."""

from __future__ import annotations

import dataclasses
import datetime
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.base.manifest import ROLES, Role, dump_keys
from firstboot.base.paths import Paths
from firstboot.base.release import write_release
from firstboot.base.sections import Disk, Updates
from firstboot.system import secureboot
from firstboot.system.bootloader import ENTRIES, VENDOR, SystemdBoot
from firstboot.update.history import Attempt, read_history
from firstboot.update.machine import LABELS, Machine
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import RELEASE
from tests.unit.firstboot.update.published import Publisher, contents, release_key, verify
from tests.unit.firstboot.webserver import WebServer, serving

NOW = datetime.datetime(2026, 12, 1, 3, 0, tzinfo=datetime.UTC)
ENDINGS = {"verity": "verity", "signature": "sig", "root": "root"}
PARTITION_BYTES = 1 << 20

# Like the real one it leaves alone what is there already; `$3` is the version.
_SYSUPDATE = """\
for kind in verity sig root; do cat {ready}/mailstead_$3_*.$kind >{disk}/b-$kind || exit 1; done
cp {ready}/mailstead_$3.efi {entries}/mailstead_$3+3-0.efi
"""


X509 = "a159c0a5e494a74a87b5ab155c2bf072"


def signature_list(*certificates: bytes, kind: str = X509, header: bytes = b"") -> bytes:
    """An EFI_SIGNATURE_LIST of entries that are all equally long."""
    each = 16 + len(certificates[0])
    sizes = struct.pack("<III", 28 + len(header) + each * len(certificates), len(header), each)
    entries = b"".join(b"owner of the key" + certificate for certificate in certificates)
    return bytes.fromhex(kind) + sizes + header + entries


@dataclass
class Appliance:
    """Version 1.0.0 runs in slot A, and is good."""

    paths: Paths
    programs: FakePrograms
    disk: Path
    machine: Machine
    lines: list[str] = field(default_factory=list)

    @property
    def entries(self) -> list[str]:
        return sorted(path.name for path in (self.paths.esp / ENTRIES).iterdir())

    @property
    def history(self) -> tuple[Attempt, ...]:
        return read_history(self.paths.update_history)

    def report(self, line: str) -> None:
        self.lines.append(line)

    def entry(self, name: str) -> None:
        (self.paths.esp / ENTRIES / name).write_bytes(contents("1.0.0")["uki"])

    def started(self, name: str) -> None:
        """What the boot loader says it started."""
        data = b"\x07\0\0\0" + (name + "\0").encode("utf-16-le")
        (self.paths.efivars / f"LoaderEntrySelected-{VENDOR}").write_bytes(data)

    def enforce_secure_boot(self, *certificates: bytes) -> None:
        """What the firmware says when it starts only what one of these has signed."""
        (self.paths.efivars / f"SecureBoot-{secureboot.VENDOR}").write_bytes(b"\6\0\0\0\1")
        data = b"".join(map(signature_list, certificates))
        name = f"db-{secureboot.DATABASE_VENDOR}"
        (self.paths.efivars / name).write_bytes(b"\x27\0\0\0" + data)

    def change(self, *, now: datetime.datetime | None = None, **updates: object) -> None:
        """Another time, other settings."""
        known = self.machine.updates.model_dump() | updates
        self.machine = dataclasses.replace(
            self.machine,
            updates=Updates.model_validate(known),
            now=(lambda: now) if now else self.machine.now,
        )

    def restart_into(self, version: str) -> None:
        """The next boot, which is one of `version`."""
        release = dataclasses.replace(self.machine.release, version=version)
        write_release(self.paths.release, release)
        self.machine = dataclasses.replace(self.machine, release=release)
        self.started(f"mailstead_{version}.efi")

    def slots(self, other: str = "_empty", size: int = PARTITION_BYTES) -> None:
        """What lsblk says of the disk; `other` is the version in slot B."""
        devices = []
        for role, suffix in LABELS.items():
            kind = ENDINGS[role]
            label = other if other == "_empty" else f"mailstead_{other}{suffix}"
            for slot, name in (("a", f"mailstead_1.0.0{suffix}"), ("b", label)):
                path = str(self.disk / f"{slot}-{kind}")
                devices.append(
                    {"path": path, "partlabel": name, "parttype": f"type-{kind}", "size": size}
                )
        listing = self.programs.directory / "partitions.json"
        listing.write_text(json.dumps({"blockdevices": devices}))
        self.programs.add("lsblk", f"cat {listing}")

    def written(self, version: str) -> bool:
        """Whether slot B holds this version."""
        wanted = contents(version)
        roles: tuple[Role, ...] = ("verity", "signature", "root")
        return all((self.disk / f"b-{ENDINGS[r]}").read_bytes() == wanted[r] for r in roles)


@pytest.fixture
def appliance(
    paths: Paths, programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Appliance:
    release = dataclasses.replace(RELEASE, version="1.0.0")
    write_release(paths.release, release)
    paths.release_keys.write_text(dump_keys((release_key("ours"),)))
    disk, entries = tmp_path / "disk", paths.esp / ENTRIES
    for folder in (disk, entries, paths.efivars):
        folder.mkdir(parents=True)
    for role in ROLES[:-1]:
        (disk / f"a-{ENDINGS[role]}").write_bytes(contents("1.0.0")[role])
        (disk / f"b-{ENDINGS[role]}").touch()
    monkeypatch.setattr("firstboot.update.machine.root_disk", lambda: Path("/dev/vda"))
    monkeypatch.setattr("firstboot.update.decide.RESERVE", 0)
    machine = Machine(
        paths=paths,
        loader=SystemdBoot(paths.esp, paths.efivars),
        release=release,
        updates=Updates(),
        disk=Disk(),
        verify=verify,
        now=lambda: NOW,
    )
    made = Appliance(paths, programs, disk, machine)
    made.entry("mailstead_1.0.0.efi")
    made.started("mailstead_1.0.0.efi")
    made.slots()
    programs.add("systemctl")
    programs.add(
        "systemd-sysupdate", _SYSUPDATE.format(ready=paths.ready, disk=disk, entries=entries)
    )
    return made


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    folder = tmp_path / "published"
    folder.mkdir()
    return Publisher(folder)


@pytest.fixture
def web(publisher: Publisher) -> Iterator[WebServer]:
    """A server that shows nothing yet, see `serve`."""
    with serving() as server:
        yield server


def serve(web: WebServer, publisher: Publisher) -> str:
    """Show all that is published now; returns the URL."""
    web.files = {
        str(path.relative_to(publisher.folder)): path.read_bytes()
        for path in publisher.folder.rglob("*")
        if path.is_file()
    }
    return web.url()
