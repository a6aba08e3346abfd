"""Publishing to a real name server: what is added, what stays, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.dns import commands
from firstboot.dns.publish import Publication, Step, plan_publication, publish, publisher
from firstboot.dns.records import Record
from firstboot.system.dnsclient import NoAnswerError, Server
from firstboot.system.dnsupdate import SetChange, TsigKey, UpdateError, send_update
from tests.unit.firstboot.dns.knot import KEY, Knot, knot
from tests.unit.firstboot.dns.samples import records, settings
from tests.unit.firstboot.ports import free_port
from tests.unit.firstboot.samples import SETTINGS

ZONE = """\
@ 60 NS ns1.example.net.
@ 60 TXT "site-verification=1"
"""
OTHER = """\
@ 60 MX 5 mx.example.net.
@ 60 TXT "v=spf1 include:news" ".example.net -all"
mail 60 A 198.51.100.1
_dmarc 60 TXT "v=DMARC1; p=reject"
_smtp._tls 60 CNAME reports.example.net.
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Knot]:
    with knot(tmp_path, ZONE) as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Knot]:
    """A server where somebody else's records stand."""
    with knot(tmp_path, ZONE + OTHER) as running:
        yield running


def go(found: Publication, server: Knot) -> list[str]:
    lines: list[str] = []
    publish(found, server.server, server.key, lines.append)
    return lines


def steps(found: Publication) -> dict[str, Step]:
    return {step.record.kind: step for step in found.steps}


def test_everything_that_is_missing_is_added_once(server: Knot) -> None:
    wanted = records()
    found = plan_publication(wanted, server.server)
    assert len(found.steps) == 18
    assert all(step.add and not step.remove for step in found.steps)
    assert go(found, server) == ["published in zone example.com: 18 sets of records"]
    assert server.values("example.com", "MX") == ["10 mail.example.com"]
    assert server.values("example.com", "TXT") == ["site-verification=1", "v=spf1 mx ~all"]
    for record in wanted:
        if record.zone:
            assert record.data in server.values(record.name, record.type)
    again = plan_publication(wanted, server.server)
    assert again.zones == {}
    assert go(again, server) == []


def test_what_differs_stays(other: Knot) -> None:
    found = plan_publication(records(), other.server)
    done = steps(found)
    assert done["mx"].kept == "found 5 mx.example.net; wanted 10 mail.example.com"
    assert "v=spf1 mx include:news.example.net -all" in done["spf"].kept
    assert done["tls-report"].kept.startswith("it is an alias of reports.example.net")
    assert not done["dmarc"].kept
    go(found, other)
    assert other.values("example.com", "MX") == ["5 mx.example.net"]
    assert other.values("mail.example.com", "A") == ["198.51.100.1"]
    assert other.values("mail.example.com", "AAAA") == ["2001:db8::10"]


def test_what_differs_is_replaced_when_that_is_wanted(other: Knot) -> None:
    go(plan_publication(records(), other.server, replace=True), other)
    assert other.values("example.com", "MX") == ["10 mail.example.com"]
    # Whom the owner lets send besides stays, and so do texts of others.
    assert other.values("example.com", "TXT") == [
        "site-verification=1",
        "v=spf1 mx include:news.example.net -all",
    ]
    assert other.values("mail.example.com", "A") == ["192.0.2.10"]
    assert other.values("_dmarc.example.com", "TXT") == ["v=DMARC1; p=reject"]
    assert plan_publication(records(), other.server, replace=True).zones == {}


def test_a_change_in_between_is_not_overwritten(server: Knot) -> None:
    found = plan_publication(records(), server.server)
    theirs = SetChange("example.com", "MX", (), ("5 mx.example.net.",), 60)
    send_update(server.server, "example.com", server.key, [theirs])
    with pytest.raises(UpdateError, match=r"zone example\.com was changed meanwhile"):
        go(found, server)
    assert server.values("example.com", "MX") == ["5 mx.example.net"]
    assert server.values("mail.example.com", "A") == []


