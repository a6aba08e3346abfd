"""The verbs of `forge keys`: what they ask, print and refuse, and that nothing private is shown."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.unit.tools.keys.conftest import PASSPHRASE
from tools.build.source import CHECKOUT
from tools.keys import passphrase
from tools.keys.commands import keys
from tools.keys.errors import KeysError
from tools.keys.folder import begin_rotation, read_folder


def forge_keys(*words: str | Path) -> Result:
    return CliRunner().invoke(keys, [str(word) for word in words])


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    (tmp_path / "passphrase").write_bytes(PASSPHRASE + b"\n")
    return tmp_path / "passphrase"


def test_init_takes_the_passphrase_from_a_file(home: Path, passphrase_file: Path) -> None:
    result = forge_keys("init", "--passphrase-file", passphrase_file, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    made = home / "config" / "mailstead" / "keys"
    assert shown["folder"] == str(made)
    assert shown["passphrase"] is True
    found = read_folder(made)
    assert found.password(PASSPHRASE)
    assert (shown["release_key"],) == found.record.signing


def test_no_passphrase_has_to_be_chosen(home: Path) -> None:
    place = home / "keys"
    refused = forge_keys("init", "--folder", place)
    assert isinstance(refused.exception, KeysError)
    assert "nobody to ask" in refused.exception.message
    assert not place.exists()
    done = forge_keys("init", "--folder", place, "--no-passphrase")
    assert done.exit_code == 0
    assert "NONE: whoever has the files can sign" in done.output
    assert read_folder(place).record.stretching is None


def test_both_choices_at_once_are_refused(home: Path, passphrase_file: Path) -> None:
    words = ("init", "--no-passphrase", "--passphrase-file", passphrase_file)
    assert forge_keys(*words).exit_code == 2
    assert not (home / "config").exists()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"short\n", "at least 12"),
        (b"", "exactly one line"),
        (b"\nfirst line is empty\n", "exactly one line"),
        (b"one long enough\nand another\n", "exactly one line"),
        (b"\xff\xfe not text in utf-8", "UTF-8"),
    ],
)
def test_unfit_passphrase_files(data: bytes, text: str, home: Path, passphrase_file: Path) -> None:
    passphrase_file.write_bytes(data)
    result = forge_keys("init", "--passphrase-file", passphrase_file)
    assert isinstance(result.exception, KeysError)
    assert text in result.exception.message
    assert not (home / "config").exists()


def test_missing_passphrase_file(tmp_path: Path) -> None:
    result = forge_keys("init", "--passphrase-file", tmp_path / "nowhere")
    assert isinstance(result.exception, KeysError)
    assert "No such file" in result.exception.message


def test_keys_that_are_there_are_refused_before_anybody_is_asked(plain: Path) -> None:
    result = forge_keys("init", "--folder", plain)
    assert isinstance(result.exception, KeysError)
    assert "never overwritten" in result.exception.message


def test_show_tells_all_that_is_public_and_nothing_else(protected: Path) -> None:
    begin_rotation(protected, PASSPHRASE)
    text = forge_keys("show", "--folder", protected).output
    shown = json.loads(forge_keys("show", "--folder", protected, "--json").stdout)
    assert shown["kind"] == "release"
    assert shown["created"] == "2026-05-04T03:02:01Z"
    assert shown["certificates"]["verity"]["subject"] == "CN=Mailstead system partition"
    assert shown["certificates"]["pcr"]["not_after"] == "2056-04-26T03:02:01Z"
    prints = [
        *(found["sha256"] for found in shown["certificates"].values()),
        *(key[name] for key in shown["trusted"] for name in ("ed25519_sha256", "ml_dsa_65_sha256")),
    ]
    assert len(set(prints)) == 7
    for value in (*prints, shown["release_key"], shown["rotating_from"]):
        assert value in text
    assert "PRIVATE" not in text + json.dumps(shown)


def test_a_fingerprint_is_that_of_openssl(plain: Path) -> None:
    shown = json.loads(forge_keys("show", "--folder", plain, "--json").stdout)
    words = ["openssl", "x509", "-in", str(plain / "pcr.crt"), "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = said.partition("=")[2].strip().replace(":", "").lower()
    assert shown["certificates"]["pcr"]["sha256"] == found


def test_rotate_and_finish(protected: Path, passphrase_file: Path) -> None:
    place = ("--folder", protected)
    old = read_folder(protected).record.signing[0]
    begun = forge_keys("rotate", *place, "--passphrase-file", passphrase_file)
    assert begun.exit_code == 0
    assert f"from {old}" in begun.output
    assert "--finish" in begun.output
    # Nobody is asked for a passphrase that would then not matter.
    again = forge_keys("rotate", *place)
    assert isinstance(again.exception, KeysError)
    assert "under way already" in again.exception.message
    done = json.loads(forge_keys("rotate", *place, "--finish", "--json").stdout)
    assert done["rotating_from"] is None
    assert [key["id"] for key in done["trusted"]] == [done["release_key"]]
    assert done["release_key"] != old


def test_distrust_leaves_one_trusted_key(plain: Path) -> None:
    shown = json.loads(forge_keys("rotate", "--folder", plain, "--distrust", "--json").stdout)
    assert [key["id"] for key in shown["trusted"]] == [shown["release_key"]]
    assert shown["rotating_from"]


@pytest.mark.parametrize("words", [["--distrust"], ["--passphrase-file", "x"]])
def test_finish_stands_alone(words: list[str], plain: Path) -> None:
    assert forge_keys("rotate", "--folder", plain, "--finish", *words).exit_code == 2


@pytest.mark.parametrize("words", [["init", "--no-passphrase"], ["show"], ["rotate"]])
def test_no_verb_works_in_the_checkout(words: list[str]) -> None:
    result = forge_keys(*words, "--folder", CHECKOUT / "keys")
    assert isinstance(result.exception, KeysError)
    assert "is in the checkout" in result.exception.message
    assert not (CHECKOUT / "keys").exists()


def test_a_spoiled_public_key_is_no_traceback(plain: Path) -> None:
    path = plain / "keys.json"
    path.write_text(re.sub("BEGIN PUBLIC", "BEGIN SPOILED", path.read_text()))
    result = forge_keys("show", "--folder", plain)
    assert isinstance(result.exception, KeysError)
    assert "cannot be read" in result.exception.message


def on_terminal(monkeypatch: pytest.MonkeyPatch, words: list[str | Path], *typed: str) -> Result:
    """Run a verb as if somebody sat there who types these lines."""
    monkeypatch.setattr(passphrase, "somebody_is_there", lambda: True)
    lines = "".join(f"{line}\n" for line in typed)
    return CliRunner().invoke(keys, [str(word) for word in words], input=lines)


def test_on_a_terminal_a_new_passphrase_is_asked_for_twice(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = PASSPHRASE.decode()
    words: list[str | Path] = ["init", "--folder", home / "keys", "--json"]
    result = on_terminal(monkeypatch, words, once, "mistyped it", once, once)
    assert json.loads(result.stdout)["passphrase"] is True
    assert once not in result.output
    words = ["rotate", "--folder", home / "keys", "--json"]
    result = on_terminal(monkeypatch, words, once)
    assert json.loads(result.stdout)["rotating_from"]


def test_a_passphrase_that_was_typed_twice_is_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = on_terminal(monkeypatch, ["init", "--folder", home / "keys"], "short", "short")
    assert isinstance(result.exception, KeysError)
    assert "at least 12" in result.exception.message
    assert not (home / "keys").exists()
