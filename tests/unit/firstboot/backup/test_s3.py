"""A server that speaks S3: backed up to, verified, restored from; and each way to fail there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstboot import cli
from firstboot.backup.engine import back_up
from firstboot.backup.keys import present_recovery
from firstboot.backup.kit import Opening, kit_text
from firstboot.backup.putting import put_in_place
from firstboot.backup.targets import write_credentials
from firstboot.backup.verify import verify
from firstboot.base.paths import Paths
from firstboot.base.sections import BackupTarget
from tests.unit.firstboot.backup.appliance import HOST, LABEL, Appliance
from tests.unit.firstboot.backup.laptop import require_opens
from tests.unit.firstboot.backup.servers import S3, s3_server

LIVE = "mail/mailstore/vaults/"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


def target(s3: S3, bucket: str) -> BackupTarget:
    return BackupTarget(name="cloud", repository=f"s3:{s3.address}/{bucket}/mail")


def put_repository(appliance: Appliance, s3: S3, bucket: str) -> None:
    """Copy the empty one that is on the disk, whose keys cost nothing."""
    for file in (path for path in appliance.repository.rglob("*") if path.is_file()):
        key = f"mail/{file.relative_to(appliance.repository).as_posix()}"
        s3.client().put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


def test_from_one_machine_to_another_with_the_kit(
    appliance: Appliance, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = target(s3, "round")
    machine = appliance.machine(targets=(cloud,))
    write_credentials(appliance.paths, cloud, s3.credentials)
    appliance.begin_repository(machine)
    client = s3.client()
    for found in client.list_objects_v2(Bucket="round")["Contents"]:
        client.delete_object(Bucket="round", Key=found["Key"])
    put_repository(appliance, s3, "round")
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.reason == ""
    assert entry.checked
    assert verify(machine, cloud, appliance.said.append, everything=True).reason == ""
    recovery = present_recovery(appliance.paths)
    page = kit_text(HOST, recovery, [Opening(cloud.name, cloud.repository)])
    keys = {"ACCESS_KEY_ID='...'": s3.key, "SECRET_ACCESS_KEY='...'": s3.secret}
    typed_in = {text: text.replace("...", value) for text, value in keys.items()}
    require_opens(page, typed_in, tmp_path / "laptop", appliance)
    fresh = Paths.below(tmp_path / "fresh")
    fresh.state_partition.mkdir(parents=True)
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: fresh)
    # As at the console: the place, what lets us in, the code of the kit.
    typed = f"{cloud.repository}\n{s3.key} {s3.secret}\n{recovery.code}\n"
    done = CliRunner().invoke(cli.mailstead, ["backup", "restore"], input=typed)
    assert done.exit_code == 0, done.exception
    assert "restore: fetched: " in done.stderr
    assert "fetched and compared" in done.stderr
    put_in_place(fresh)
    vaults = {
        n: c for n, c in appliance.files().items() if n.startswith(LIVE) and n.endswith(".vault")
    }
    assert vaults
    assert {n: (fresh.state_partition / n).read_bytes() for n in vaults} == vaults
    kept = fresh.backup_credentials / "cloud"
    assert kept.read_text() == s3.credentials, "the backups go on there"


@pytest.mark.parametrize("wrong", [{"secret": "wrong"}, {"key": "AKIAUNKNOWN"}])
def test_credentials_that_were_taken_back(
    appliance: Appliance, s3: S3, wrong: dict[str, str]
) -> None:
    """And the other targets get their backup."""
    cloud, disk = target(s3, "wrong"), BackupTarget(name="disk", repository=f"disk:{LABEL}")
    machine = appliance.machine(targets=(cloud, disk))
    write_credentials(appliance.paths, cloud, replace(s3, **wrong).credentials)
    first, second = back_up(machine, machine.targets, appliance.said.append)
    assert "cannot be entered" in first.reason
    assert s3.secret not in first.reason
    assert second.reason == ""


def test_an_object_that_is_gone(appliance: Appliance, s3: S3) -> None:
    cloud, client = target(s3, "gone"), s3.client()
    client.create_bucket(Bucket="gone")
    put_repository(appliance, s3, "gone")
    machine = appliance.machine(targets=(cloud,))
    write_credentials(appliance.paths, cloud, s3.credentials)
    back_up(machine, machine.targets, appliance.said.append)
    objects = client.list_objects_v2(Bucket="gone", Prefix="mail/data/")["Contents"]
    client.delete_object(Bucket="gone", Key=max(objects, key=lambda found: found["Size"])["Key"])
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "has errors" in entry.reason
