"""The restore drill around a machine that is played: what it does when, and what it reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from firstboot.base.backupplaces import disk_place, repository_problem
from firstboot.base.codes import new_recovery_code
from firstboot.base.errors import SettingsError
from firstboot.base.restorewish import parse_restore
from firstboot.base.run import Completed, run
from tools.drill import commands
from tools.drill.drill import format_drill, run_drill
from tools.drill.errors import DrillError
from tools.drill.source import DISK_PLACE, LABEL, make_disk, read_code, require_place, write_seed
from tools.vm.errors import ConsoleFailureError

CODE = new_recovery_code()
CONSOLE = """\
mailstead: console ready
mailstead: restore from disk:DRILL/., as credential mailstead.seed asks
mailstead: restore: fetching 12 files, 3.4 MiB; then all of it is read again
mailstead: restore: fetched: 3.4 MiB of 3.4 MiB
mailstead: restore: fetched and compared
mailstead: restored everything, from the backup of 2026-11-24T10:00:00
mailstead: setup done
mailstead: error: this machine has no TPM
mailstead: ready mail.example.com
"""
WRONG = """\
mailstead: console ready
mailstead: error: there is no repository at that place
"""


def check(name: str, state: str = "pass", group: str = "mail") -> dict[str, str]:
    return {"name": name, "state": state, "measured": f"what {name} is", "group": group}


@dataclass
class Played:
    """A machine that says `text`, and knows in which order it was asked for what."""

    text: str = CONSOLE
    checks: Sequence[dict[str, str]] = (check("round trip"),)
    did: list[str] = field(default_factory=list)
    uptime: float = 0.0

    @property
    def console_text(self) -> str:
        return self.text

    @property
    def monitor(self) -> Any:
        return SimpleNamespace(execute=lambda name, words: self.did.append(f"{name} {words}"))

    @property
    def guest(self) -> Any:
        return SimpleNamespace(wait_ready=lambda seconds: seconds, run=self._run)

    def wait_for_console(
        self, pattern: str, *, seconds: float, fail_on: Sequence[str] = ()
    ) -> re.Match[str]:
        assert seconds > 0
        self.uptime += 10
        found = re.search(pattern, self.text, re.MULTILINE)
        for failure in fail_on:
            trouble = re.search(failure, self.text)
            if trouble and (found is None or trouble.start() < found.start()):
                raise ConsoleFailureError(f"console showed {trouble[0]!r}")
        assert found, f"{pattern} is said"
        self.did.append(found[0])
        return found

    def _run(self, argv: Sequence[str], **_how: object) -> Completed:
        self.did.append(" ".join(argv))
        found = {"ok": True, "checks": self.checks}
        return Completed(tuple(argv), 11, json.dumps(found), "")


def drilled(machine: Played) -> Any:
    return run_drill(machine, lambda _line: None)  # type: ignore[arg-type]


def test_the_machine_is_cut_off_before_anything_of_it_runs() -> None:
    machine = Played()
    drilled(machine)
    cut = machine.did.index("set_link {'name': 'net0', 'up': False}")
    assert machine.did[cut - 1] == "mailstead: restore: fetched and compared"
    assert machine.did[cut + 1].startswith("mailstead: restored everything")
    assert machine.did[-1].startswith("mailstead check ")


def test_the_report_tells_what_came_back_and_how_it_is() -> None:
    drill = drilled(Played(checks=[check("containers"), check("round trip")]))
    assert drill.failed == []
    assert (drill.files, drill.size) == (12, "3.4 MiB")
    assert drill.errors == ["this machine has no TPM"]
    text = format_drill(drill)
    assert text.startswith("mail.example.com, restored from its backup, works.\n")
    assert "everything: 12 files, 3.4 MiB" in text
    assert "2026-11-24 10:00:00" in text
    assert "pass  round trip: what round trip is" in text
    assert "said on its console: this machine has no TPM" in text
    found = drill.as_json()
    assert found["ok"] is True
    assert found["seconds"] == {"start": 10, "opening": 10, "fetching": 10, "working": 20}
    json.dumps(found)


def test_what_a_machine_without_network_cannot_do_does_not_count() -> None:
    drill = drilled(Played(checks=[check("backups", "fail"), check("clock", "fail")]))
    assert drill.failed == []
    assert "fail  backups: what backups is (does not count: it makes none)" in format_drill(drill)


def test_a_check_that_fails_fails_the_drill() -> None:
    drill = drilled(Played(checks=[check("containers"), check("round trip", "fail")]))
    assert drill.failed == ["round trip"]
    assert drill.as_json()["ok"] is False
    assert "restored from its backup, FAILED: round trip." in format_drill(drill)


def test_a_restore_that_does_not_work_ends_with_the_machines_words() -> None:
    with pytest.raises(ConsoleFailureError, match="there is no repository at that place"):
        drilled(Played(WRONG))


@pytest.mark.parametrize(
    "text",
    [
        f"RECOVERY KIT abcd of mail.example.com\n\n    {CODE}\n",
        CODE.upper(),
        CODE.replace("-", " "),
    ],
    # The code is another one in each process of a run.
    ids=["page", "capitals", "blanks"],
)
def test_the_code_is_found_in_a_kit(text: str, tmp_path: Path) -> None:
    kit = tmp_path / "kit.txt"
    kit.write_text(text)
    assert read_code(kit) == CODE


@pytest.mark.parametrize(
    "content",
    [b"no code", f"{CODE[:-1]}-".encode(), b"%PDF-1.4\n\xe2\xe3"],
    ids=["none", "cut", "binary"],
)
def test_what_is_no_kit_is_told(content: bytes, tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    kit.write_bytes(content)
    with pytest.raises(DrillError):
        read_code(kit)


def test_the_seed_is_what_the_machine_reads() -> None:
    text = write_seed("rest:https://backup.example.com/", CODE, "ada:secret\n", "2026-11-24")
    order = parse_restore(text, "x")
    assert order is not None
    wish = order.restore
    assert (wish.code, wish.credentials, wish.snapshot) == (CODE, "ada:secret\n", "2026-11-24")
    with pytest.raises(SettingsError, match=r"restore\.repository"):
        write_seed("nowhere", CODE, "", "latest")


def test_a_folder_becomes_a_disk_that_the_machine_finds(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    for name in ("config", "snapshots/1", "data/ab/abcd"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 5000)
    assert require_place(str(folder)) == folder
    image = make_disk(folder, tmp_path / "image")
    assert run(["blkid", "-o", "value", "-s", "LABEL", image]).stdout.strip() == LABEL
    shown = run(["debugfs", "-R", "cat /data/ab/abcd", image]).stdout
    assert shown == "data/ab/abcd" * 5000
    # And the place in the seed leads to its top.
    assert repository_problem(DISK_PLACE) is None
    place = disk_place(DISK_PLACE)
    assert place is not None
    assert (place.label, folder / place.path) == (LABEL, folder)


def test_what_is_no_place_is_told_before_anything_is_built(tmp_path: Path) -> None:
    assert require_place("rest:https://backup.example.com/") is None
    for wrong in ("nowhere", str(tmp_path), "disk:BACKUP"):
        with pytest.raises(DrillError):
            require_place(wrong)


def test_the_verb_hands_the_seed_over_and_fails_with_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = tmp_path / "kit.txt"
    kit.write_text(CODE)
    given: list[str] = []

    @contextmanager
    def powered_on(_image: Path, parts: Any, **how: Any) -> Iterator[Played]:
        given.append(parts.credentials[0][1].decode())
        assert how["network"].forward == {}
        yield Played(checks=[check("ports", "fail")])

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "ensure_for", lambda _verb, _report: [])
    monkeypatch.setattr(commands, "reap_leftovers", lambda: None)
    monkeypatch.setattr(
        commands, "build_image", lambda *_a, **_how: SimpleNamespace(image=tmp_path / "x.raw")
    )
    monkeypatch.setattr(commands, "powered_on", powered_on)
    place = "rest:https://backup.example.com/"
    argv = [place, "--kit", str(kit), "--snapshot", "1234abcd", "--json"]
    done = CliRunner().invoke(commands.restore_drill, argv)
    assert done.exit_code == DrillError.exit_code
    assert json.loads(done.stdout)["failed"] == ["ports"]
    order = parse_restore(given[0], "x")
    assert order is not None
    assert (order.restore.repository, order.restore.snapshot) == (place, "1234abcd")
