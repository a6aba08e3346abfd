"""Tokens of the API: what is kept of them, and how long they count."""

from __future__ import annotations

import json
import stat

import pytest
from click.testing import CliRunner

from firstboot.administration import tokens as module
from firstboot.administration.commands import token
from firstboot.administration.protocol import DeniedError, ForbiddenError, InvalidError, Scope
from firstboot.administration.tokens import MOST_TOKENS, NoTokenError, TokenError, Tokens
from firstboot.base.audit import read_audit
from firstboot.base.paths import Paths

HERE, SOMEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def tokens(paths: Paths) -> Tokens:
    return Tokens(paths)


def test_only_a_hash_is_kept(tokens: Tokens, paths: Paths) -> None:
    made = tokens.add("Monitoring", ["status"], "console")
    kept = paths.api_tokens.read_text()
    assert made.token.removeprefix("mailstead_") not in kept
    assert stat.S_IMODE(paths.api_tokens.stat().st_mode) == 0o600
    assert tokens.use(made.token, HERE, "status") == "Monitoring"
    assert tokens.add("Another", ["status"], "console").token != made.token


def test_it_is_for_its_scopes(tokens: Tokens) -> None:
    made = tokens.add("Monitoring", ["read", "status"], "console")
    assert tokens.all()[0].scopes == ("status", "read")
    for scope in ("people", None):
        with pytest.raises(ForbiddenError, match="is not for"):
            tokens.use(made.token, HERE, scope)


@pytest.mark.parametrize("label", ["", " ", "x" * 61, "two\nlines", "\x1b[31m"])
def test_a_label_is_for_people(tokens: Tokens, label: str) -> None:
    with pytest.raises(TokenError, match="a label has"):
        tokens.add(label, ["status"], "console")
    assert tokens.all() == ()


@pytest.mark.parametrize("scopes", [[], ["everything"], ["status", "everything"]])
def test_scopes_are_those_that_there_are(tokens: Tokens, scopes: list[str]) -> None:
    with pytest.raises(TokenError, match="status, read, people"):
        tokens.add("Monitoring", scopes, "console")


def test_there_are_not_too_many(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TOKENS", 2)
    assert MOST_TOKENS == 50
    for _ in range(2):
        tokens.add("Monitoring", ["status"], "console")
    with pytest.raises(TokenError, match="2 tokens already"):
        tokens.add("Monitoring", ["status"], "console")


def test_a_revoked_one_opens_nothing(tokens: Tokens, paths: Paths) -> None:
    made, other = (tokens.add(label, ["status"], "console") for label in ("One", "Other"))
    assert tokens.revoke(made.id, "web 192.0.2.1").label == "One"
    with pytest.raises(DeniedError):
        tokens.use(made.token, HERE, "status")
    assert tokens.use(other.token, HERE, "status") == "Other"
    with pytest.raises(NoTokenError):
        tokens.revoke(made.id, "console")
    last = read_audit(paths.audit)[-1]
    assert (last.who, last.verb, last.what) == ("web 192.0.2.1", "tokens.revoke", "One")


def test_wrong_ones_wait_where_they_come_from(paths: Paths) -> None:
    tokens = Tokens(paths, lambda: 1000.0)
    made = tokens.add("Monitoring", ["status"], "console")

    def wait(address: str) -> float:
        with pytest.raises(DeniedError) as caught:
            tokens.use("mailstead_wrong", address, "status")
        return caught.value.wait

    assert [wait(HERE) for _ in range(4)] == [0.0, 0.0, 2.0, 2.0]
    assert wait(SOMEWHERE) == 0.0
    assert tokens.use(made.token, HERE, "status") == "Monitoring"
    with pytest.raises(InvalidError):
        tokens.use(made.token, "nowhere", "status")


def test_the_last_use_is_written_down_now_and_then(tokens: Tokens, paths: Paths) -> None:
    made = tokens.add("Monitoring", ["status"], "console")
    assert tokens.all()[0].last_use is None
    tokens.use(made.token, HERE, "status")
    written = paths.api_tokens.read_bytes()
    assert tokens.all()[0].last_use is not None
    tokens.use(made.token, HERE, "status")
    assert paths.api_tokens.read_bytes() == written
    data = json.loads(written)
    data["tokens"][0]["last_use"] = "2020-01-01T00:00:00+00:00"
    paths.api_tokens.write_text(json.dumps(data))
    tokens.use(made.token, HERE, "status")
    assert not str(tokens.all()[0].last_use).startswith("2020")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2, "tokens": []}', '{"format": 1}'])
def test_a_file_of_another_kind_is_told(tokens: Tokens, paths: Paths, content: str) -> None:
    paths.api_tokens.write_text(content)
    with pytest.raises(TokenError, match="is not as this release"):
        tokens.all()


def test_the_command(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: paths)

    def ask(*words: str) -> str:
        done = CliRunner().invoke(token, words)
        assert done.exit_code == 0, done.output
        return done.output

    scope: Scope = "status"
    assert ask("list") == "There are no tokens.\n"
    made = ask("add", "Monitoring", "--scope", scope).strip()
    assert Tokens(paths).use(made, HERE, scope) == "Monitoring"
    (shown,) = json.loads(ask("list", "--json"))["tokens"]
    assert (shown["label"], shown["scopes"]) == ("Monitoring", [scope])
    assert made not in ask("list")
    assert "is revoked" in ask("revoke", shown["id"])
    assert json.loads(ask("add", "Other", "--scope", scope, "--json"))["ok"] is True
    assert CliRunner().invoke(token, ["revoke", "00000000"]).exit_code == 1
