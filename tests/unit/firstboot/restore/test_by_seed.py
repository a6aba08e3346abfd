"""A seed that asks for a restore: a new machine becomes the old one, and what gets in the way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstboot.backup.putting import restore_waiting
from firstboot.backup.unattended import fetch_ordered
from firstboot.base.codes import new_recovery_code
from firstboot.base.errors import MachineError, MailsteadError, SettingsError
from firstboot.base.paths import Paths
from firstboot.base.restorewish import RestoreOrder, parse_restore
from firstboot.base.settings import Settings, require_settings
from firstboot.setup import boot, restoring, waiting
from firstboot.setup.seed import RestoreSeed, Seed, find_seed
from firstboot.system.console import Console
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.restore.conftest import FILES, Backed, files_of
from tests.unit.firstboot.samples import SETTINGS, write_share
from tools.drill.drill import FETCHED, FETCHING, RESTORED

CODE = new_recovery_code()
PLACE = "disk:BACKUP/repository"
STICK: dict[str, str | None] = {"path": "/dev/sda", "label": "MAILSTEAD", "fstype": "vfat"}
DISK: dict[str, str | None] = {"path": "/dev/sdb", "label": "BACKUP", "fstype": "ext4"}
NETWORK = """\
network:
  method: static
  addresses: [192.0.2.10/24]
  gateways: [192.0.2.1]
  dns: [192.0.2.1]
"""


def seed_text(code: str = CODE, place: str = PLACE, more: str = "") -> str:
    return f'version: 1\nrestore:\n  repository: "{place}"\n  code: {code}\n{more}'


@dataclass
class Hardware:
    """A new machine at its first start, with a stick for the seed and the disk with the backups."""

    paths: Paths
    stick: Path
    programs: FakePrograms
    backed: Backed

    def give(self, text: str) -> None:
        (self.stick / "mailstead.yaml").write_text(text)

    def plug(self, *, disk: bool) -> None:
        """Whether the disk with the backups is there."""
        self.programs.lsblk(STICK)
        if disk:
            mountpoint = str(self.backed.folder.parent)
            self.programs.lsblk(STICK, {**DISK, "mountpoint": mountpoint})

    def boot(self) -> None:
        console = Console(())

        def bring_back(seed: RestoreSeed) -> None:
            fetch_ordered(self.paths, seed.order, lambda line: console.say(f"restore: {line}"))

        boot.boot(self.paths, console, admit_all, lambda: restore_waiting(self.paths), bring_back)


def admit_all(_settings: Settings) -> None:
    """A machine that can live with any settings."""


@pytest.fixture
def hardware(
    backed: Backed,
    fresh: Paths,
    programs: FakePrograms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Hardware:
    write_share(fresh.share)
    fresh.etc.mkdir()
    made = Hardware(fresh, tmp_path / "stick", programs, backed)
    made.stick.mkdir()
    made.plug(disk=True)
    programs.mount_copies(("/dev/sda", made.stick))
    programs.add("systemctl", "exit 0")
    programs.add("networkctl")
    programs.add("nft", "cat")
    monkeypatch.setattr("firstboot.system.networkd.WAIT_ONLINE", "true")
    monkeypatch.setattr("socket.sethostname", lambda _name: None)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return made


def order(text: str) -> RestoreOrder:
    found = parse_restore(text, "x.yaml")
    assert found is not None
    return found


def test_the_new_machine_starts_as_the_old_one(
    hardware: Hardware, capsys: pytest.CaptureFixture[str]
) -> None:
    hardware.give(seed_text(hardware.backed.recovery.code.upper()))
    hardware.boot()
    out = capsys.readouterr().out
    assert "mailstead: restore from disk:BACKUP/repository, as /dev/sda/mailstead.yaml asks" in out
    assert "mailstead: restored everything, from the backup of " in out
    assert out.rstrip().endswith("mailstead: setup done")
    assert "error" not in out
    # What a drill waits for.
    for pattern in (FETCHING, FETCHED, RESTORED):
        assert re.search(pattern, out)
    found = files_of(hardware.paths)
    # The certificate in the backup is none, so the setup has made one.
    kept = {name: content for name, content in FILES.items() if name != "mail/tls/key.pem"}
    assert {name: found[name] for name in kept} == kept
    assert found["settings.yaml"] == SETTINGS.encode()
    assert found["disk.json"] == b"of the new disk"
    assert not hardware.paths.restore.exists()
    assert hardware.paths.compose_file.exists()


def test_its_network_is_the_seeds(hardware: Hardware) -> None:
    hardware.give(seed_text(hardware.backed.recovery.code, more=NETWORK))
    hardware.boot()
    settings = require_settings(hardware.paths.settings)
    assert settings.network.addresses == ("192.0.2.10/24",)
    assert settings.people[0].address == "ada@example.com"
    assert "Address=192.0.2.10/24" in (hardware.paths.networkd / "10-mailstead.network").read_text()


def test_what_is_wrong_is_told_and_waited_for(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """First there is no disk, then the code is another kit's, then both are right."""
    steps = iter(["no disk", "no disk", "wrong code", "wrong code", "right"])
    right = hardware.backed.recovery.code
    hardware.give(seed_text(right))

    def look(*arguments: object) -> object:
        step = next(steps)
        hardware.plug(disk=step != "no disk")
        hardware.give(seed_text(CODE if step == "wrong code" else right))
        return find_seed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(waiting, "find_seed", look)
    monkeypatch.setattr(restoring, "RETRY_SECONDS", 0.0)
    hardware.boot()
    assert next(steps, "no more") == "no more"
    out = capsys.readouterr().out
    assert out.count("THIS RESTORE DOES NOT WORK YET") == 2
    assert "It is tried again every minute" in out
    assert out.count("mailstead: error: there is no disk labelled BACKUP") == 1
    assert out.count("password does not open it") == 1
    assert out.count("mailstead: waiting for settings\n") == 2
    assert right not in out
    assert CODE not in out
    assert require_settings(hardware.paths.settings).hostname == "mail.example.com"


