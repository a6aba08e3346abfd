"""Forwarding: where copies go, and senders that are rewritten and found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postmaster.directory import socketmap
from postmaster.directory.people import Directory, build_directory
from postmaster.directory.roster import Roster
from postmaster.directory.srs import DAY, DAYS, MOST_DAYS, Rewriter
from tests.unit.postmaster.harness import ADA, BOB, bounded, settings_text

HOST, KEY = "mail.example.com", b"k" * 32
NOW = 20_000 * DAY
EVE = "eve@elsewhere.example"


def at(days: int, key: bytes = KEY, domain: str = HOST) -> Rewriter:
    return Rewriter(domain, key, lambda: NOW + days * DAY)


@pytest.fixture
def directory(password_hash: str) -> Directory:
    document: dict[str, Any] = yaml.safe_load(settings_text(password_hash))
    document["people"][0]["forward_to"] = ["Ada@Elsewhere.example"]
    document["domains"][1]["catch_all"] = "club@far.example"
    document["groups"] = [
        {"address": "all@example.com", "members": [ADA, EVE], "send_as": True},
    ]
    return replace(build_directory(document), rewriter=at(0))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (f"aliases {ADA}", f"OK {ADA}, ada=elsewhere.example@forward.invalid"),
        (
            "aliases ada+x@example.com",
            "OK ada+x@example.com, ada=elsewhere.example@forward.invalid",
        ),
        ("aliases countess@example.com", f"OK {ADA}"),
        (f"aliases {BOB}", "NOTFOUND "),
        ("aliases all@example.com", f"OK {ADA}, eve=elsewhere.example@forward.invalid"),
        ("aliases any@example.org", "OK club=far.example@forward.invalid"),
        ("senders all@example.com", f"OK {ADA}"),
        ("senders any@example.org", "NOTFOUND "),
        (f"mailboxes {ADA}", f"OK {ADA}"),
        ("forwards eve=elsewhere.example@forward.invalid", f"OK {EVE}"),
        ("forwards a=b=elsewhere.example@forward.invalid", "OK a=b@elsewhere.example"),
        ("forwards bob=example.com@forward.invalid", "NOTFOUND "),
        ("forwards =elsewhere.example@forward.invalid", "NOTFOUND "),
        ("forwards eve@forward.invalid", "NOTFOUND "),
        ('forwards "a@x, b=elsewhere.example"@forward.invalid', "NOTFOUND "),
        ("forwards a@x,b=elsewhere.example@forward.invalid", "NOTFOUND "),
        (f"forwards {EVE}", "NOTFOUND "),
        ("forwards @forward.invalid", "NOTFOUND "),
        # What is likely spam is refused for these.
        ("elsewhere any@example.org", "OK yes"),
        ("elsewhere all+x@example.com", "OK yes"),
        (f"elsewhere {ADA}", "NOTFOUND "),
        (f"elsewhere {BOB}", "NOTFOUND "),
        ("elsewhere nobody@example.com", "NOTFOUND "),
        ("elsewhere ", "NOTFOUND "),
        # The sender of reports stays.
        ("rewritten ", "NOTFOUND "),
        ("rewritten @elsewhere.example", "NOTFOUND "),
        ('rewritten "a, b"@elsewhere.example', "NOTFOUND "),
    ],
)
def test_lookups(directory: Directory, request_: str, expected: str) -> None:
    assert socketmap.answer(directory, request_.encode()) == expected


def test_a_report_comes_back(directory: Directory) -> None:
    made = socketmap.answer(directory, f"rewritten {EVE}".encode()).removeprefix("OK ")
    assert made.startswith("SRS0=")
    assert made.endswith(f"=elsewhere.example=eve@{HOST}")
    # Postfix asks until there is nothing left to rewrite.
    assert socketmap.answer(directory, f"rewritten {made}".encode()) == "NOTFOUND "
    wanted = "OK eve=elsewhere.example@forward.invalid"
    for spelling in (made, made.lower(), made.upper(), made.replace("SRS0=", "SRS0+")):
        answer = socketmap.answer(directory, f"aliases {spelling}".encode())
        assert answer.lower() == wanted.lower()
    assert socketmap.answer(directory, f"elsewhere {made}".encode()) == "OK yes"
    # Whoever writes to it is nobody who could log in or send from it.
    for name in ("mailboxes", "senders"):
        assert socketmap.answer(directory, f"{name} {made}".encode()) == "NOTFOUND "


def test_of_what_people_here_send_the_reports_come_back_to_them(directory: Directory) -> None:
    made = socketmap.answer(directory, f"rewritten {BOB}".encode()).removeprefix("OK ")
    assert made.startswith("SRS0=")
    assert socketmap.answer(directory, f"aliases {made}".encode()) == f"OK {BOB}"
    assert socketmap.answer(directory, f"elsewhere {made}".encode()) == "NOTFOUND "


def test_settings_that_are_read_again_keep_the_key(tmp_path: Path, password_hash: str) -> None:
    file = tmp_path / "settings"
    file.write_text(settings_text(password_hash))
    roster = Roster.of_settings(file, KEY)
    assert roster.current.rewriter is not None
    made = roster.current.rewriter.forward(EVE)
    file.write_text(settings_text(password_hash).replace("example.org", "example.net"))
    again = roster.reread()
    assert again.has_domain("example.net")
    assert again.rewriter is not None
    assert again.rewriter.reverse(made or "") == EVE


@pytest.mark.parametrize("place", range(5, 14))
def test_a_forged_address_is_nobodys(directory: Directory, place: int) -> None:
    made = at(0).forward(EVE)
    assert made is not None
    other = "a" if made[place] != "a" else "b"
    forged = made[:place] + other + made[place + 1 :]
    assert at(0).reverse(forged) is None
    assert socketmap.answer(directory, f"aliases {forged}".encode()) == "NOTFOUND "


def test_what_was_made_for_another_is_nobodys() -> None:
    made = at(0).forward(EVE)
    assert made is not None
    assert at(0).reverse(made) == EVE
    assert at(0).reverse(made.replace("eve@", "bob@")) is None
    assert at(0).reverse(made.replace("elsewhere", "nowhere")) is None
    assert at(0, key=b"other").reverse(made) is None
    assert at(0, domain="other.example").reverse(made) is None


@pytest.mark.parametrize(
    ("days", "young"),
    [(0, True), (MOST_DAYS, True), (MOST_DAYS + 1, False), (-1, False), (DAYS, True)],
)
def test_it_lasts_for_three_weeks(days: int, young: bool) -> None:
    made = at(0).forward(EVE)
    assert made is not None
    assert at(days).reverse(made) == (EVE if young else None)


def test_a_sender_that_others_have_rewritten_goes_back_to_them() -> None:
    first, second = at(0, b"1", "one.example"), at(0, b"2", "two.example")
    ours = at(0)
    made = [first.forward(EVE)]
    for rewriter in (second, ours):
        assert made[-1] is not None
        made.append(rewriter.forward(made[-1]))
    assert made[2] is not None
    assert made[2].startswith("SRS1=")
    # Not by way of the one in the middle, which needs not be asked.
    back = ours.reverse(made[2])
    assert back == made[0]
    assert back is not None
    assert first.reverse(back) == EVE


@bounded
@given(st.text(max_size=80))
def test_hostile_addresses_are_nobodys(local: str) -> None:
    for text in (f"{local}@{HOST}", f"SRS0={local}@{HOST}", f"SRS1={local}@{HOST}", local):
        assert at(0).reverse(text) is None


@bounded
@given(st.from_regex(r"[a-zA-Z0-9=+_.-]{1,40}", fullmatch=True))
def test_whatever_is_rewritten_is_found_again(local: str) -> None:
    made = at(0).forward(f"{local}@elsewhere.example")
    assert made is not None
    back = at(0).reverse(made)
    assert back is not None
    if not local.lower().startswith("srs"):
        assert back == f"{local}@elsewhere.example"


CANARY = f"canary@{HOST}"
RETURNS = f"canary={HOST}@forward.invalid"
ROOT = "root=far.example@forward.invalid"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("aliases any@example.org", "OK club=far.example@forward.invalid"),
        ("aliases sales@example.com", "OK eve=elsewhere.example@forward.invalid"),
        # These work always; what nobody has takes is for the postmaster of the first domain.
        ("aliases postmaster@example.com", f"OK {ROOT}"),
        ("aliases Abuse@example.com", f"OK {ROOT}"),
        ("aliases postmaster@example.org", f"OK {ROOT}"),
        (f"aliases abuse@{HOST}", f"OK {ROOT}"),
        ("aliases abuse@example.org", "OK eve=elsewhere.example@forward.invalid"),
        ("aliases nobody@example.com", "NOTFOUND "),
        ("mailboxes postmaster@example.com", "NOTFOUND "),
        ("senders sales@example.com", "NOTFOUND "),
        ("elsewhere sales@example.com", "OK yes"),
        # What the machine sends to itself is forwarded, and ends before it would leave.
        (f"mailboxes {CANARY}", "NOTFOUND "),
        (f"aliases {CANARY}", f"OK {RETURNS}"),
        (f"senders {CANARY}", f"OK {CANARY}"),
        (f"forwards {RETURNS}", "NOTFOUND "),
        (f"held {RETURNS}", "OK HOLD"),
        ("held eve=elsewhere.example@forward.invalid", "NOTFOUND "),
        ("held forward.invalid", "NOTFOUND "),
        (f"held {CANARY}", "NOTFOUND "),
    ],
)
def test_lookups_where_nobody_has_a_mailbox(
    password_hash: str, request_: str, expected: str
) -> None:
    document: dict[str, Any] = yaml.safe_load(settings_text(password_hash))
    document["people"] = []
    document["domains"][1]["catch_all"] = "club@far.example"
    document["groups"] = [
        {"address": "sales@example.com", "members": [EVE], "send_as": True},
        {"address": "postmaster@example.com", "members": ["root@far.example"]},
        {"address": "abuse@example.org", "members": ["sales@example.com"]},
    ]
    forwarding = replace(build_directory(document), rewriter=at(0))
    assert socketmap.answer(forwarding, request_.encode()) == expected


def test_a_catch_all_takes_what_is_for_the_postmaster(password_hash: str) -> None:
    document: dict[str, Any] = yaml.safe_load(settings_text(password_hash))
    document["people"] = []
    document["domains"][0]["catch_all"] = EVE
    forwarding = build_directory(document)
    for address in ("postmaster@example.com", "abuse@example.org", f"abuse@{HOST}"):
        assert forwarding.recipients(address) == (EVE,)


def test_the_machines_own_mail_is_held_nowhere_else(directory: Directory) -> None:
    assert socketmap.answer(directory, f"held {RETURNS}".encode()) == "NOTFOUND "
    assert socketmap.answer(directory, f"aliases {CANARY}".encode()) == "NOTFOUND "
    assert socketmap.answer(directory, f"mailboxes {CANARY}".encode()) == f"OK {CANARY}"
