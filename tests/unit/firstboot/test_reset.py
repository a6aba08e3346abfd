"""A reset: what has to be typed, and a power cut at every step of what the early stage does."""

from __future__ import annotations

import shutil
import struct
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths
from firstboot.base.run import run
from firstboot.reset import commands
from firstboot.reset import reset as module
from firstboot.system.maintenance import maintenance
from tests.unit.firstboot.conftest import Command, FakePrograms
from tests.unit.firstboot.samples import SETTINGS

INITRD = Path(__file__).parents[3] / "images/early/mkosi.extra/usr/lib"
NAME = "mail.example.com"
UUID, OTHER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


@pytest.fixture
def call(
    paths: Paths,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
    mailstead: Command,
) -> Command:
    """Run `mailstead reset …` on a machine that is set up: exit code and output."""
    programs.add("systemctl")
    programs.add("cryptsetup", f"echo {UUID}")
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    monkeypatch.setattr(module, "backing_device", lambda _mapper: Path("/dev/vda8"))
    paths.esp.mkdir()
    paths.settings.write_text(SETTINGS)
    return partial(mailstead, "reset")


@pytest.mark.parametrize("what", ["settings", "everything"])
def test_without_the_machines_name_nothing_happens(
    call: Command, paths: Paths, programs: FakePrograms, what: str
) -> None:
    for arguments, typed in (((), "\n"), ((), "yes\n"), (("--yes", "mail"), ""), ((), "")):
        assert call(what, *arguments, stdin=typed)[0] != 0
    assert paths.settings.read_text() == SETTINGS
    assert not paths.reset_mark.exists()
    assert programs.calls == []


def test_settings_are_forgotten_and_the_rest_stays(
    call: Command, paths: Paths, programs: FakePrograms
) -> None:
    mail = paths.state / "mailstore/vault"
    mail.parent.mkdir(parents=True)
    mail.write_text("mail")
    assert call("settings", stdin=f"{NAME}\n")[0] == 0
    assert not paths.settings.exists()
    assert mail.read_text() == "mail"
    assert programs.calls == [["systemctl", "reboot"]]


def test_the_mark_names_the_state(call: Command, paths: Paths, programs: FakePrograms) -> None:
    assert call("everything", "--yes", NAME.upper())[0] == 0
    assert paths.reset_mark.read_text() == f"{UUID}\n"
    assert paths.settings.exists(), "it is the early stage that erases"
    luks = ["cryptsetup", "luksUUID", "/dev/vda8"]
    assert programs.calls == [luks, ["systemctl", "reboot"]]


def test_settings_that_cannot_be_read_do_not_prevent_it(call: Command, paths: Paths) -> None:
    paths.settings.write_text("broken")
    name = module.machine_name(paths)
    assert call("everything", "--yes", name)[0] == 0
    assert paths.reset_mark.exists()


@pytest.fixture
def backs_up(paths: Paths, call: Command) -> None:
    """The machine has a place for backups, and none there yet."""
    target = "backup: {targets: [{name: home, repository: 'disk:BACKUP'}]}\n"
    paths.settings.write_text(SETTINGS + target)


@pytest.mark.usefixtures("backs_up")
def test_a_last_backup_is_offered(call: Command, paths: Paths, programs: FakePrograms) -> None:
    programs.add("mailstead")
    code, said = call("everything", stdin=f"\n{NAME}\n")
    assert code == 0, said
    assert "Backup to home: NONE YET" in said
    luks = ["cryptsetup", "luksUUID", "/dev/vda8"]
    assert programs.calls == [["mailstead", "backup", "now"], luks, ["systemctl", "reboot"]]
    assert paths.reset_mark.exists()


@pytest.mark.usefixtures("backs_up")
@pytest.mark.parametrize("words", [(), ("--yes", NAME)], ids=["answered", "without a person"])
def test_nobody_has_to_make_one(
    call: Command, paths: Paths, programs: FakePrograms, words: tuple[str, ...]
) -> None:
    programs.add("mailstead")
    code, said = call("everything", *words, stdin="" if words else f"n\n{NAME}\n")
    assert code == 0, said
    assert "mailstead" not in [name for name, *_ in programs.calls]
    assert paths.reset_mark.exists()


@pytest.mark.usefixtures("backs_up")
def test_without_the_backup_that_was_wanted_nothing_is_erased(
    call: Command, paths: Paths, programs: FakePrograms
) -> None:
    programs.add("mailstead", "exit 17")
    code, said = call("everything", stdin=f"y\n{NAME}\n")
    assert code == 8
    assert "nothing was erased" in said
    assert not paths.reset_mark.exists()
    assert programs.calls == [["mailstead", "backup", "now"]]


def test_where_there_are_no_backups_that_is_said(call: Command, paths: Paths) -> None:
    code, said = call("everything", stdin=f"{NAME}\n")
    assert code == 0
    assert "no place for a last backup" in said


def test_not_during_an_upgrade(call: Command, paths: Paths) -> None:
    with maintenance(paths.maintenance_lock, "an upgrade", MachineError):
        assert call("everything", "--yes", NAME)[0] == 8
        assert call("settings", "--yes", NAME)[0] == 8
    assert not paths.reset_mark.exists()
    assert paths.settings.exists()