def test_an_interrupted_restore_goes_on_at_the_next_start(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    hardware.give(seed_text(hardware.backed.recovery.code))
    with monkeypatch.context() as cut:
        cut.setattr("firstboot.backup.restore.write_plan", power_cut)
        with pytest.raises(KeyboardInterrupt):
            hardware.boot()
    assert not hardware.paths.settings.exists()
    assert hardware.paths.staging.exists()
    hardware.boot()
    assert require_settings(hardware.paths.settings).hostname == "mail.example.com"


def test_settings_elsewhere_make_up_for_a_restore_that_fails(hardware: Hardware) -> None:
    hardware.give(seed_text())
    handed = hardware.paths.handed
    handed.parent.mkdir(parents=True, exist_ok=True)
    handed.write_text(SETTINGS)
    search = find_seed(hardware.paths, admit_all)
    assert isinstance(search.seed, Seed)
    handed.unlink()
    search = find_seed(hardware.paths, admit_all)
    assert (search.seed, search.failed) == (None, True)


def test_a_set_up_machine_looks_for_no_restore(hardware: Hardware) -> None:
    shutil.rmtree(hardware.backed.folder)
    hardware.paths.settings.write_text(SETTINGS)
    hardware.give(seed_text(hardware.backed.recovery.code))
    hardware.boot()
    assert ["mount"] not in [call[:1] for call in hardware.programs.calls]


def test_the_network_is_there_before_a_place_in_it_is_tried(
    hardware: Hardware, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("wait-online", "exit 1")
    monkeypatch.setattr("firstboot.system.networkd.WAIT_ONLINE", "wait-online")
    called: list[list[str]] = []

    def bring_back(_seed: RestoreSeed) -> None:
        called.extend(programs.calls)

    trying = restoring.Restoring(bring_back, hardware.paths, Console(()))
    trying(RestoreSeed("one", order(seed_text(more=NETWORK))))
    assert [call[0] for call in called] == ["systemctl", "networkctl", "systemctl"]
    called.clear()
    trying(RestoreSeed("two", order(seed_text(place="rest:https://x.example.com/", more=NETWORK))))
    assert called[-1][:2] == ["wait-online", "--any"]
    assert "Address=192.0.2.10/24" in (hardware.paths.networkd / "10-mailstead.network").read_text()


def clock() -> Iterator[float]:
    yield from (0.0, 30.0, 59.0, 61.0, 62.0, 63.0)


def test_the_same_restore_is_tried_once_a_minute(hardware: Hardware) -> None:
    tried: list[str] = []

    def fail(seed: RestoreSeed) -> None:
        tried.append(seed.source)
        raise MachineError(f"try {len(tried)}")

    now = clock()
    trying = restoring.Restoring(fail, hardware.paths, Console(()), lambda: next(now))
    first, second = (RestoreSeed(name, order(seed_text())) for name in ("one", "two"))
    said = []
    for seed in (first, first, first, first, second):
        with pytest.raises(MailsteadError) as caught:
            trying(seed)
        said.append(str(caught.value))
    # At 0 s; at 30 s and 59 s the same again; then a minute is over; another seed at once.
    assert said == ["try 1", "try 1", "try 1", "try 2", "try 3"]
    assert tried == ["one", "one", "two"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            seed_text(code="abcd-efgh"),
            "x.yaml:4: restore.code: expected the recovery code of the kit",
        ),
        (
            seed_text(code="1234567"),
            "x.yaml:4: restore.code: expected the recovery code of the kit",
        ),
        (seed_text(place="backup.example.com"), "x.yaml:3: restore.repository: expected a place"),
        (seed_text(place="/folder"), "x.yaml:3: restore.repository: expected a place such as"),
        (seed_text(more="hostname: mail.example.com\n"), "x.yaml:5: hostname: unknown key"),
        (seed_text(more="  credentials: [a]\n"), "x.yaml:5: restore.credentials: expected text"),
        (seed_text(more="network: {method: static}\n"), "network.addresses: expected at least one"),
        ("version: 1\nrestore:\n", "x.yaml:2: restore: expected a mapping"),
        (seed_text().replace("version: 1", "version: 2"), "x.yaml:1: version: expected 1, got 2"),
    ],
    # The code is another one in each process of a run.
    ids=[
        *("no-code", "short-code", "no-place", "folder", "unknown-key", "no-text"),
        *("no-addresses", "empty", "version"),
    ],
)
def test_a_wrong_order_is_told_by_its_line(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_restore(text, "x.yaml")
    assert problem in str(caught.value)
    assert "docs/backup.md" in caught.value.hint
    for secret in ("abcd-efgh", "1234567"):
        assert secret not in str(caught.value)


def test_settings_are_no_order() -> None:
    assert parse_restore(SETTINGS, "x.yaml") is None
    assert parse_restore("", "x.yaml") is None
    assert repr(order(seed_text())).count(CODE) == 0
