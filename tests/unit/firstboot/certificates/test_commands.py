"""`mailstead cert …`: what it shows, what it refuses, and when the owner is warned."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firstboot.base.certificate import make_certificate
from firstboot.base.errors import MailsteadError
from firstboot.base.renewal import CertificateError, Renewal, read_renewal, write_renewal
from firstboot.base.tls import join_pem, write_installed
from firstboot.certificates import commands
from firstboot.certificates.machine import Machine
from firstboot.certificates.warn import warning
from firstboot.system.console import Console
from tests.unit.firstboot.certificates.conftest import (
    HOSTNAME,
    Clock,
    FakeEngine,
    mounted,
    with_tls,
)

DAY = datetime.timedelta(days=1)
LIFE = 825 * DAY

Run = Callable[..., Result]


@pytest.fixture
def call(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command on the machine, with its settings as they are then."""
    said = tmp_path / "console"
    said.touch()
    monkeypatch.setattr("firstboot.system.console.find_consoles", lambda: Console((said,)))

    def run(*arguments: str, machine: Machine = machine, stdin: bytes | None = None) -> Result:
        monkeypatch.setattr(commands, "_machine", lambda: machine)
        result = CliRunner().invoke(commands.cert, list(arguments), input=stdin)
        if isinstance(result.exception, MailsteadError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def own(machine: Machine) -> Machine:
    return with_tls(machine, "{method: own}")


def acme(machine: Machine, directory: str = "https://127.0.0.1:9/dir") -> Machine:
    return with_tls(machine, f"{{method: acme, directory: '{directory}'}}")


def pair() -> bytes:
    return join_pem(make_certificate(HOSTNAME, now=datetime.datetime.now(datetime.UTC)))


def test_status_of_the_self_signed(call: Run) -> None:
    shown = json.loads(call("status", "--json").stdout)
    assert (shown["method"], shown["waiting"], shown["issuer"]) == ("self-signed", False, "itself")
    assert shown["names"] == [HOSTNAME]
    assert 823 < shown["days_left"] < 825
    assert (shown["due"], shown["next_attempt"], shown["failures"]) == (None, None, 0)
    text = call("status").stdout
    assert "signed by    itself" in text
    assert shown["sha256"] in text


def test_status_while_none_could_be_had(call: Run, machine: Machine, clock: Clock) -> None:
    then = (clock() + DAY / 2).isoformat()
    write_renewal(machine.paths.renewal, Renewal(3, clock().isoformat(), then, "no route"))
    found = acme(machine)
    shown = json.loads(call("status", "--json", machine=found).stdout)
    assert (shown["method"], shown["waiting"], shown["failures"]) == ("acme", True, 3)
    assert (shown["reason"], shown["next_attempt"]) == ("no route", then)
    text = call("status", machine=found).stdout
    assert "self-signed, until there is one of the method acme" in text
    assert "3 times; the last: no route" in text


def test_install(call: Run, machine: Machine, engine: FakeEngine, tmp_path: Path) -> None:
    found = own(machine)
    file, brought = tmp_path / "both.pem", pair()
    file.write_bytes(brought)
    assert call("install", str(file), machine=found).stdout.startswith(f"installed: {HOSTNAME}, ")
    assert found.installed.stat().st_mode & 0o777 == 0o600
    assert mounted(found.paths).read_bytes() == brought
    assert engine.told == [("mta", ("postfix", "reload"))]
    other = pair()
    shown = json.loads(call("install", "-", "--json", machine=found, stdin=other).stdout)
    assert (shown["ok"], shown["names"], shown["chain_is_alone"]) == (True, [HOSTNAME], False)
    assert mounted(found.paths).read_bytes() == other
    assert json.loads(call("status", "--json", machine=found).stdout)["waiting"] is False


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"rubbish", "neither a key"), (None, "cannot be read: No such file")],
)
def test_what_cannot_be_installed_changes_nothing(
    call: Run, machine: Machine, tmp_path: Path, content: bytes | None, message: str
) -> None:
    found, before = own(machine), mounted(machine.paths).read_bytes()
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(CertificateError, match=message):
        call("install", str(tmp_path / "file"), machine=found)
    assert mounted(found.paths).read_bytes() == before
    assert not found.installed.exists()


