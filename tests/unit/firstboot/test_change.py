"""Changing the settings that a machine keeps: all or nothing, whatever is asked for."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from firstboot.base import change as module
from firstboot.base.change import Change, change_settings, parse_place, read_plain
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.settings import commands, effects
from tests.unit.firstboot.conftest import Command, FakePrograms
from tests.unit.firstboot.samples import HASH, SETTINGS


@pytest.fixture
def kept(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a machine that is set up."""
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    paths.settings.write_text(SETTINGS)
    return paths.settings


@pytest.fixture
def call(kept: Path, monkeypatch: pytest.MonkeyPatch, mailstead: Command) -> Command:
    """Run `mailstead settings …`: its exit code and all that it printed."""
    return partial(mailstead, "settings")


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("hostname", ("hostname",)),
        ("updates.window", ("updates", "window")),
        ("people[0].aliases[12]", ("people", 0, "aliases", 12)),
    ],
)
def test_keys_are_written_as_in_messages(key: str, place: tuple[str | int, ...]) -> None:
    assert parse_place(key) == place


@pytest.mark.parametrize("key", ["", ".", "a.", "[0]", "people[-1]", "people[x]", "a b", "Ä"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="expected a key such as"):
        parse_place(key)


def test_a_value_is_changed_and_the_rest_stays(call: Command, kept: Path) -> None:
    before = parse_settings(SETTINGS, "before")
    code, out = call("set", "updates.window", "03:00-05:00", "updates.automatic", "false")
    assert code == 0
    assert "changed: updates.window, updates.automatic" in out
    after = parse_settings(kept.read_text(), "after")
    assert (after.updates.window, after.updates.automatic) == ("03:00-05:00", False)
    assert after.model_copy(update={"updates": before.updates}) == before
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_would_be_wrong_is_not_written(call: Command, kept: Path) -> None:
    for arguments, said in (
        (("updates.window", "never"), "updates.window: expected two times of day"),
        (("people[0].address", "ada@example.org"), "people[0].address: expected an address in"),
        (("people[3].name", "x"), "people[3]: there is no such entry (1 entries)"),
        (("hostname.x", "1"), "hostname: has no key 'x'"),
        (("hostname[0]", "x"), "hostname[0]: there is no such entry (no list)"),
        (("updates.window", "[1"), "updates.window: expected well-formed YAML"),
        (("version", "2"), "version: expected 1, got 2"),
        (("network.method", "static"), "network.addresses: expected at least one"),
        (("updates.windows", "x"), "updates.windows: unknown key; expected window?"),
    ):
        code, out = call("set", *arguments)
        assert code == 3
        assert said in out
        assert ":1: " not in out
    assert kept.read_text() == SETTINGS


def test_a_key_without_a_value_is_wrong_usage(call: Command) -> None:
    code, out = call("set", "updates.window")
    assert code == 2
    assert "expected a value for each key, got none for 'updates.window'" in out


def test_lists_grow_and_shrink(call: Command, kept: Path, programs: FakePrograms) -> None:
    programs.add("mailstead")
    person = f"{{address: bob@example.com, password_hash: '{HASH}'}}"
    assert call("set", "people[1]", person, "people[0].aliases[1]", "al@example.com")[0] == 0
    found = parse_settings(kept.read_text(), "kept")
    assert [one.address for one in found.people] == ["ada@example.com", "bob@example.com"]
    assert found.people[0].aliases == ("countess@example.com", "al@example.com")
    assert call("unset", "people[0]", "people[0].name")[0] == 0
    assert [one.address for one in parse_settings(kept.read_text(), "kept").people] == [
        "bob@example.com"
    ]
    assert call("unset", "people[1]")[0] == 3
    # Those who serve people are told, each time that something has changed.
    assert programs.calls == [["mailstead", "user", "apply"]] * 2


def test_texts_that_look_like_something_else_stay_texts(kept: Path, paths: Paths) -> None:
    for name in ("yes", "12", "0x10", "~", "2026-11-24", "a: b", "- x", "# no", "Æ", "'", '"\\'):
        change = Change(("people", 0, "name"), name)
        found = change_settings(kept, [change], lock=paths.settings_lock)
        assert found.people[0].name == name
        assert parse_settings(kept.read_text(), "kept") == found


def test_hashes_are_never_shown(call: Command) -> None:
    for arguments in (("show",), ("show", "--defaults"), ("show", "people[0].password_hash")):
        for option in ((), ("--json",)):
            code, out = call(*arguments, *option)
            assert code == 0
            assert "argon2" not in out
            assert "(hidden)" in out
    assert call("get", "people[0].password_hash") == (0, "(hidden)\n")


def test_a_key_for_updates_of_the_dns_is_hidden(call: Command, kept: Path) -> None:
    secret = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgb2YgdGVzdA=="
    more = f"dns: {{publish_server: 192.0.2.53, publish_key: k, publish_secret: {secret}}}\n"
    kept.write_text(SETTINGS + more)
    for arguments in (("show",), ("show", "dns"), ("show", "dns.publish_secret")):
        code, shown = call(*arguments)
        assert code == 0
        assert "(hidden)" in shown
        assert secret not in shown


def test_get_tells_defaults(call: Command) -> None:
    assert call("get", "updates.window") == (0, "02:00-05:00\n")
    assert call("get", "updates.automatic") == (0, "true\n")
    assert call("get", "updates.url") == (0, "null\n")
    _, out = call("get", "domains", "--json")
    known = [{"name": "example.com", "catch_all": None}]
    assert json.loads(out) == {"key": "domains", "value": known}
    assert call("get", "people[7]")[0] == 3
    assert "nothing is set there" in call("show", "updates")[1]


def test_before_the_first_setup_there_is_nothing_to_change(call: Command, kept: Path) -> None:
    kept.unlink()
    for arguments in (("show",), ("get", "hostname"), ("set", "hostname", "mail.example.org")):
        code, out = call(*arguments)
        assert code == 3
        assert "has not been set up yet" in out
    assert not kept.exists()


def test_a_power_cut_leaves_the_old_settings(
    kept: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_atomic", cut)
    with pytest.raises(KeyboardInterrupt):
        change_settings(kept, [Change(("hostname",), "a.example")], lock=paths.settings_lock)
    assert kept.read_text() == SETTINGS


def test_two_at_a_time_both_count(kept: Path, paths: Paths) -> None:
    def alias(number: int) -> None:
        for turn in range(5):
            change = Change(("domains", 1), {"name": "example.org"})
            change_settings(kept, [change], lock=paths.settings_lock)
            name = Change(("people", 0, "name"), f"{number} {turn}")
            change_settings(kept, [name], lock=paths.settings_lock)

    threads = [threading.Thread(target=alias, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one["name"] for one in read_plain(kept)["domains"]] == ["example.com", "example.org"]  # type: ignore[union-attr, index, call-overload]


def test_each_change_says_when_it_counts(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr("firstboot.base.run.run", lambda argv, **_: ran.append(tuple(argv)))
    monkeypatch.setitem(effects.EFFECTS, "updates", effects.Effect("By now.", ("true", "now")))
    code, out = call("set", "updates.metered", "true", "hostname", "mx.example.com", "--json")
    assert code == 0
    assert json.loads(out) == {
        "ok": True,
        "changed": ["updates.metered", "hostname"],
        "when": ["By now.", effects.AT_NEXT_START.when],
    }
    assert ran == [("true", "now")]
