"""Seeds: where they are looked for, and which one is taken."""

from __future__ import annotations

from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths
from firstboot.base.settings import Settings, parse_settings
from firstboot.setup.seed import Seed, find_seed
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.setup.machine import ESP, Volumes, admit_all, named


def test_seeds_are_taken_in_order(volumes: Volumes, paths: Paths) -> None:
    volumes.write(esp=named("esp.example.com"))
    found = find_seed(paths, admit_all).seed
    assert isinstance(found, Seed)
    assert (found.source, found.settings.hostname) == (
        "/dev/vda1/mailstead.yaml",
        "esp.example.com",
    )
    volumes.write(stick=named("stick.example.com"))
    found = find_seed(paths, admit_all).seed
    assert isinstance(found, Seed)
    assert found.source == "/dev/sda/mailstead.yaml"
    volumes.write(credential=named("credential.example.com"))
    found = find_seed(paths, admit_all).seed
    assert isinstance(found, Seed)
    assert found.source == "credential mailstead.seed"
    assert found.text == named("credential.example.com")


def test_no_seed_anywhere(volumes: Volumes, paths: Paths, programs: FakePrograms) -> None:
    programs.lsblk(ESP)
    search = find_seed(paths, admit_all)
    assert search.seed is None
    assert search.errors == ()


def test_labelled_volume_without_the_file_is_told(volumes: Volumes, paths: Paths) -> None:
    (error,) = find_seed(paths, admit_all).errors
    assert str(error) == "volume MAILSTEAD (/dev/sda) has no file mailstead.yaml"
    assert error.hint


def test_good_seed_makes_up_for_a_wrong_one(volumes: Volumes, paths: Paths) -> None:
    volumes.write(credential="version: 1", stick=SETTINGS)
    search = find_seed(paths, admit_all)
    assert isinstance(search.seed, Seed)
    assert search.seed.source == "/dev/sda/mailstead.yaml"
    (error,) = search.errors
    assert "credential mailstead.seed:1: hostname: expected" in str(error)


def test_seed_makes_up_for_a_credential_that_is_garbage(volumes: Volumes, paths: Paths) -> None:
    entry = paths.firmware / "dmi/entries/11-0"
    entry.mkdir(parents=True)
    string = b"io.systemd.credential.binary:mailstead.seed=?"
    (entry / "raw").write_bytes(b"\x0b\x05\0\0\x01" + string + b"\0\0")
    volumes.write(stick=SETTINGS)
    search = find_seed(paths, admit_all)
    assert isinstance(search.seed, Seed)
    assert search.seed.source == "/dev/sda/mailstead.yaml"
    (error,) = search.errors
    assert "11-0/raw is not Base64" in str(error)


def test_seed_from_a_windows_editor(volumes: Volumes, paths: Paths) -> None:
    text = "\ufeff" + SETTINGS.replace("\n", "\r\n")
    (volumes.stick / "mailstead.yaml").write_bytes(text.encode())
    found = find_seed(paths, admit_all).seed
    assert isinstance(found, Seed)
    assert found.settings == parse_settings(SETTINGS, "")


def test_seed_in_another_encoding(volumes: Volumes, paths: Paths) -> None:
    (volumes.stick / "mailstead.yaml").write_bytes(b"version: 1\nhostname: \xe4\n")
    (error,) = find_seed(paths, admit_all).errors
    assert str(error) == ("/dev/sda/mailstead.yaml:2: expected text in UTF-8, got another encoding")


def test_settings_that_the_machine_cannot_live_with_make_way_for_others(
    volumes: Volumes, paths: Paths
) -> None:
    def admit(settings: Settings) -> None:
        if settings.hostname == "stick.example.com":
            raise MachineError("this machine has no TPM")

    volumes.write(stick=named("stick.example.com"), esp=named("esp.example.com"))
    search = find_seed(paths, admit)
    assert isinstance(search.seed, Seed)
    assert search.seed.source == "/dev/vda1/mailstead.yaml"
    assert [str(error) for error in search.errors] == ["this machine has no TPM"]
    (volumes.esp / "mailstead.yaml").unlink()
    assert find_seed(paths, admit).seed is None


def test_unreadable_volume_does_not_hide_others(
    volumes: Volumes, paths: Paths, programs: FakePrograms
) -> None:
    volumes.write(esp=SETTINGS)
    programs.mount_copies(("/dev/vda1", volumes.esp))
    search = find_seed(paths, admit_all)
    assert search.seed is not None
    assert "no such device" in str(search.errors[0])


def test_without_lsblk_the_reason_is_told(
    volumes: Volumes, paths: Paths, programs: FakePrograms
) -> None:
    programs.add("lsblk", "echo no sysfs >&2; exit 1")
    search = find_seed(paths, admit_all)
    assert search.seed is None
    assert "no sysfs" in str(search.errors[0])


def test_answers_that_were_handed_over_are_a_place_like_others(
    volumes: Volumes, paths: Paths
) -> None:
    volumes.write(stick="version: 1\nhostname: mail.example.net\n")
    search = find_seed(paths, admit_all)
    assert search.seed is None
    assert search.given.source == "/dev/sda/mailstead.yaml"
    assert search.given.values == {"version": 1, "hostname": "mail.example.net"}
    paths.handed.parent.mkdir(parents=True)
    paths.handed.write_text(SETTINGS)
    found = find_seed(paths, admit_all).seed
    assert isinstance(found, Seed)
    assert found.source == "the answers"


def test_a_seed_that_is_wrong_besides_leaving_something_open_gives_nothing(
    volumes: Volumes, paths: Paths
) -> None:
    volumes.write(stick="version: 1\nhostnam: mail.example.net\n")
    search = find_seed(paths, admit_all)
    assert search.given.source == ""
    assert "unknown key" in str(search.errors[0])