def test_install_needs_the_method(call: Run) -> None:
    with pytest.raises(CertificateError, match=r"tls\.method is self-signed") as caught:
        call("install", "-", stdin=pair())
    assert "mailstead settings set tls.method own" in caught.value.hint


def test_the_timer_takes_failures_as_they_come(call: Run, machine: Machine) -> None:
    found = acme(machine)
    shown = json.loads(call("automatic", "--json", machine=found).stdout)
    assert (shown["ok"], shown["renewed"]) == (True, False)
    assert shown["decision"].startswith("no certificate now: the authority could not be asked")
    assert read_renewal(found.paths.renewal).failures == 1
    again = json.loads(call("automatic", "--json", machine=found).stdout)
    assert again["decision"].startswith("no certificate now: no attempt before")
    assert read_renewal(found.paths.renewal).failures == 1


def test_the_timer_has_nothing_to_do(call: Run, engine: FakeEngine) -> None:
    assert json.loads(call("automatic", "--json").stdout)["decision"] == "nothing to renew"
    assert engine.told == []


def test_the_timer_shows_what_the_settings_say(
    call: Run, machine: Machine, engine: FakeEngine
) -> None:
    """After `mailstead settings set tls.method …`."""
    found = own(machine)
    write_installed(found.installed, make_certificate(HOSTNAME, now=found.now()))
    call("automatic", machine=found)
    assert mounted(found.paths).read_bytes() == found.installed.read_bytes()
    assert engine.told == [("mta", ("postfix", "reload"))]
    call("automatic", machine=found)
    assert engine.told == [("mta", ("postfix", "reload"))]


def notice(machine: Machine) -> str:
    return (machine.paths.notices / "certificate.eml").read_text()


def test_the_owner_is_warned_in_time_and_not_every_day(
    call: Run, machine: Machine, clock: Clock, tmp_path: Path
) -> None:
    found = acme(machine)
    made = make_certificate(HOSTNAME, now=datetime.datetime.now(datetime.UTC))
    write_installed(found.installed, made)
    clock.ahead = LIFE * 0.7
    call("automatic", machine=found)
    assert not found.paths.notices.exists()
    warned = []
    for days in range(10):
        clock.ahead = LIFE * 0.76 + days * DAY
        call("automatic", machine=found)
        if found.paths.notices.exists() and any(found.paths.notices.iterdir()):
            warned.append(days)
            assert "Subject: [mail.example.com] The certificate ends 20" in notice(found)
            assert "The last attempt failed: the authority could not be asked" in notice(found)
            (found.paths.notices / "certificate.eml").unlink()
    assert warned == [0, 3, 6, 9]
    said = (tmp_path / "console").read_text()
    assert "the certificate ends 20" in said
    clock.ahead = LIFE + DAY
    found_warning = warning(found)
    assert found_warning is not None
    assert found_warning[0].startswith("The certificate has ended")


def test_a_first_certificate_that_does_not_come(call: Run, machine: Machine, clock: Clock) -> None:
    found = acme(machine)
    call("automatic", machine=found)
    assert warning(found) is None
    clock.ahead = DAY / 3
    call("automatic", machine=found)
    assert "No certificate could be obtained" in notice(found)


def test_an_own_certificate_that_ends(machine: Machine, clock: Clock) -> None:
    found = own(machine)
    assert warning(found) is None
    write_installed(found.installed, make_certificate(HOSTNAME, now=found.now()))
    assert warning(found) is None
    clock.ahead = LIFE * 0.8
    said = warning(found)
    assert said is not None
    assert "mailstead cert install" in said[1]
    assert warning(machine) is None


def test_one_at_a_time(call: Run, machine: Machine) -> None:
    found = dataclasses.replace(acme(machine))
    with (
        commands._locked(found),
        pytest.raises(CertificateError, match="a renewal is under way"),
    ):
        call("renew", machine=found)


def test_every_command_has_help(call: Any) -> None:
    for name in ("status", "renew", "install", "automatic"):
        assert "--json" in call(name, "--help").stdout