@pytest.mark.parametrize(
    "key",
    [
        dataclasses.replace(KEY, secret="YW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMgbG9uZy4="),
        TsigKey("other", KEY.algorithm, KEY.secret),
    ],
)
def test_wrong_key(server: Knot, key: TsigKey) -> None:
    change = SetChange("example.com", "MX", (), ("5 mx.example.net.",), 60)
    with pytest.raises(UpdateError, match="does not know this TSIG key") as caught:
        send_update(server.server, "example.com", key, [change])
    assert key.secret not in str(caught.value) + caught.value.hint
    assert server.values("example.com", "MX") == []


def test_wrong_clock(server: Knot, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 3600)
    change = SetChange("example.com", "MX", (), ("5 mx.example.net.",), 60)
    with pytest.raises(UpdateError, match="has another time than this machine"):
        send_update(server.server, "example.com", server.key, [change])


def test_zone_that_the_server_has_not_got(server: Knot) -> None:
    change = SetChange("example.org", "MX", (), ("5 mx.example.net.",), 60)
    with pytest.raises(UpdateError, match="NOTAUTH"):
        send_update(server.server, "example.org", server.key, [change])
    wanted = [dataclasses.replace(records()[0], name="mail.example.org")]
    with pytest.raises(NoAnswerError, match="REFUSED"):
        plan_publication(wanted, server.server)


def test_nobody_listens() -> None:
    server = Server("127.0.0.1", "", free_port("127.0.0.1"))
    change = SetChange("example.com", "MX", (), ("5 mx.example.net.",), 60)
    with pytest.raises(UpdateError, match=r"could not be asked: .*refused"):
        send_update(server, "example.com", KEY, [change])


def test_unknown_addresses_and_reverse_zones_are_left_alone(server: Knot) -> None:
    wanted: tuple[Record, ...] = records([])
    found = plan_publication(wanted, server.server)
    assert {step.record.kind for step in found.steps}.isdisjoint({"address", "reverse"})


def test_settings() -> None:
    with pytest.raises(SettingsError, match=r"dns\.publish_server"):
        publisher(settings())
    more = f"dns: {{publish_server: 192.0.2.53, publish_key: k, publish_secret: {KEY.secret}}}\n"
    server, key = publisher(settings(more))
    assert (str(server), key.name, key.algorithm) == ("192.0.2.53", "k", "hmac-sha256")
    assert KEY.secret not in repr(key)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, paths: Paths, other: Knot) -> Callable[..., Result]:
    """The command in a machine that publishes to `other`."""
    more = (
        f"dns: {{addresses: [192.0.2.10], publish_server: 127.0.0.1, "
        f"publish_key: {KEY.name}, publish_secret: {KEY.secret}}}\n"
    )
    paths.settings.write_text(SETTINGS + more)
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    monkeypatch.setattr("firstboot.dns.publish.Server", lambda _address: other.server)

    def call(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(commands.dns, ["publish", *arguments], input=stdin)

    return call


def test_command(run: Callable[..., Result], other: Knot) -> None:
    done = run("--dry-run")
    assert done.exit_code == 11
    assert "DIFFERS  MX    example.com  found 5 mx.example.net; wanted 10 mail" in done.output
    assert run(stdin="n\n").exit_code == 1
    assert other.values("_imaps._tcp.example.com", "SRV") == []
    done = run("--replace", stdin="y\n")
    assert "remove   MX    example.com  5 mx.example.net.\n" in done.output
    assert "add      MX    example.com  10 mail.example.com.\n" in done.output
    assert "published in zone example.com" in done.output
    assert other.values("_imaps._tcp.example.com", "SRV") == ["0 1 993 mail.example.com"]
    # The alias stays, and is told.
    assert done.exit_code == 11
    found = json.loads(run("--json", "--yes").output)
    assert found["ok"] is False
    assert [record["name"] for record in found["records"] if record["kept"]] == [
        "_smtp._tls.example.com"
    ]
    assert run("--json").exit_code == 2
