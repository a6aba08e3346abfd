"""Groups and catch-alls: what Postfix is told of them, and settings that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from postmaster.directory import socketmap
from postmaster.directory.people import Directory, build_directory
from tests.unit.postmaster.harness import ADA, BOB, settings_text

DOMAINS = [{"name": "example.com"}, {"name": "Example.org", "catch_all": "Board@example.org"}]
GROUPS = [
    {"address": "all@example.com", "members": ["board@example.org", "countess@example.com"]},
    {"address": "board@example.org", "members": [BOB, ADA], "send_as": True},
    {"address": "abuse@example.org", "members": [BOB]},
]


def directory_of(password_hash: str, **sections: Any) -> Directory:
    return build_directory({**yaml.safe_load(settings_text(password_hash)), **sections})


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("aliases board@example.org", f"OK {BOB}, {ADA}"),
        ("aliases BOARD+x@example.org", f"OK {BOB}, {ADA}"),
        # Ada is in it twice.
        ("aliases all@example.com", f"OK {BOB}, {ADA}"),
        ("aliases whatever@example.org", f"OK {BOB}, {ADA}"),
        ("aliases whatever@example.com", "NOTFOUND "),
        ("aliases @example.org", "NOTFOUND "),
        ("aliases example.org", "NOTFOUND "),
        ("aliases postmaster@example.org", f"OK {ADA}"),
        ("aliases abuse@example.org", f"OK {BOB}"),
        ("aliases canary@mail.example.com", "NOTFOUND "),
        ("mailboxes board@example.org", "NOTFOUND "),
        ("mailboxes whatever@example.org", "NOTFOUND "),
        ("senders board@example.org", f"OK {BOB}, {ADA}"),
        ("senders all@example.com", "NOTFOUND "),
        ("senders whatever@example.org", f"OK {BOB}, {ADA}"),
        ("senders postmaster@example.org", f"OK {ADA}"),
        ("senders whatever@example.com", "NOTFOUND "),
    ],
)
def test_lookups(password_hash: str, request_: str, expected: str) -> None:
    directory = directory_of(password_hash, domains=DOMAINS, groups=GROUPS)
    assert socketmap.answer(directory, request_.encode()) == expected


def test_a_group_is_no_login_and_no_mailbox(password_hash: str) -> None:
    directory = directory_of(password_hash, domains=DOMAINS, groups=GROUPS)
    for address in ("board@example.org", "whatever@example.org"):
        assert directory.resolve(address) is None
        assert directory.alias(address) is None


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"groups": [{"address": "a@example.com", "members": ["x@example.com"]}]}, "nobody's"),
        ({"groups": [{"address": "a@example.com", "members": ["a@example.com"]}]}, "to itself"),
        ({"domains": [{"name": "example.com", "catch_all": "x@example.com"}]}, "nobody's"),
        (
            {
                "groups": [
                    {"address": "a@example.com", "members": [ADA, "b@example.com"]},
                    {"address": "b@example.com", "members": ["a@example.com"]},
                ]
            },
            "to itself",
        ),
    ],
    ids=["unknown member", "own member", "unknown catch-all", "loop"],
)
def test_what_leads_nowhere_is_refused(
    password_hash: str, sections: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        directory_of(password_hash, **sections)
