"""systemd-boot's files and variables, as the Boot Loader Interface lays them down."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.errors import MachineError
from firstboot.base.run import run
from firstboot.system import bootloader
from firstboot.system.bootloader import ENTRIES, VENDOR, SystemdBoot
from tests.unit.firstboot.conftest import FakePrograms

IMAGES = Path(__file__).parents[3] / "images"


def make(tmp_path: Path, *names: str, **variables: str) -> SystemdBoot:
    loader = SystemdBoot(tmp_path / "efi", tmp_path / "efivars")
    for folder in (loader.esp / ENTRIES, loader.efivars):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (loader.esp / ENTRIES / name).touch()
    for name, text in variables.items():
        data = b"\x07\0\0\0" + (text + "\0").encode("utf-16-le")
        (loader.efivars / f"{name}-{VENDOR}").write_bytes(data)
    return loader


def names(loader: SystemdBoot) -> list[str]:
    return sorted(path.name for path in (loader.esp / ENTRIES).iterdir())


def test_entries_in_the_order_in_which_they_are_tried(tmp_path: Path) -> None:
    loader = make(
        tmp_path,
        "mailstead_1.9.0.efi",
        "mailstead_1.10.0+2-1.efi",
        "mailstead_2.0.0+0-3.efi",
        "mailstead_1.2.0+3.efi",
        "mailstead_1.2.efi",
        "mailstead_01.2.3.efi",
        "other_3.0.0.efi",
        "mailstead_3.0.0.efi.tmp",
    )
    found = [(e.version, e.tries_left, e.tries_done, e.good) for e in loader.entries()]
    assert found == [
        ("1.10.0", 2, 1, False),
        ("1.9.0", None, 0, True),
        ("1.2.0", 3, 0, False),
        ("2.0.0", 0, 3, False),
    ]
    assert loader.entries()[-1].given_up


def test_no_esp(tmp_path: Path) -> None:
    assert SystemdBoot(tmp_path, tmp_path).entries() == ()


@pytest.mark.parametrize(
    "variables",
    [
        {"LoaderEntrySelected": "mailstead_2.0.0+2-1.efi"},
        {"LoaderEntrySelected": "mailstead_2.0.0.efi"},
        {"LoaderEntrySelected": "MAILSTEAD_2.0.0.EFI@1"},
        {"LoaderBootCountPath": "\\EFI\\Linux\\mailstead_2.0.0+2-1.efi"},
    ],
)
def test_current_entry(tmp_path: Path, variables: dict[str, str]) -> None:
    loader = make(tmp_path, "mailstead_1.0.0.efi", "mailstead_2.0.0+2-1.efi", **variables)
    current = loader.current()
    assert current is not None
    assert (current.version, current.tries_left) == ("2.0.0", 2)


def test_entry_on_trial_decides_when_there_are_two(tmp_path: Path) -> None:
    loader = make(
        tmp_path, "mailstead_1.0.0.efi", "mailstead_1.0.0+1-2.efi",
        LoaderEntrySelected="mailstead_1.0.0.efi",
    )  # fmt: skip
    current = loader.current()
    assert current is not None
    assert not current.good


@pytest.mark.parametrize(
    "variables",
    [{}, {"LoaderEntrySelected": "auto-windows"}, {"LoaderEntrySelected": "mailstead_9.0.0.efi"}],
)
def test_boot_loader_that_does_not_tell(tmp_path: Path, variables: dict[str, str]) -> None:
    assert make(tmp_path, "mailstead_1.0.0.efi", **variables).current() is None


def test_variable_that_is_no_text(tmp_path: Path) -> None:
    loader = make(tmp_path, "mailstead_1.0.0.efi")
    (loader.efivars / f"LoaderEntrySelected-{VENDOR}").write_bytes(b"\x07\0\0\0\xff\xdf\0")
    assert loader.current() is None


def test_scripts_know_in_one_place_what_is_on_trial(tmp_path: Path) -> None:
    """`on-trial` and this module mean the same variable."""
    script = IMAGES / "shared/usr/lib/mailstead/on-trial"
    files = [path for path in IMAGES.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if VENDOR.encode() in path.read_bytes()] == [script]
    moved = script.read_text().replace("/sys/firmware/efi/efivars", str(tmp_path / "efivars"))
    for name, code in (("LoaderEntrySelected", 1), ("LoaderBootCountPath", 0)):
        make(tmp_path, **{name: "\\EFI\\Linux\\mailstead_2.0.0+2-1.efi"})
        assert run(["sh", "-c", moved], check=False).returncode == code


def test_condemned_version_is_gone(tmp_path: Path) -> None:
    loader = make(tmp_path, "mailstead_1.0.0.efi", "mailstead_2.0.0.efi", "mailstead_2.0.0+0-3.efi")
    loader.condemn("2.0.0")
    loader.condemn("3.0.0")
    assert names(loader) == ["mailstead_1.0.0.efi"]


def test_older_version_is_preferred(tmp_path: Path) -> None:
    loader = make(tmp_path, "mailstead_1.0.0+3-0.efi", "mailstead_2.0.0.efi")
    loader.prefer("1.0.0")
    loader.prefer("1.0.0")
    assert names(loader) == ["mailstead_1.0.0+3-0.efi", "mailstead_2.0.0+0-0.efi"]
    assert loader.entries()[0].version == "1.0.0"


def test_preferred_version_that_was_good_is_on_trial_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = make(tmp_path, "mailstead_1.0.0.efi", "mailstead_2.0.0+1-2.efi")
    with monkeypatch.context() as patch:
        patch.setattr(bootloader, "sync_directory", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            loader.prefer("1.0.0")
    assert names(loader) == ["mailstead_1.0.0+3-0.efi", "mailstead_2.0.0+1-2.efi"]
    loader.prefer("1.0.0")
    assert names(loader) == ["mailstead_1.0.0+3-0.efi", "mailstead_2.0.0+0-2.efi"]


def test_newer_version_is_the_last_resort(tmp_path: Path) -> None:
    loader = make(tmp_path, "mailstead_1.0.0+0-3.efi", "mailstead_2.0.0+0-0.efi")
    assert [entry.version for entry in loader.entries()] == ["2.0.0", "1.0.0"]


def _power_cut(_folder: Path) -> None:
    raise KeyboardInterrupt


def test_version_that_is_not_there_cannot_be_preferred(tmp_path: Path) -> None:
    loader = make(tmp_path, "mailstead_2.0.0.efi")
    with pytest.raises(MachineError, match=r"version 1\.0\.0 cannot be started"):
        loader.prefer("1.0.0")
    assert names(loader) == ["mailstead_2.0.0.efi"]


def test_restart(programs: FakePrograms) -> None:
    programs.add("systemctl")
    bootloader.restart()
    assert programs.calls == [["systemctl", "reboot"]]
