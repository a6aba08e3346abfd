"""Settings in what a cloud hands to a machine: user data of cloud-init."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.codes import new_recovery_code
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.setup.seed import RestoreSeed, Seed, find_seed
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.setup.machine import Volumes, admit_all

CIDATA: dict[str, str | None] = {
    "path": "/dev/sr0",
    "label": "cidata",
    "parttype": None,
    "fstype": "iso9660",
    "mountpoint": None,
}


@pytest.fixture
def disc(volumes: Volumes, programs: FakePrograms, tmp_path: Path) -> Path:
    """A CD whose files tests write, beside the stick and the ESP."""
    made = tmp_path / "disc"
    made.mkdir()
    programs.mount_copies(("/dev/sr0", made))
    return made


def in_cloud_config(settings: str) -> str:
    indented = "".join(f"  {line}\n" for line in settings.splitlines())
    return f"#cloud-config\nhostname: other\nmailstead:\n{indented}users: []\n"


@pytest.mark.parametrize(
    ("label", "name"),
    [("cidata", "user-data"), ("CIDATA", "user-data"), ("config-2", "openstack/latest/user_data")],
)
def test_user_data_of_cloud_init(
    disc: Path, paths: Paths, programs: FakePrograms, label: str, name: str
) -> None:
    (disc / name).parent.mkdir(parents=True, exist_ok=True)
    programs.lsblk({**CIDATA, "label": label})
    for text in (in_cloud_config(SETTINGS), SETTINGS):
        (disc / name).write_text(text)
        found = find_seed(paths, admit_all).seed
        assert isinstance(found, Seed)
        assert found.source == f"/dev/sr0/{name}"
        assert found.settings == parse_settings(SETTINGS, "")
        # What is kept is read again at the next start.
        assert parse_settings(found.text, "") == found.settings
    code = new_recovery_code()
    order = f'version: 1\nrestore:\n  repository: "disk:BACKUP"\n  code: {code}\n'
    asked: list[RestoreSeed] = []
    for text in (in_cloud_config(order), order):
        (disc / name).write_text(text)
        assert find_seed(paths, admit_all, asked.append).seed == asked[-1]
        assert asked[-1].order.restore.code == code


@pytest.mark.parametrize(
    "text", ["#cloud-config\nusers: []\n", "#!/bin/sh\nhostname: x\n", "", "\x1f\x8b\xff", "- a\n"]
)
def test_user_data_for_somebody_else_is_no_error(
    disc: Path, paths: Paths, programs: FakePrograms, text: str
) -> None:
    (disc / "user-data").write_bytes(text.encode("latin-1"))
    programs.lsblk(CIDATA)
    search = find_seed(paths, admit_all)
    assert (search.seed, search.errors) == (None, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (in_cloud_config(SETTINGS + "hostnam: x\n"), "user-data:13: hostnam: unknown key"),
        ("#cloud-config\nmailstead: {version: 1, hostname: mail}\n", "user-data:2: hostname:"),
        ("#cloud-config\nmailstead: yes\n", "user-data:2: expected"),
        ("#cloud-config\nmailstead:\n  - : [\n", "well-formed YAML"),
    ],
)
def test_wrong_settings_in_user_data_are_told_with_their_line(
    disc: Path, paths: Paths, programs: FakePrograms, text: str, said: str
) -> None:
    (disc / "user-data").write_text(text)
    programs.lsblk(CIDATA)
    (error,) = find_seed(paths, admit_all).errors
    assert said in str(error)
