"""The command line of the build host: help, JSON and errors, without building anything."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from firstboot.base.errors import MailsteadError
from firstboot.base.passwords import hash_problem
from firstboot.base.settings import parse_settings
from tools import cli
from tools.boot.example import make_example
from tools.checks import commands as checks
from tools.options import Size


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


@pytest.mark.parametrize("words", [words for words, _ in commands(cli.forge)], ids=" ".join)
def test_every_verb_explains_itself_and_speaks_json(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.forge, [*words, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output
    # More than the usage line and the options.
    assert len(result.output.split("Options:")[0].split("\n\n")) > 1


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("20G", 20 << 30), ("1G", 1 << 30)]
)
def test_size(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "20", "0G", "1.5G", "G", "-1G", "1GB"])
def test_wrong_size_says_how_to_write_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write for example 512M or 20G"):
        Size().convert(text, None, None)


def test_boot_refuses_a_wrong_seed_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image.raw").touch()
    (tmp_path / "seed.yaml").write_text("version: 1\nhostnam: mail.example.com\n")
    argv = ["boot", "--image", str(tmp_path / "image.raw"), "--json"]
    monkeypatch.setattr("sys.argv", ["forge", *argv, "--seed", str(tmp_path / "seed.yaml")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert "seed.yaml:2: hostnam" in answer["error"]


@pytest.mark.parametrize(
    ("error", "code"), [(MailsteadError("no", "do this"), 1), (RuntimeError("defect"), 1)]
)
def test_no_error_is_a_traceback(
    error: Exception,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cli.forge.commands["hash-password"], "callback", fail)
    monkeypatch.setattr("sys.argv", ["forge", "hash-password"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tools/forge: error: ")
    assert "hint: " in shown.err
    assert "Traceback" not in shown.err


def test_hash_password_makes_what_a_seed_needs() -> None:
    result = CliRunner().invoke(cli.forge, ["hash-password"], input="correct horse battery\n")
    assert hash_problem(result.output.strip()) is None
    short = CliRunner().invoke(cli.forge, ["hash-password"], input="short\n")
    assert short.exit_code == 2
    assert "at least 10 characters" in short.output


def test_example_is_a_right_seed() -> None:
    example = make_example()
    settings = parse_settings(example.seed, "example")
    assert (settings.hostname, settings.people[0].address) == (example.hostname, example.address)
    assert example.password not in example.seed
    assert example.password not in repr(example)


@pytest.mark.parametrize(
    ("arguments", "folders", "rest"),
    [
        ([], [f"tests/{suite}" for suite in ("unit", "web", "interop", "stack", "boot")], []),
        (["--fast"], [f"tests/{suite}" for suite in ("unit", "web", "interop", "stack")], []),
        (["interop", "--messages", "9"], ["tests/interop"], ["--messages", "9"]),
        (["unit", "-k", "boot"], ["tests/unit"], ["-k", "boot"]),
        (["stack", "boot", "-x"], ["tests/stack", "tests/boot"], ["-x"]),
        (["boot", "--cuts", "5"], ["tests/boot"], ["--cuts", "5"]),
    ],
)
def test_test_hands_on_what_it_does_not_know(
    arguments: list[str], folders: list[str], rest: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run_pytest(argv: list[str], plugins: list[object]) -> pytest.ExitCode:
        assert plugins
        calls.append(argv)
        return pytest.ExitCode.OK

    monkeypatch.setattr(pytest, "main", run_pytest)
    monkeypatch.setattr(checks, "ensure_for", lambda _verb, _report: [])
    monkeypatch.setattr(checks, "reap_leftovers", lambda: None)
    result = CliRunner().invoke(cli.forge, ["test", *arguments, "--json"])
    assert calls == [[*folders, "--base=auto", f"-n{checks.LANES}", *rest]]
    assert json.loads(result.stdout)["ok"] is True


def test_our_modules_do_not_hide_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python puts the folder of a script on its path, and there is a package `inspect` in it."""
    forge = Path(cli.__file__).with_name("forge")
    monkeypatch.setattr(sys, "path", [str(forge.parent), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    runpy.run_path(str(forge), run_name="forge")
    assert str(forge.parent) not in sys.path
    assert sys.path[0] == str(forge.parents[1])
