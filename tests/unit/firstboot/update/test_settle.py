"""What becomes of an upgrade at the boots after it, and going back on purpose."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from firstboot.base.errors import MachineError, UpdateRefusedError
from firstboot.system.bootloader import Entry
from firstboot.system.console import Console
from firstboot.update.history import Attempt, failures, write_history
from firstboot.update.rollback import REASON, roll_back
from firstboot.update.settle import Verdict, judge, note_failure, read_failure, settle
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.update.conftest import Appliance

TRIED = Attempt("2.0.0", "1.0.0", "2026-12-01T03:00:00Z", "network", "pending")
CONSOLE = Console(())


def entry(version: str, left: int | None) -> Entry:
    return Entry(version, Path("x"), left, 0)


@pytest.mark.parametrize(
    ("running", "entries", "verdict"),
    [
        ("2.0.0", [entry("2.0.0", None)], Verdict("good")),
        ("2.0.0", [entry("2.0.0", 2)], None),
        ("2.0.0", [entry("2.0.0", None), entry("2.0.0", 2)], None),
        ("1.0.0", [entry("1.0.0", None), entry("2.0.0", 0)], Verdict("failed", "no mail")),
        ("1.0.0", [entry("1.0.0", None), entry("2.0.0", 3)], None),
        ("1.0.0", [entry("1.0.0", None), entry("2.0.0", None)], None),
        ("1.0.0", [entry("1.0.0", None)],
         Verdict("interrupted", "it was not complete when the machine was cut off")),
        # The EFI system partition cannot be read, or not all of it.
        ("1.0.0", [], None),
        ("2.0.0", [], None),
        ("1.0.0", [entry("2.0.0", 0)], None),
    ],
)  # fmt: skip
def test_judge(running: str, entries: list[Entry], verdict: Verdict | None) -> None:
    assert judge(TRIED, running, entries, "no mail") == verdict


def test_failure_without_a_word() -> None:
    verdict = judge(TRIED, "1.0.0", [entry("1.0.0", None), entry("2.0.0", 0)], "")
    assert verdict is not None
    assert "did not start" in verdict.reason


@pytest.fixture
def tried(appliance: Appliance) -> Appliance:
    """2.0.0 has been installed, and something of it has been fetched."""
    write_history(appliance.paths.update_history, [TRIED])
    appliance.entry("mailstead_2.0.0+3-0.efi")
    for folder in (appliance.paths.ready, appliance.paths.downloads):
        folder.mkdir()
        (folder / "leftover").touch()
    return appliance


def leftovers(appliance: Appliance) -> int:
    folders = (appliance.paths.ready, appliance.paths.downloads)
    return sum(len(list(folder.iterdir())) for folder in folders)


def test_version_that_works(tried: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    tried.restart_into("2.0.0")
    assert settle(tried.machine, CONSOLE) is None
    (tried.paths.esp / "EFI/Linux/mailstead_2.0.0+3-0.efi").unlink()
    tried.entry("mailstead_2.0.0.efi")
    settled = settle(tried.machine, CONSOLE)
    assert settled is not None
    assert settled.outcome == "good"
    assert capsys.readouterr().out == "mailstead: upgraded from 1.0.0 to 2.0.0\n"
    assert leftovers(tried) == 0
    assert settle(tried.machine, CONSOLE) is None


def test_version_that_fails(tried: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    tried.paths.settings.write_text(SETTINGS)
    tried.restart_into("2.0.0")
    note_failure(tried.paths, "the round trip failed:\nno answer on port 587")
    tried.restart_into("1.0.0")
    (tried.paths.esp / "EFI/Linux/mailstead_2.0.0+3-0.efi").unlink()
    tried.entry("mailstead_2.0.0+0-3.efi")
    settled = settle(tried.machine, CONSOLE)
    assert settled is not None
    reason = "the round trip failed: no answer on port 587"
    assert (settled.outcome, settled.reason) == ("failed", reason)
    out = capsys.readouterr().out
    assert f"mailstead: the upgrade from 1.0.0 to 2.0.0 failed: {reason}\n" in out
    assert "THE UPGRADE TO 2.0.0 DID NOT WORK" in out
    assert failures(tried.history) == {"2.0.0": reason}
    assert leftovers(tried) == 0
    assert not tried.paths.last_failure.exists()
    assert reason.encode() in (tried.paths.notices / "upgrade-2.0.0.eml").read_bytes()


def test_upgrade_that_was_cut_off(tried: Appliance) -> None:
    (tried.paths.esp / "EFI/Linux/mailstead_2.0.0+3-0.efi").unlink()
    settled = settle(tried.machine, CONSOLE)
    assert settled is not None
    assert settled.outcome == "interrupted"
    assert failures(tried.history) == {}
    # It is needed when the upgrade is repeated.
    assert leftovers(tried) == 2


def test_nothing_to_settle(appliance: Appliance) -> None:
    assert settle(appliance.machine, CONSOLE) is None


def test_word_of_another_version_does_not_count(appliance: Appliance) -> None:
    assert read_failure(appliance.paths, "1.0.0") == ""
    note_failure(appliance.paths, "x" * 5000)
    assert len(read_failure(appliance.paths, "1.0.0")) == 1000
    assert read_failure(appliance.paths, "2.0.0") == ""
    appliance.paths.last_failure.write_bytes(b"\xff\xfe")
    assert read_failure(appliance.paths, "1.0.0") == ""


@pytest.fixture
def upgraded(appliance: Appliance) -> Appliance:
    """2.0.0 runs and is good; 1.0.0 is in the other slot."""
    write_history(appliance.paths.update_history, [TRIED])
    appliance.slots(other="2.0.0")
    appliance.entry("mailstead_2.0.0.efi")
    appliance.restart_into("2.0.0")
    settle(appliance.machine, CONSOLE)
    return appliance


def test_rollback(upgraded: Appliance, capsys: pytest.CaptureFixture[str]) -> None:
    assert roll_back(upgraded.machine) == "1.0.0"
    assert upgraded.entries == ["mailstead_1.0.0+3-0.efi", "mailstead_2.0.0+0-0.efi"]
    assert upgraded.machine.facts().waiting == "1.0.0"
    assert [(a.version, a.outcome) for a in upgraded.history] == [
        ("2.0.0", "good"),
        ("1.0.0", "pending"),
    ]
    upgraded.restart_into("1.0.0")
    rename(upgraded, "1.0.0+3-0", "1.0.0+2-1")
    assert settle(upgraded.machine, CONSOLE) is None
    rename(upgraded, "1.0.0+2-1", "1.0.0")
    settled = settle(upgraded.machine, CONSOLE)
    assert settled is not None
    assert (settled.outcome, settled.how, settled.reason) == ("good", "rollback", REASON)
    assert "went back from 2.0.0 to 1.0.0" in capsys.readouterr().out
    assert failures(upgraded.history) == {"2.0.0": REASON}


def rename(appliance: Appliance, old: str, new: str) -> None:
    """What systemd-boot or systemd-bless-boot does."""
    path = appliance.paths.esp / f"EFI/Linux/mailstead_{old}.efi"
    path.rename(path.with_name(f"mailstead_{new}.efi"))


def test_rollback_to_a_slot_that_rotted(
    upgraded: Appliance, capsys: pytest.CaptureFixture[str]
) -> None:
    roll_back(upgraded.machine)
    rename(upgraded, "1.0.0+3-0", "1.0.0+0-3")
    # It is the last resort, and shows once more that it works.
    rename(upgraded, "2.0.0+0-0", "2.0.0")
    settled = settle(upgraded.machine, CONSOLE)
    assert settled is not None
    assert settled.outcome == "failed"
    assert "the rollback from 2.0.0 to 1.0.0 failed: it did not" in capsys.readouterr().out
    assert list(failures(upgraded.history)) == ["1.0.0"]
    with pytest.raises(UpdateRefusedError, match="no other version"):
        roll_back(upgraded.machine)


def test_rollback_of_a_version_on_trial(upgraded: Appliance) -> None:
    write_history(upgraded.paths.update_history, [TRIED])
    roll_back(upgraded.machine)
    assert [a.outcome for a in upgraded.history] == ["failed", "pending"]
    assert upgraded.history[0].reason == REASON


@pytest.mark.parametrize("place", ["SystemdBoot.prefer", "sync_directory"])
def test_rollback_that_was_cut_off_can_be_repeated(
    upgraded: Appliance, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"firstboot.system.bootloader.{place}", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            roll_back(upgraded.machine)
    assert settle(upgraded.machine, CONSOLE) is None
    assert failures(upgraded.history) == {"2.0.0": REASON}
    assert roll_back(upgraded.machine) == "1.0.0"
    assert upgraded.entries == ["mailstead_1.0.0+3-0.efi", "mailstead_2.0.0+0-0.efi"]


def test_rollback_on_a_disk_that_cannot_be_written(
    upgraded: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_folder: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/efi")

    monkeypatch.setattr("firstboot.system.bootloader.sync_directory", broken)
    with pytest.raises(MachineError, match="/efi: Read-only file system"):
        roll_back(upgraded.machine)


def _power_cut(*_arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("lost", ["slot", "entry", "good"])
def test_nothing_to_go_back_to(upgraded: Appliance, lost: str) -> None:
    path = upgraded.paths.esp / "EFI/Linux/mailstead_1.0.0.efi"
    if lost == "slot":
        listing = upgraded.programs.directory / "partitions.json"
        listing.write_text(listing.read_text().replace("mailstead_1.0.0_verity", "_empty"))
    elif lost == "entry":
        path.unlink()
    else:
        path.rename(path.with_name("mailstead_1.0.0+0-3.efi"))
    with pytest.raises(UpdateRefusedError, match="no other version"):
        roll_back(upgraded.machine)
    assert "mailstead_2.0.0.efi" in upgraded.entries
    assert len(upgraded.history) == 1