def luks_header(uuid_: str) -> bytes:
    """The binary header of LUKS2 (LUKS2 On-Disk Format, 2.1)."""
    fields = (b"LUKS\xba\xbe", 2, 16384, 1, b"", b"sha256", b"", uuid_.encode())
    return struct.pack(">6sHQQ48s32s64s40s", *fields).ljust(4096, b"\0")


@dataclass
class EarlyStage:
    """The script of the initrd, with files in the place of partitions.

    Each program that it runs is a step; after `lasts` of them the power goes.
    """

    root: Path

    @property
    def esp(self) -> Path:
        return self.root / "esp"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def asked_for_anew(self) -> bool:
        """Whether `make-layout` will make another state."""
        return (self.root / "run/reset").exists()

    def prepare(self, uuid_: str) -> None:
        self.esp.mkdir(parents=True)
        (self.esp / "mailstead-state.key").write_text("key")
        self.state.write_bytes(luks_header(uuid_) + bytes(8192) + b"mail" * 100_000)
        programs = self.root / "programs"
        programs.mkdir()
        real = {name: shutil.which(name) for name in ("dd", "rm")}
        bodies = {name: f'exec {path} "$@"' for name, path in real.items()}
        # The real one needs a device; the file system is a folder here.
        bodies |= {
            "mount": f'shift $(($# - 1)); rmdir "$1" && ln -s {self.esp} "$1"',
            "umount": 'rm "$1" && mkdir "$1"',
            "blkdiscard": "exit 1",
        }
        for name, body in bodies.items():
            count = f"n=$(cat {self.root}/steps); echo $((n + 1)) >{self.root}/steps"
            lasts = f'[ "$n" -lt "$(cat {self.root}/lasts)" ]'
            cut = f"{lasts} || {{ kill -9 $(cat {self.root}/pid); exit 9; }}"
            (programs / name).write_text(f"#!/bin/sh\n{count}\n{cut}\n{body}\n")
            (programs / name).chmod(0o755)
        (self.root / "common").write_text(
            f"set -eu\necho $$ >{self.root}/pid\nsay=echo\nrun={self.root}/run\nmkdir -p $run\n"
            'refuse() { echo "$*"; exit 1; }\n'
            "find_partition() { case $2 in"
            f" mailstead-state) [ ! -e {self.state} ] || echo {self.state} ;;"
            f" *) echo {self.esp} ;; esac; }}\n"
        )
        text = (INITRD / "mailstead/reset-state").read_text()
        moved = text.replace("/usr/lib/mailstead/common", str(self.root / "common"))
        (self.root / "reset-state").write_text(moved)

    def mark(self, uuid_: str) -> None:
        (self.esp / "mailstead-reset").write_text(f"{uuid_}\n")

    def start(self, lasts: int = 1000) -> int:
        """Run it, and return how many steps were made; a start forgets what was in memory."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "steps").write_text("0")
        (self.root / "lasts").write_text(str(lasts))
        path = f"{self.root}/programs:/usr/bin:/bin"
        done = run(["sh", self.root / "reset-state"], env={"PATH": path}, check=False, timeout=300)
        if lasts == 1000:
            assert done.returncode == 0, done.stdout + done.stderr
        return int((self.root / "steps").read_text())


@pytest.fixture
def early(tmp_path: Path) -> EarlyStage:
    found = EarlyStage(tmp_path / "machine")
    found.prepare(UUID)
    return found


def test_without_a_mark_nothing_is_touched(early: EarlyStage) -> None:
    before = early.state.read_bytes()
    early.start()
    assert early.state.read_bytes() == before
    assert not early.asked_for_anew
    assert (early.esp / "mailstead-state.key").exists()


def test_the_state_that_is_named_is_erased(early: EarlyStage) -> None:
    early.mark(UUID)
    early.start()
    assert early.state.read_bytes()[: 16 << 20].strip(b"\0") == b""
    assert not (early.esp / "mailstead-state.key").exists()
    assert early.asked_for_anew


def test_a_mark_that_was_left_over_erases_nothing_and_goes(early: EarlyStage) -> None:
    before = early.state.read_bytes()
    early.mark(OTHER)
    early.start()
    assert early.state.read_bytes() == before
    assert not early.asked_for_anew
    assert not (early.esp / "mailstead-reset").exists()
    assert (early.esp / "mailstead-state.key").exists()


def test_a_cut_at_any_step_leaves_a_machine_that_goes_on(tmp_path: Path) -> None:
    whole = EarlyStage(tmp_path / "whole")
    whole.prepare(UUID)
    whole.mark(UUID)
    steps = whole.start()
    assert steps >= 8
    for lasts in range(steps):
        early = EarlyStage(tmp_path / f"machine{lasts}")
        early.prepare(UUID)
        early.mark(UUID)
        early.start(lasts)
        early.start()
        assert early.asked_for_anew
        assert early.state.read_bytes()[: 16 << 20].strip(b"\0") == b""
        assert (early.esp / "mailstead-reset").exists()


def test_a_cut_after_the_new_state_was_made(early: EarlyStage) -> None:
    """The mark is still there; the state has another UUID then, or is not there yet."""
    early.mark(UUID)
    early.start()
    early.state.unlink()
    early.start()
    assert not early.asked_for_anew
    assert (early.esp / "mailstead-reset").exists()
    early.state.write_bytes(luks_header(OTHER) + b"new mail")
    for _ in range(2):
        early.start()
        assert early.state.read_bytes().endswith(b"new mail")
        assert not (early.esp / "mailstead-reset").exists()
