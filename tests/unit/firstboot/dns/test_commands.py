"""`mailstead dns …`: what is printed, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest
from click.testing import CliRunner, Result

from firstboot.base.dkim import DkimKey, ensure_keys
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.dns import commands
from firstboot.dns.records import wanted_records
from tests.unit.firstboot.dns.samples import PORTS, published, settings
from tests.unit.firstboot.dnsserver import Internet
from tests.unit.firstboot.samples import SETTINGS

Run = Callable[..., Result]
MORE = "dns: {addresses: [192.0.2.10], resolvers: [127.0.0.4]}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, paths: Paths, net: Internet) -> Run:
    """Run the command in a machine that has been set up, on the small Internet."""
    paths.settings.write_text(SETTINGS + MORE)
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    monkeypatch.setattr("firstboot.system.authority.Authorities", net.authorities)
    monkeypatch.setattr("firstboot.dns.plan.Server", lambda _address: net.resolver.server)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(commands.dns, arguments)

    return call


@pytest.fixture
def keys(paths: Paths) -> Sequence[DkimKey]:
    return ensure_keys(paths.state / "dkim", ("example.com",))


def publish_all(net: Internet, keys: Sequence[DkimKey]) -> None:
    machine = settings(MORE)
    net.publish(published(wanted_records(machine, PORTS, [ip_address("192.0.2.10")], keys)))


def test_show(run: Run) -> None:
    done = run("show")
    assert done.exit_code == 0
    assert "  MX    example.com  (required)\n        10 mail.example.com\n" in done.output
    assert "$ORIGIN example.com." in run("show", "--zone").output
    found = json.loads(run("show", "--json").output)
    assert found["addresses"] == {"values": ["192.0.2.10"], "source": "settings", "note": ""}
    assert found["records"][0] == {
        "name": "mail.example.com",
        "type": "A",
        "data": "192.0.2.10",
        "zone": "example.com",
        "kind": "address",
        "need": "required",
        "why": found["records"][0]["why"],
    }


def test_show_of_one_domain(run: Run) -> None:
    shown = run("show", "--domain", "Example.com").output
    # As a word of its own: a DKIM key may contain the letters.
    assert "PTR" not in shown.split()
    done = run("show", "--domain", "example.org")
    assert isinstance(done.exception, SettingsError)
    assert "example.org; there are: example.com" in str(done.exception)


def test_keys_stay_the_same(run: Run) -> None:
    assert run("show", "--json").output == run("show", "--json").output


@pytest.mark.parametrize("style", commands.STYLE_NAMES)
def test_export(run: Run, style: str) -> None:
    done = run("export", "--style", style)
    assert done.exit_code == 0
    assert "mail.example.com" in done.output


def test_check_of_what_is_right(run: Run, net: Internet, keys: Sequence[DkimKey]) -> None:
    publish_all(net, keys)
    done = run("check")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("right    A     mail.example.com\n")
    assert done.output.endswith("\nAll 11 records are right.\n")
    found = json.loads(run("check", "--json").output)
    assert found["ok"] is True
    assert {record["state"] for record in found["records"]} == {"right"}


def test_check_of_what_is_missing(run: Run) -> None:
    done = run("check")
    assert done.exit_code == 11
    assert "MISSING  MX    example.com\n         there is none, says ns1" in done.output
    assert "MISSING  TXT   _dmarc.example.com  (recommended)\n" in done.output
    assert "All" not in done.output.splitlines()[-1]


def test_check_is_not_content_with_what_could_not_be_looked_up(
    run: Run, net: Internet, keys: Sequence[DkimKey]
) -> None:
    publish_all(net, keys)
    net.resolver.mood = "servfail"
    done = run("check")
    assert done.exit_code == 11
    assert "All" not in done.output.splitlines()[-1]
    assert "could not be looked up" in done.output
    assert run("check", "--no-resolvers").exit_code == 0
    net.root.mood = "refused"
    done = run("check", "--no-resolvers", "--json")
    assert done.exit_code == 11
    found = json.loads(done.output)
    assert found["ok"] is False
    assert {record["state"] for record in found["records"]} == {"unknown"}


def test_note_about_addresses(run: Run, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.settings.write_text(SETTINGS)
    outgoing = (ip_address("192.168.1.2"),)
    monkeypatch.setattr("firstboot.dns.plan.outgoing_addresses", lambda: outgoing)
    done = run("show")
    assert done.stderr.startswith("note: This machine has the private address 192.168.1.2: ")
    assert "(the public IPv4 address)" in done.stdout


def test_machine_that_has_not_been_set_up(run: Run, paths: Paths) -> None:
    paths.settings.unlink()
    for verb in ("show", "export", "check"):
        done = run(verb)
        assert isinstance(done.exception, SettingsError)
