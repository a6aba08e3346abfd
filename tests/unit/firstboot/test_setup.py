"""From power-on to a running stack: seeds, waiting, applying, booting and starting."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from firstboot.base import health
from firstboot.base.codes import new_recovery_code
from firstboot.base.engine import Container, Loaded
from firstboot.base.errors import (
    EngineError,
    MachineError,
    ReleaseError,
    RoundTripError,
    SettingsError,
    StackError,
    UnreachableError,
)
from firstboot.base.paths import Paths
from firstboot.base.release import Release
from firstboot.base.roundtrip import Account, RoundTrip
from firstboot.base.services import Exchange
from firstboot.base.settings import Settings, parse_settings, read_settings
from firstboot.base.state import STATE_FORMAT
from firstboot.setup import boot, gate, seed, start, waiting
from firstboot.setup.apply import set_up
from firstboot.setup.firewall import raise_firewall
from firstboot.setup.seed import RestoreSeed, Seed, find_seed
from firstboot.system.console import Console
from firstboot.system.memory import Memory
from firstboot.system.volumes import ESP_TYPE
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS

MIB = 1 << 20
STICK: dict[str, str | None] = {
    "path": "/dev/sda",
    "label": "MAILSTEAD",
    "parttype": None,
    "fstype": "vfat",
    "mountpoint": None,
}
ESP: dict[str, str | None] = {
    "path": "/dev/vda1",
    "label": "ESP",
    "parttype": ESP_TYPE,
    "fstype": "vfat",
    "mountpoint": None,
}


@dataclass
class Volumes:
    """A stick and an ESP whose mailstead.yaml tests write; empty directories at first."""

    stick: Path
    esp: Path
    credentials: Path

    def write(self, *, stick: str = "", esp: str = "", credential: str = "") -> None:
        for path, text in (
            (self.stick / "mailstead.yaml", stick),
            (self.esp / "mailstead.yaml", esp),
            (self.credentials / "mailstead.seed", credential),
        ):
            if text:
                path.write_text(text)


@pytest.fixture
def volumes(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    made = Volumes(tmp_path / "stick", tmp_path / "esp", tmp_path / "credentials")
    for path in (made.stick, made.esp, made.credentials):
        path.mkdir()
    programs.lsblk(STICK, ESP)
    programs.mount_copies(("/dev/sda", made.stick), ("/dev/vda1", made.esp))
    programs.add("systemctl", "exit 3")
    programs.add("nft", "cat")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made.credentials))
    monkeypatch.setattr(socket, "sethostname", lambda _name: None)
    return made


def admit_all(_settings: Settings) -> None:
    """A machine that can live with any settings."""


def named(hostname: str) -> str:
    return SETTINGS.replace("mail.example.com", hostname)


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


def make_seed(text: str = SETTINGS) -> Seed:
    return Seed("test", text, parse_settings(text, "test"))


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


def progress(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix("mailstead: ") for line in lines if line.startswith("mailstead: ")]


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


@dataclass
class FakeEngine:
    """An engine that writes down what it is told; `up_errors` is how often starting fails."""

    up_errors: int = 0
    status: str = "running"
    calls: list[str] = field(default_factory=list)

    def load(self, archive: Path, release: Release, _say: Any, *, force: bool = False) -> Loaded:
        assert archive.name == "containers.tar"
        self.calls.append("load again" if force else "load")
        references = [image.reference for image in release.images.values()]
        return Loaded(tuple(references), 2.13)

    def compose_up(self, _file: Path, project: str) -> None:
        assert project == "mailstead"
        self.calls.append("up")
        if self.up_errors:
            self.up_errors -= 1
            raise EngineError("input/output error")

    def compose_down(self, _file: Path, _project: str) -> None:
        self.calls.append("down")

    def containers(self, _project: str) -> tuple[Container, ...]:
        return tuple(
            Container("1", name, "", "", self.status, "172.18.0.2", 0, 0)
            for name in ("mta", "redis")
        )

    def logs(self, container: Container) -> str:
        return f"{container.service} says: no"

    def execute(self, container: Container, argv: tuple[str, ...]) -> None:
        self.calls.append(f"{container.service}: {' '.join(argv)}")

    def prune(self, *_releases: Release) -> tuple[str, ...]:
        self.calls.append("prune")
        return ()


DONE = RoundTrip(1000, 0.1, 0.2, 0.3)


@pytest.fixture
def ready(volumes: Volumes, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A machine that has been set up and whose ports answer."""
    set_up(make_seed(), paths)
    monkeypatch.setattr(start, "port_problem", lambda *_arguments, **_options: None)
    monkeypatch.setattr(start, "round_trip", lambda *_arguments, **_options: DONE)
    monkeypatch.setattr("os.sync", lambda: None)
    return paths


