"""The verb `build`: which keys it takes, and what it puts into the folder."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import MailsteadError
from tests.unit.tools.build.conftest import FakeMkosi
from tools.build import commands
from tools.build.errors import BuildError
from tools.build.slot import read_slot
from tools.keys.errors import KeysError
from tools.keys.folder import make_folder

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def _with_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has what a build needs, and a person without keys."""
    monkeypatch.setattr(commands, "ensure_for", lambda *_: None)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def _build(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(commands.build, [str(argument) for argument in arguments])
    if isinstance(result.exception, MailsteadError):
        raise result.exception
    return result


def test_everything_that_was_built_is_copied(host: FakeMkosi, tmp_path: Path) -> None:
    output = tmp_path / "output"
    result = _build("--output", output, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["release"]["keys"] == "test"
    assert found["testing"] is False
    assert sorted(found["files"]) == sorted(str(path) for path in output.iterdir())
    # A copy can be published as well as the original.
    parts = read_slot(output).parts.values()
    assert {str(part.path) for part in parts} <= set(found["files"])


def test_release_takes_the_keys_of_a_folder(host: FakeMkosi, tmp_path: Path) -> None:
    keys = make_folder(tmp_path / "keys", "release", None, now=NOW).path
    output = tmp_path / "output"
    result = _build("--release", "--keys", keys, "--output", output, "--json")
    assert json.loads(result.stdout)["release"]["keys"] == "release"
    assert host.signed()["verity-key"] == (keys / "verity.key").read_text()


def test_release_refuses_test_keys(host: FakeMkosi, tmp_path: Path) -> None:
    keys = make_folder(tmp_path / "keys", "test", None, now=NOW).path
    with pytest.raises(BuildError, match="are test keys"):
        _build("--release", "--keys", keys, "--output", tmp_path / "output")
    assert host.calls() == []
    assert not (tmp_path / "output").exists()


def test_release_without_keys_tells_how_to_make_them(host: FakeMkosi, tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="there are no keys") as caught:
        _build("--release", "--output", tmp_path / "output")
    assert "tools/forge keys init" in caught.value.hint
    assert host.calls() == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--release", "--testing"], "--release and --testing exclude each other"),
        (["--keys", "keys"], "are for --release"),
        (["--passphrase-file", "file"], "are for --release"),
        (["--testing", "--keys", "keys"], "are for --release"),
    ],
)
def test_options_that_do_not_go_together(host: FakeMkosi, arguments: list[str], told: str) -> None:
    result = _build(*arguments)
    assert result.exit_code == 2
    assert told in result.output
    assert host.calls() == []
