"""From power-on to a machine that is set up: memory, waiting, applying, an older state."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.errors import MachineError, ReleaseError, SettingsError, StackError
from firstboot.base.memory import Memory
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings, read_settings
from firstboot.base.state import STATE_FORMAT
from firstboot.setup import boot, seed, waiting
from firstboot.setup.apply import set_up
from firstboot.setup.firewall import raise_firewall
from firstboot.setup.seed import Seed, find_seed
from firstboot.system.console import Console
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.setup.machine import (
    ESP,
    STICK,
    Volumes,
    admit_all,
    make_seed,
    named,
    progress,
)

MIB = 1 << 20


def test_waiting_tells_once_and_goes_on_with_a_corrected_seed(
    volumes: Volumes,
    paths: Paths,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing, nothing, a wrong seed twice, another mistake, then the right one."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)
    wrong, worse = named("mail"), SETTINGS.replace("version: 1", "version: 9")
    script = iter([None, None, wrong, wrong, worse, SETTINGS])

    def look(where: Paths, admit: seed.Admit, bring_back: seed.BringBack) -> seed.Search:
        text = next(script)
        if text is None:
            programs.lsblk(ESP)
        else:
            programs.lsblk(STICK, ESP)
            volumes.write(stick=text)
        return find_seed(where, admit, bring_back)

    monkeypatch.setattr(waiting, "find_seed", look)
    found = waiting.wait_for_seed(
        paths, Console(()), admit_all, lambda: "", seed.bring_back_nothing
    )
    assert isinstance(found, Seed)
    assert found.settings.hostname == "mail.example.com"
    out = capsys.readouterr().out
    assert out.count("THIS MACHINE HAS NO SETTINGS YET") == 1
    assert out.count("THESE SETTINGS CANNOT BE USED") == 2
    assert out.count("mailstead: waiting for settings\n") == 3
    assert out.count("/dev/sda/mailstead.yaml:2: hostname: expected at least two labels") == 1
    assert out.count("/dev/sda/mailstead.yaml:1: version: expected 1, got 9") == 1
    assert out.isascii()
    assert not paths.settings.exists()
    assert not paths.state.exists()


def test_set_up_keeps_the_seed_as_it_was_written(volumes: Volumes, paths: Paths) -> None:
    text = SETTINGS + "# a comment of the owner\n"
    set_up(make_seed(text), paths)
    assert paths.settings.read_text() == text
    assert paths.settings.stat().st_mode & 0o7777 == 0o600
    assert (paths.etc / "hostname").read_text() == "mail.example.com\n"
    assert (paths.networkd / "10-mailstead.network").is_file()
    assert paths.compose_file.is_file()
    assert paths.firewall.is_file()
    assert read_settings(paths.settings) == parse_settings(text, "")


@pytest.mark.parametrize(
    ("kept", "ports"), [("", [80, 443]), (SETTINGS, [587, 993]), ("hostname: mail\n", [])]
)
def test_the_firewall_is_raised_before_anything_else(
    programs: FakePrograms, paths: Paths, kept: str, ports: list[int]
) -> None:
    """Also on a machine that is not set up, and on one whose settings are damaged."""
    programs.add("nft", f'case "$1" in -f) cat >{programs.directory}/rules ;; esac')
    if kept:
        paths.settings.write_text(kept)
    assert [opening.port for opening in raise_firewall(paths)] == ports
    rules = (programs.directory / "rules").read_text()
    assert ("tcp dport { " in rules) == bool(ports)
    assert all(str(port) in rules for port in ports)
    # The setup's pages listen where no service's port is in their way.
    assert ("443 : 8443" in rules) == (not kept)


def test_failed_set_up_leaves_a_machine_without_settings(volumes: Volumes, paths: Paths) -> None:
    (paths.templates / "redis/redis.conf.j2").write_text("{{ undefined }}")
    with pytest.raises(StackError):
        set_up(make_seed(), paths)
    assert not paths.settings.exists()
    assert not (paths.etc / "hostname").exists()
    assert read_settings(paths.settings) is None


def test_settings_are_written_last(
    volumes: Volumes, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_arguments: object) -> None:
        raise MachineError("no network")

    monkeypatch.setattr("firstboot.setup.apply.apply_network", no_network)
    with pytest.raises(MachineError):
        set_up(make_seed(), paths)
    assert not paths.settings.exists()


def test_settings_that_cannot_be_read(paths: Paths) -> None:
    paths.settings.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"settings\.yaml:1: cannot be read"):
        read_settings(paths.settings)


@pytest.mark.parametrize(("mib", "enough"), [(512, False), (899, False), (900, True), (982, True)])
def test_memory_gate(mib: int, enough: bool) -> None:
    memory = Memory(mib * MIB, 100 * MIB)
    if enough:
        waiting.require_memory(memory)
    else:
        with pytest.raises(MachineError, match=f"has {mib} MiB of memory, Mailstead needs 1 GiB"):
            waiting.require_memory(memory)


def test_boot_sets_up_once(
    volumes: Volumes, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    volumes.write(stick=SETTINGS)
    boot.boot(paths, Console(()), admit_all)
    assert progress(capsys) == [
        "console ready",
        "settings from /dev/sda/mailstead.yaml",
        "setup done",
    ]
    volumes.write(stick=named("other.example.com"))
    boot.boot(paths, Console(()), admit_all)
    assert progress(capsys) == ["console ready", "setup done"]
    assert paths.settings.read_text() == SETTINGS
    assert paths.state_format.read_text() == f"{STATE_FORMAT}\n"


def test_boot_takes_restored_settings_while_it_waits(
    volumes: Volumes, paths: Paths, programs: FakePrograms, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.lsblk(ESP)
    asked: list[bool] = []

    def restored() -> str:
        asked.append(paths.settings.exists())
        if len(asked) < 2:
            return ""
        paths.settings.write_text(SETTINGS)
        return "everything"

    boot.boot(paths, Console(()), admit_all, restored)
    assert progress(capsys) == ["console ready", "restored everything", "setup done"]
    assert paths.compose_file.exists()


def test_boot_puts_a_restore_in_place_before_anything_is_read(
    volumes: Volumes, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.settings.write_text("of before the restore")

    def restored() -> str:
        paths.settings.write_text(SETTINGS)
        return "everything"

    boot.boot(paths, Console(()), admit_all, restored)
    assert progress(capsys) == ["console ready", "restored everything", "setup done"]


def test_boot_notes_the_format_of_the_state(volumes: Volumes, paths: Paths) -> None:
    volumes.write(stick=SETTINGS)
    paths.state_format.write_text(f"{STATE_FORMAT + 1}\n")
    boot.boot(paths, Console(()), admit_all)
    assert paths.state_format.read_text() == f"{STATE_FORMAT + 1}\n"


def test_boot_touches_no_state_that_it_cannot_read(
    volumes: Volumes, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    volumes.write(stick=SETTINGS)
    paths.state_format.write_text(f"{STATE_FORMAT + 2}\n")
    with pytest.raises(ReleaseError, match=f"the state has format {STATE_FORMAT + 2}"):
        boot.boot(paths, Console(()), admit_all)
    assert progress(capsys) == ["console ready"]
    assert paths.state_format.read_text() == f"{STATE_FORMAT + 2}\n"
    assert list(paths.state_partition.iterdir()) == [paths.state_format]


def test_boot_stays_at_the_message_with_too_little_memory(
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class HeldError(Exception):
        pass

    def hold() -> None:
        raise HeldError

    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 500000 kB\nMemAvailable: 400000 kB\n")
    monkeypatch.setattr(boot, "MEMINFO", meminfo)
    monkeypatch.setattr(boot, "hold", hold)
    with pytest.raises(HeldError):
        boot.boot(paths, Console(()), admit_all)
    out = capsys.readouterr().out
    assert "mailstead: error: this machine has 488 MiB of memory, Mailstead needs 1 GiB\n" in out
    assert "mailstead: hint: Give the machine at least 1 GiB" in out
    assert "setup done" not in out
    assert list(paths.state_partition.iterdir()) == []
