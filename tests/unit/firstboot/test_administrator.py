"""The administrator's password: set, checked, and guessed at."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from firstboot.admin import commands
from firstboot.base import passwords
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.system import administrator
from firstboot.system.administrator import check_password, delay_after, seconds_to_wait
from tests.unit.firstboot.conftest import Command
from tests.unit.firstboot.samples import SETTINGS

PASSWORD = "correct horse battery"
# Of the least cost that is accepted, so that the tests are quick.
PHC = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(administrator, "_NOBODYS", PHC)
    return tmp_path / "run" / "tries.json"


def test_the_right_password_is_right(tries: Path) -> None:
    assert check_password(PASSWORD, PHC, tries).right
    assert not check_password(PASSWORD.upper(), PHC, tries).right
    assert not check_password("", PHC, tries).right


def test_where_none_is_set_nothing_is_right(tries: Path) -> None:
    """Not even what the stand-in was made of, and it costs the same work."""
    assert not check_password(PASSWORD, None, tries).right


def test_what_is_no_hash_of_ours_is_never_right() -> None:
    for phc in ("", PASSWORD, "$argon2i$v=19$m=65536,t=3,p=1$AAAA$AAAA", PHC[:-1], PHC + "A"):
        assert not passwords.password_matches(PASSWORD, phc)


def test_wrong_tries_cost_ever_more_time(tries: Path) -> None:
    clock, waits = Clock(), []
    for _ in range(6):
        verdict = check_password("wrong", PHC, tries, clock)
        assert not verdict.right
        waits.append(verdict.wait)
        clock.now += verdict.wait
    assert waits == [0, 0, 2, 4, 8, 16]
    assert delay_after(1000) == administrator.MOST_SECONDS


def test_a_try_that_is_too_early_is_not_looked_at(tries: Path) -> None:
    clock = Clock()
    for _ in range(4):
        check_password("wrong", PHC, tries, clock)
        clock.now += 2
    assert seconds_to_wait(tries, clock) > 0
    early = check_password(PASSWORD, PHC, tries, clock)
    assert not early.right
    assert early.wait > 0
    clock.now += early.wait
    assert check_password(PASSWORD, PHC, tries, clock).right
    assert not check_password("wrong", PHC, tries, clock).wait, "the count began anew"


def test_a_try_that_is_cut_off_counts(tries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> bool:
        raise KeyboardInterrupt

    clock = Clock()
    with monkeypatch.context() as patched:
        patched.setattr(administrator, "password_matches", cut)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                check_password("guess", PHC, tries, clock)
    assert seconds_to_wait(tries, clock) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tries": "x", "last": 0}'])
def test_a_count_that_cannot_be_read_locks_nobody_out(tries: Path, content: str) -> None:
    tries.parent.mkdir()
    tries.write_text(content)
    assert check_password(PASSWORD, PHC, tries).right


@pytest.fixture
def call(paths: Paths, monkeypatch: pytest.MonkeyPatch, mailstead: Command) -> Command:
    """Run `mailstead admin …` on a machine that is set up: exit code and output."""
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    monkeypatch.setattr(passwords, "hash_password", lambda _text: PHC)
    paths.settings.write_text(SETTINGS)
    return partial(mailstead, "admin")


def test_a_password_is_set_and_removed(call: Command, paths: Paths) -> None:
    assert "none" in call("status")[1]
    assert call("password", stdin=f"{PASSWORD}\n")[0] == 0
    kept = parse_settings(paths.settings.read_text(), "kept").administrator.password_hash
    assert kept is not None
    assert check_password(PASSWORD, kept, paths.administrator_tries).right
    assert call("status", "--json") == (0, '{\n  "password": true,\n  "wait": 0\n}\n')
    assert call("password", "--remove")[0] == 0
    assert parse_settings(paths.settings.read_text(), "kept").administrator.password_hash is None


def test_a_short_password_changes_nothing(call: Command, paths: Paths) -> None:
    code, out = call("password", stdin="too short\n")
    assert code == 2
    assert "at least 10 characters" in out
    assert paths.settings.read_text() == SETTINGS


def test_a_new_password_ends_the_wait(call: Command, paths: Paths) -> None:
    for _ in range(3):
        check_password("wrong", PHC, paths.administrator_tries)
    assert "refused for" in call("status")[1]
    call("password", stdin=f"{PASSWORD}\n")
    assert "refused" not in call("status")[1]
