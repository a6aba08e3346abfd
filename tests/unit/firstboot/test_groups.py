"""Groups and catch-alls in the settings."""

from __future__ import annotations

import pytest

from firstboot.base.errors import SettingsError
from firstboot.base.settings import dump_settings, parse_settings
from tests.unit.firstboot.samples import HASH, SETTINGS

BOB = f"  - {{address: bob@example.com, password_hash: '{HASH}'}}\n"
CATCH_ALL = "  - name: example.com\n    catch_all: "


def groups(*texts: str) -> str:
    return SETTINGS + BOB + "groups:\n" + "".join(f"  - {{{text}}}\n" for text in texts)


def test_groups() -> None:
    text = groups(
        "address: Family@Example.com, members: [Ada@example.com, bob@example.com]",
        "address: all@example.com, members: [family@example.com, countess@example.com]",
    ).replace("  - name: example.com\n", f"{CATCH_ALL}All@example.com\n")
    settings = parse_settings(text, "x.yaml")
    family, everybody = settings.groups
    assert (family.address, family.send_as) == ("family@example.com", False)
    assert family.members == ("ada@example.com", "bob@example.com")
    assert everybody.members == ("family@example.com", "countess@example.com")
    assert settings.domains[0].catch_all == "all@example.com"
    assert parse_settings(dump_settings(settings), "again") == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("members: [ada@example.com]", "groups[0].address: expected an address such as family@"),
        ("address: a@example.com", "groups[0].members: expected a list of addresses, got nothing"),
        ("address: a@example.com, members: []", "members: expected at least one entry, got a l"),
        ("address: a@example.com, members: [x]", "members[0]: expected an address such as ada@"),
        (
            "address: a@example.com, members: [eve@example.com]",
            "members[0]: expected an address that a person or a group has, or one elsewhere",
        ),
        (
            "address: a@example.com, members: [ada@example.com, Ada@example.com]",
            "members[1]: expected each one once, got 'ada@example.com' again",
        ),
        (
            "address: a@example.com, members: [a@example.com]",
            "members[0]: expected a member that does not lead back to a@example.com, got 'a@exa",
        ),
        (
            "address: countess@example.com, members: [bob@example.com]",
            "groups[0].address: expected each one once, got 'countess@example.com' again",
        ),
        (
            "address: a@example.net, members: [bob@example.com]",
            "groups[0].address: expected an address in one of the domains (example.com), got 'a@",
        ),
        (
            "address: canary@mail.example.com, members: [bob@example.com]",
            "groups[0].address: expected another address; canary@mail.example.com is for",
        ),
        ("address: a@example.com, members: [bob@example.com], send: true", "expected send_as?"),
    ],
)
def test_wrong_groups(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(groups(text), "x.yaml")
    (found,) = caught.value.problems
    assert problem in found


def test_a_loop_is_named_where_it_begins() -> None:
    text = groups(
        "address: a@example.com, members: [bob@example.com, b@example.com]",
        "address: b@example.com, members: [c@example.com]",
        "address: c@example.com, members: [a@example.com]",
    )
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "x.yaml")
    assert [problem.partition(": ")[2].partition(":")[0] for problem in caught.value.problems] == [
        "groups[0].members[1]",
        "groups[1].members[0]",
        "groups[2].members[0]",
    ]


@pytest.mark.parametrize(
    "address", ["eve@example.com", "ada@mail.example.com", "ada+x@example.com"]
)
def test_a_catch_all_is_somebody(address: str) -> None:
    text = SETTINGS.replace("  - name: example.com\n", f"{CATCH_ALL}{address}\n")
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "x.yaml")
    (found,) = caught.value.problems
    assert "domains[0].catch_all: expected an address" in found


def test_addresses_elsewhere() -> None:
    text = groups("address: a@example.com, members: [ada@example.com, ada@example.net]")
    text = text.replace("  - name: example.com\n", f"{CATCH_ALL}eve@example.net\n")
    elsewhere = "forward_to: [Ada@Example.net, ada@example.org]\n    aliases: ["
    settings = parse_settings(text.replace("aliases: [", elsewhere), "x.yaml")
    assert settings.groups[0].members == ("ada@example.com", "ada@example.net")
    assert settings.domains[0].catch_all == "eve@example.net"
    assert settings.people[0].forward_to == ("ada@example.net", "ada@example.org")


@pytest.mark.parametrize(
    ("addresses", "problem"),
    [
        ("[x]", "people[0].forward_to[0]: expected an address such as ada@example.com"),
        ("ada@example.net", "people[0].forward_to: expected a list, got 'ada@example.net'"),
        (
            "[Bob@example.com]",
            "forward_to[0]: expected an address elsewhere (here, take a group), got 'bob@example",
        ),
        ("[a@mail.example.com]", "forward_to[0]: expected an address elsewhere"),
        ("[a@example.net, A@example.net]", "forward_to[1]: expected each one once, got 'a@exa"),
    ],
)
def test_mail_is_forwarded_elsewhere_only(addresses: str, problem: str) -> None:
    text = SETTINGS.replace("aliases: [", f"forward_to: {addresses}\n    aliases: [")
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "x.yaml")
    (found,) = caught.value.problems
    assert problem in found
