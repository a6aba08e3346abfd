"""The command mailstead: output, exit codes, and that no error is ever a traceback."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from firstboot import cli
from firstboot.base import errors
from firstboot.base.codes import new_recovery_code
from firstboot.base.paths import Paths
from firstboot.cli import seat, showing, starting
from tests.unit.firstboot.samples import RELEASE, SETTINGS


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], paths: Paths) -> Any:
    """Run the command on an appliance of the test: its exit code, output and error output."""
    for module in (starting, seat, showing):
        monkeypatch.setattr(module, "Paths", lambda: paths)

    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mailstead", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        assert "Traceback" not in captured.out + captured.err
        return caught.value.code, captured.out, captured.err

    return call


def test_help_names_every_command(run: Any) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in ("boot", "start", "status", "check", "settings", "version"):
        assert f"\n  {name} " in out
    # Click shortens what does not fit on a line.
    assert "..." not in out.partition("Commands:")[2]


def test_help_names_every_exit_code(run: Any) -> None:
    """Exit codes belong to the classes; no two share one, and the help has them all."""
    classes: list[type[errors.MailsteadError]] = [errors.MailsteadError]
    classes += errors.MailsteadError.__subclasses__()
    codes = [found.exit_code for found in classes if found.__module__ == errors.__name__]
    assert sorted(codes) == [1, *range(3, len(codes) + 2)]
    text = " ".join(run("--help")[1].split())
    for code in codes:
        assert f" {code} " in text


def test_settings_check_knows_a_restore(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    code = new_recovery_code()
    path.write_text(f'version: 1\nrestore: {{repository: "disk:BACKUP", code: {code}}}\n')
    assert run("settings", "check", str(path)) == (
        0,
        f"{path} is right: a restore from disk:BACKUP\n",
        "",
    )


def test_settings_check(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "mailstead.yaml"
    path.write_text("\ufeff" + SETTINGS)
    assert run("settings", "check", str(path)) == (
        0,
        f"{path} is right: mail.example.com, ada@example.com\n",
        "",
    )
    code, out, _ = run("settings", "check", str(path), "--json")
    assert code == 0
    assert json.loads(out) == {
        "ok": True,
        "hostname": "mail.example.com",
        "domains": ["example.com"],
        "people": ["ada@example.com"],
    }


def test_wrong_settings(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "mailstead.yaml"
    path.write_text(SETTINGS.replace("hostname: mail.example.com", "hostname: mail"))
    problem = f"{path}:2: hostname: expected at least two labels, such as mail.example.com"
    code, out, err = run("settings", "check", str(path))
    assert (code, out) == (3, "")
    assert err.startswith(f"mailstead: error: {problem}")
    assert "\nhint: " in err
    code, out, err = run("settings", "check", str(path), "--json")
    assert (code, err) == (3, "")
    assert json.loads(out)["problems"] == [f"{problem}, got 'mail'"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_settings_file_that_cannot_be_read(run: Any, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mailstead.yaml"
    if content is not None:
        path.write_bytes(content)
    code, _, err = run("settings", "check", str(path))
    assert code == 3
    assert str(path) in err


def test_version(run: Any) -> None:
    code, out, _ = run("version")
    assert code == 0
    assert out.startswith("Mailstead 0.1.0 (ubuntu, commit 0123456789abcdef)\n")
    assert RELEASE.images["mta"].manifest in out
    code, out, _ = run("version", "--json")
    assert json.loads(out)["images"]["redis"]["reference"] == RELEASE.images["redis"].reference


@pytest.mark.parametrize("command", ["status"])
def test_machine_that_has_not_been_set_up(run: Any, command: str) -> None:
    code, out, err = run(command)
    assert (code, out) == (3, "")
    assert err.startswith("mailstead: error: this machine has not been set up yet\nhint: ")
    code, out, err = run(command, "--json")
    assert (code, err) == (3, "")
    assert json.loads(out)["ok"] is False


def test_boot_shows_its_errors_on_the_console(run: Any, paths: Paths) -> None:
    paths.settings.write_text("version: 1\n")
    code, out, _ = run("boot")
    assert code == 3
    lines = out.splitlines()
    assert lines[:2] == [
        "mailstead: console ready",
        f"mailstead: error: {paths.settings}:1: hostname: expected a full host name such as "
        "mail.example.com, got nothing",
    ]
    assert lines[-1].startswith("mailstead: hint: ")


def test_start_needs_a_machine_that_has_been_set_up(run: Any) -> None:
    code, out, _ = run("start")
    assert code == 3
    assert "hint: Run first: mailstead boot" in out


@pytest.mark.parametrize("command", ["boot", "version"])
def test_defect_is_one_line_and_its_traceback_goes_to_the_log(
    run: Any,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("division by zero")

    class Memory(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(logging.Formatter().format(record))

    records: list[str] = []
    log = logging.getLogger("mailstead")
    monkeypatch.setattr(log, "handlers", [Memory()])
    monkeypatch.setattr("firstboot.setup.boot.boot", broken)
    monkeypatch.setattr("firstboot.base.release.read_release", broken)
    code, out, err = run(command)
    assert code == 1
    assert "mailstead: error: unexpected ZeroDivisionError: division by zero\n" in out + err
    assert "journalctl" in out + err
    assert "Traceback" in records[0]


def test_wrong_usage(run: Any) -> None:
    code, _, err = run("stats")
    assert code == 2
    assert "No such command" in err