def run_start(paths: Paths, engine: FakeEngine) -> None:
    start.start(paths, Console(()), engine)  # type: ignore[arg-type]


def test_start(ready: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    run_start(ready, engine)
    assert engine.calls == ["load", "up", "mta: postqueue -f", "prune"]
    assert progress(capsys) == [
        "containers loaded (2, 2.1 s)",
        "containers started",
        "a mail went round (0.6 s)",
        "ready mail.example.com",
    ]


def test_start_loads_images_anew_when_containers_do_not_start(
    ready: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(up_errors=1)
    run_start(ready, engine)
    assert engine.calls == ["load", "up", "down", "load again", "up", "mta: postqueue -f", "prune"]
    assert "error: input/output error" in progress(capsys)


def test_interrupted_load_is_done_again(ready: Paths) -> None:
    class PowerCutError(Exception):
        pass

    class Interrupted(FakeEngine):
        def load(self, *_arguments: Any, **_options: Any) -> Loaded:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run_start(ready, Interrupted())
    done = ["up", "mta: postqueue -f", "prune"]
    for calls in (["load again", *done], ["load", *done]):
        engine = FakeEngine()
        run_start(ready, engine)
        assert engine.calls == calls


def test_start_gives_up_after_the_second_failure(ready: Paths) -> None:
    engine = FakeEngine(up_errors=2)
    with pytest.raises(EngineError, match="input/output error"):
        run_start(ready, engine)


def test_start_tells_which_container_is_not_well(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "RUNNING_SECONDS", 0.0)
    with pytest.raises(EngineError) as caught:
        run_start(ready, FakeEngine(status="created"))
    assert "(redis: created, mta: created)\nredis says: no" in str(caught.value)


def test_start_tells_which_port_does_not_answer(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "PORT_SECONDS", 0.0)
    refuse: Callable[..., str] = lambda *_arguments, **_options: "Connection refused"  # noqa: E731
    monkeypatch.setattr(start, "port_problem", refuse)
    with pytest.raises(EngineError, match=r"port 587 \(submission\) .*: Connection refused"):
        run_start(ready, FakeEngine())


def test_start_is_not_ready_before_a_mail_went_round(
    ready: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = []

    def fail(account: Account, **_options: float) -> RoundTrip:
        accounts.append(account)
        raise RoundTripError("IMAP on port 993: refused")

    monkeypatch.setattr(start, "round_trip", fail)
    engine = FakeEngine()
    with pytest.raises(RoundTripError, match="refused"):
        run_start(ready, engine)
    assert [account.address for account in accounts] == ["canary@mail.example.com"]
    assert "prune" not in engine.calls
    assert "ready mail.example.com" not in progress(capsys)


def test_start_tries_again_when_a_server_refuses_at_first(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[RoundTrip | None] = [None, DONE]

    def refuse_once(_account: Account, **_options: object) -> RoundTrip:
        if done := answers.pop(0):
            return done
        raise UnreachableError("submission on port 587: timed out")

    monkeypatch.setattr(start, "round_trip", refuse_once)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    run_start(ready, FakeEngine())
    assert answers == []


def test_start_tells_the_last_refusal_when_its_time_is_over(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_account: Account, **_options: object) -> RoundTrip:
        raise UnreachableError("submission on port 587: timed out")

    monkeypatch.setattr(start, "round_trip", refuse)
    monkeypatch.setattr(start, "MAIL_SECONDS", 0.0)
    with pytest.raises(UnreachableError, match="587: timed out"):
        run_start(ready, FakeEngine())


def test_start_flushes_the_queue_while_it_awaits_the_mail(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    flushed: list[int] = []

    def look_three_times(
        _account: Account, *, timeout: float, meanwhile: Callable[[], None]
    ) -> RoundTrip:
        assert timeout == start.MAIL_SECONDS
        for seconds in (0.0, start.FLUSH_SECONDS, 0.0):
            now[0] += seconds
            meanwhile()
            flushed.append(engine.calls.count("mta: postqueue -f"))
        return DONE

    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(start, "round_trip", look_three_times)
    run_start(ready, engine)
    assert flushed == [0, 1, 1]


def test_start_before_setup(paths: Paths) -> None:
    with pytest.raises(SettingsError) as caught:
        run_start(paths, FakeEngine())
    assert caught.value.hint == "Run first: mailstead boot"


def run_gate(paths: Paths, engine: FakeEngine) -> None:
    gate.await_healthy(paths, Console(()), engine)  # type: ignore[arg-type]


def test_gate_opens_when_every_service_answers(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is asked at every look, until none has a problem."""
    waits: list[float] = []
    asked: list[int] = []

    def answer(_host: str, exchange: Exchange) -> str | None:
        asked.append(exchange.port)
        return "Connection refused" if asked.count(587) < 3 else None

    monkeypatch.setattr("firstboot.base.waiting.time.sleep", waits.append)
    monkeypatch.setattr(health, "answer_problem", answer)
    run_gate(paths, FakeEngine())
    assert len(waits) >= 2
    assert asked.count(6379) == asked.count(587) == len(waits) + 1
    assert progress(capsys) == ["every container is healthy"]


def test_gate_stays_shut_and_tells_why(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "HEALTHY_SECONDS", 0.0)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: "it answered b''")
    with pytest.raises(EngineError) as caught:
        run_gate(paths, FakeEngine())
    assert "(redis: port 6379: it answered b'', mta: port 587: it answered b'')" in str(
        caught.value
    )
    assert "mailstead check" in caught.value.hint
    assert progress(capsys) == []


def test_gate_gives_up_a_container_that_ends_again_and_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts = [0, 3, 5, 6]

    class Crashing(FakeEngine):
        def containers(self, project: str) -> tuple[Container, ...]:
            *others, last = super().containers(project)
            return (*others, replace(last, status="restarting", restarts=restarts.pop(0)))

    monkeypatch.setattr("firstboot.base.waiting.time.sleep", lambda _: None)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    with pytest.raises(EngineError, match="has ended 5 times"):
        run_gate(paths, Crashing())
    assert restarts == [6]


def test_gate_misses_a_container(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlyMta(FakeEngine):
        def containers(self, project: str) -> tuple[Container, ...]:
            return super().containers(project)[:1]

    monkeypatch.setattr(gate, "HEALTHY_SECONDS", 0.0)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    with pytest.raises(EngineError, match=r"\(redis: no container\)"):
        run_gate(paths, OnlyMta())


def test_gate_does_not_wait_for_docker_that_is_not_there(paths: Paths) -> None:
    class Gone(FakeEngine):
        def containers(self, _project: str) -> tuple[Container, ...]:
            raise EngineError("Docker failed")

    with pytest.raises(EngineError, match="Docker failed"):
        run_gate(paths, Gone())


def test_gate_of_an_image_with_a_defect(paths: Paths) -> None:
    paths.services.write_text("services: {}\n")
    with pytest.raises(StackError):
        run_gate(paths, FakeEngine())


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
