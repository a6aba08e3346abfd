"""A smart host in the settings, in what Postfix gets of it, and in what people are shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstboot.base.compose import StackOptions
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import parse_settings
from firstboot.base.stack import write_stack
from firstboot.settings import commands
from tests.unit.firstboot.conftest import Command
from tests.unit.firstboot.samples import RELEASE, SETTINGS, make_image

COMPOSE = Path(__file__).parents[3] / "compose"
SECRET = "sesame: open #1"
LOGIN = f"username: ada@example.net, password: '{SECRET}'"
HEADING = "# All mail to others goes through a smart host"


def relay(text: str) -> str:
    return f"{SETTINGS}relay: {{{text}}}\n"


def test_defaults() -> None:
    assert parse_settings(SETTINGS, "x.yaml").relay.host is None
    for text, port in (
        ("", 587),
        (", tls: implicit", 465),
        (", port: 2525", 2525),
        (", tls: implicit, port: 2465", 2465),
    ):
        found = parse_settings(relay(f"host: SMTP.Example.net{text}"), "x.yaml").relay
        assert (found.host, found.number) == ("smtp.example.net", port)
        assert (found.username, found.password) == (None, None)


def test_the_password_is_not_in_a_representation() -> None:
    found = parse_settings(relay(f"host: smtp.example.net, {LOGIN}"), "x.yaml")
    assert found.relay.password == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("host: smtp", "relay.host: expected at least two labels"),
        ("host: 192.0.2.1", "relay.host: expected"),
        ("host: MAIL.example.com", "relay.host: expected another machine than this one"),
        ("port: 587", "relay.host: expected together with port, got nothing"),
        ("spf: spf.example.net", "relay.host: expected together with spf, got nothing"),
        ("host: a.example, port: 0", "relay.port: expected a port number from 1 to 65535, got 0"),
        ("host: a.example, tls: none", "relay.tls: expected 'starttls' or 'implicit', got 'none'"),
        ("host: a.example, port: 465", "relay.tls: expected 'implicit' with port 465, got 'startt"),
        ("host: a.example, port: 587, tls: implicit", "relay.tls: expected 'starttls' with port 5"),
        ("host: a.example, username: x", "relay.password: expected together with username, got no"),
        ("host: a.example, password: y1234", "relay.username: expected together with password"),
        ("host: a.example, username: 'a:b', password: y1234", "without blanks and colons, got 'a"),
        ("host: a.example, username: x, password: 'y1234 '", "without blanks at the ends, got ano"),
        ("host: a.example, username: x, password: y1234é", "expected ASCII characters"),
        ("host: a.example, username: x, password: [y1234]", "expected one line of text"),
    ],
)
def test_wrong_settings(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(relay(text), "x.yaml")
    (found,) = caught.value.problems
    assert problem in found
    assert "y1234" not in found


def rendered(paths: Paths, settings: str) -> tuple[str, dict[str, Any]]:
    """The real main.cf, and the real compose file."""
    stack = read_stack(COMPOSE / "services.yaml")
    names = {service.image for service in stack.services}
    write_stack(
        parse_settings(settings, "x.yaml"),
        stack,
        replace(RELEASE, images={name: make_image(name, "a", "b") for name in names}),
        templates=COMPOSE,
        config=paths.stack,
        state=paths.state,
        options=StackOptions(),
    )
    document: dict[str, Any] = yaml.safe_load(paths.compose_file.read_text())
    return (paths.stack / "files/mta/mta/main.cf").read_text(), document


def parameters(text: str) -> dict[str, str]:
    """Each parameter of a main.cf; one that stands there twice is an error."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line[:1].isalpha():
            name, _, value = line.partition(" =")
            assert name not in found
            found[name] = value.strip()
    return found


def test_without_a_smart_host_there_is_no_word_of_it(paths: Paths) -> None:
    text, document = rendered(paths, SETTINGS)
    found = parameters(text)
    assert found["smtp_tls_security_level"] == "dane"
    assert text.endswith("tls_preempt_cipherlist = no\n")
    assert not [name for name in found if "sasl_pass" in name or "relayhost" in name]
    assert "secrets/relay" not in str(document)
    assert not (paths.stack / "secrets/mta/relay").exists()


