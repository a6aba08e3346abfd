"""The description of the services, and the release manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import ReleaseError, StackError
from firstboot.base.release import read_release, reference, write_release
from firstboot.base.services import File, Network, Port, Volume, parse_stack, read_stack
from tests.unit.firstboot.samples import RELEASE, SERVICES, digest

REAL = Path(__file__).parents[3] / "compose" / "services.yaml"


def test_services_as_values() -> None:
    stack = parse_stack(SERVICES, "services.yaml")
    assert stack.networks == (Network("edge", internal=False), Network("cache", internal=True))
    redis, mta = stack.services
    assert (redis.name, redis.image, redis.user) == ("redis", "redis", 10001)
    assert redis.memory == 64 * 1024 * 1024
    assert redis.files == (File("redis/redis.conf.j2", "/etc/redis.conf"),)
    assert redis.volumes == (Volume("data", "/var/lib/redis"),)
    assert redis.ports == ()
    assert mta.memory == 1024**3
    assert (redis.stop_seconds, mta.stop_seconds) == (30, 45)
    assert stack.ports == (
        Port("submission", 587, 587, "starttls"),
        Port("imaps", 993, 993, "implicit"),
    )
    assert stack.port("imaps").published == 993
    with pytest.raises(StackError, match="no service has the port pop3s"):
        stack.port("pop3s")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "1: version: expected 1, got 2"),
        ("user: 10001", "user: redis", "8: services.redis.user: expected a whole number, "),
        ("user: 10001", "user: -1", "8: services.redis.user: expected a numeric uid, which is "),
        ("memory: 64M", "memory: 64MB", "11: services.redis.memory: expected a size such as 64M"),
        ("memory: 64M", "memry: 64M", "11: services.redis.memry: unknown key; expected memory?"),
        ("expect: +PONG", "expct: +PONG", "16: services.redis.health[0].expct: unknown key; "),
        ("expect: +PONG", 'expect: "€"', "16: services.redis.health[0].expect: expected bytes, "),
        ("tls: implicit", "tls: ssl", "30: services.mta.ports.imaps.tls: expected 'none', "),
        ("published: 993", "published: 0", "30: services.mta.ports.imaps.published: expected a "),
        ("published: 993", "published: 587", "30: services.mta.ports.imaps: expected each port "),
        ("networks: [edge]", "networks: [egde]", "21: services.mta.networks[0]: expected one of "),
        ("networks: [edge]", "networks: [cache]", "29: services.mta.ports.submission: expected a "),
        (
            "networks: [edge]\n",
            "networks: [edge]\n    resolves: edge\n",
            "22: services.mta.resolves: expected one of its internal networks, got 'edge'",
        ),
        (
            "networks: [cache]\n",
            "networks: [cache]\n    resolves: edge\n",
            "11: services.redis.resolves: expected one of its internal networks, got 'edge'",
        ),
        ("mta/master.cf:", "../master.cf:", "23: services.mta.files.../master.cf"),
    ],
)
def test_one_mistake(old: str, new: str, expected: str) -> None:
    assert SERVICES.count(old) == 1
    with pytest.raises(StackError) as caught:
        parse_stack(SERVICES.replace(old, new), "services.yaml")
    assert f"services.yaml:{expected}" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"services cannot be read: .*nowhere"):
        read_stack(tmp_path / "nowhere")


def test_the_real_services() -> None:
    """Every port that mail programs know must be declared exactly once."""
    stack = read_stack(REAL)
    published = {port.name: port.published for port in stack.ports}
    assert published == {
        "smtp": 25,
        "submissions": 465,
        "submission": 587,
        "imaps": 993,
        "pop3s": 995,
        "https": 443,
    }
    for service in stack.services:
        for file in service.files:
            assert (REAL.parent / file.template).is_file()
    # Only Postfix's master starts as root, see the comment in the file.
    assert [service.name for service in stack.services if service.user == 0] == ["mta"]


def test_release_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    write_release(path, RELEASE)
    first = path.read_bytes()
    assert read_release(path) == RELEASE
    write_release(path, RELEASE)
    assert path.read_bytes() == first
    assert json.loads(first)["format"] == 1
    assert RELEASE.image("redis").ids == {digest("a"), digest("b")}
    assert reference("redis", digest("a")) == "mailstead/redis:aaaaaaaaaaaa"
    with pytest.raises(ReleaseError, match=r"no image 'rspamd' \(it has: redis, mta\)"):
        RELEASE.image("rspamd")


def test_later_versions_may_add_keys(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    write_release(path, RELEASE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"signature": "later"}))
    assert read_release(path) == RELEASE


def _set(*keys: str, value: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format", value=2), "has format 2, expected 1"),
        (_set("version", value=1), "is damaged"),
        (_set("images", value=[]), "is damaged"),
        (_set("images", "mta", value={}), "is damaged"),
        (_set("images", "mta", "config", value="sha256:short"), "is not a digest"),
        (_set("images", "mta", "reference", value="mailstead/mta:latest"), "does not match"),
        (_set("images", "mta", "bytes", value="many"), "is not a size"),
    ],
)
def test_damaged_release(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    path = tmp_path / "release.json"
    write_release(path, RELEASE)
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ReleaseError, match=message):
        read_release(path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", '{"format": 1}'])
def test_release_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "release.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReleaseError, match=r"release\.json") as caught:
        read_release(path)
    assert caught.value.hint