def test_with_a_smart_host_the_rest_stays(paths: Paths) -> None:
    """Verified TLS or nothing, and the login only over it."""
    before = rendered(paths, SETTINGS)[0]
    text, _ = rendered(paths, relay(f"host: smtp.example.net, {LOGIN}"))
    rest, heading, _ = text.partition(f"\n{HEADING}")
    assert heading
    assert parameters(rest).pop("smtp_tls_policy_maps") == ""
    rest = rest.replace("policy_maps = ", "policy_maps = socketmap:inet:sts:8461:postfix")
    assert rest.replace("level = secure", "level = dane") == before
    added = {name: parameters(text)[name] for name in parameters(text) if name not in rest}
    assert "relay access denied" in added.pop("smtp_delivery_status_filter")
    assert added == {
        "relayhost": "[smtp.example.net]:587",
        "smtp_tls_secure_cert_match": "nexthop",
        "smtp_tls_mandatory_protocols": ">=TLSv1.2",
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": "texthash:/run/secrets/relay",
        "smtp_sasl_tls_security_options": "noanonymous",
        "smtp_sasl_mechanism_filter": "plain, login",
    }
    assert parameters(text)["smtp_tls_security_level"] == "secure"


def test_tls_from_the_first_byte_and_no_login(paths: Paths) -> None:
    text, document = rendered(paths, relay("host: smtp.example.net, tls: implicit"))
    found = parameters(text)
    assert (found["relayhost"], found["smtp_tls_wrappermode"]) == ("[smtp.example.net]:465", "yes")
    assert "smtp_sasl_auth_enable" not in found
    assert "secrets/relay" not in str(document)


def test_only_postfix_gets_the_password_and_only_root_may_read_it(paths: Paths) -> None:
    _, document = rendered(paths, relay(f"host: smtp.example.net, {LOGIN}"))
    having = [
        path for path in paths.stack.rglob("*") if path.is_file() and SECRET in path.read_text()
    ]
    (kept,) = having
    assert kept == paths.stack / "secrets/mta/relay"
    assert kept.read_text() == f"[smtp.example.net]:587 ada@example.net:{SECRET}\n"
    assert kept.stat().st_mode & 0o077 in (0, 0o044)
    mounts = {
        name: [mount for mount in service["volumes"] if "secrets/relay" in mount["target"]]
        for name, service in document["services"].items()
    }
    assert [name for name, found in mounts.items() if found] == ["mta"]
    assert mounts["mta"][0]["read_only"] is True
    # Another password makes another container.
    digest = document["services"]["mta"]["labels"]["mailstead.files"]
    other = rendered(paths, relay("host: smtp.example.net, username: ada, password: other"))[1]
    assert other["services"]["mta"]["labels"]["mailstead.files"] != digest
    # And when there is none any more, the old one does not stay.
    rendered(paths, SETTINGS)
    assert not kept.exists()


@pytest.fixture
def call(paths: Paths, monkeypatch: pytest.MonkeyPatch, mailstead: Command) -> Command:
    """Run `mailstead settings …` with a line on standard input: exit code and all output."""
    paths.settings.write_text(SETTINGS)
    monkeypatch.setattr(commands, "Paths", lambda: paths)
    return partial(mailstead, "settings")


def test_a_password_is_set_without_standing_on_a_command_line(call: Command, paths: Paths) -> None:
    words = ("relay.host", "smtp.example.net", "relay.username", "ada", "relay.password", "-")
    code, out = call("set", *words, stdin=f"{SECRET}\n")
    assert code == 0
    assert "It counts from the next start on" in out
    assert parse_settings(paths.settings.read_text(), "x").relay.password == SECRET
    for arguments in (("show",), ("show", "relay"), ("show", "--defaults"), ("show", "--json")):
        code, shown = call(*arguments)
        assert code == 0
        assert "(hidden)" in shown
        assert SECRET not in shown
    assert call("get", "relay.password") == (0, "(hidden)\n")


def test_a_password_that_is_not_given_changes_nothing(call: Command, paths: Paths) -> None:
    code, out = call("set", "relay.host", "smtp.example.net", "relay.password", "-")
    assert code == 2
    assert "expected a line on standard input: relay.password" in out
    assert paths.settings.read_text() == SETTINGS
