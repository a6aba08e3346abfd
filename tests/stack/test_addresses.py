"""Addresses that are nobody's mailbox: groups, catch-alls, a domain without people, send-as."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstboot.base.services import Stack
from tests.stack.changed import changed_settings, use_settings
from tests.stack.mail import Mail, refusal
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE, HEDY, STRANGER
from tools.stack.example import ADA, Person, example_settings
from tools.stack.lifecycle import StackUp

# Where nobody has a mailbox.
CLUB = "club.example.net"
BOARD, FAMILY, EVERYBODY = f"board@{CLUB}", f"family@{EXAMPLE.domain}", f"all@{EXAMPLE.domain}"
ADDRESSES = {
    "domains": [{"name": EXAMPLE.domain}, {"name": CLUB, "catch_all": BOARD}],
    "groups": [
        {"address": BOARD, "members": [GRACE.address, HEDY.aliases[0]], "send_as": True},
        {"address": FAMILY, "members": [ADA.address, GRACE.address]},
        # Grace is in it three times.
        {"address": EVERYBODY, "members": [BOARD, FAMILY, GRACE.address]},
    ],
}


@pytest.fixture(scope="module", autouse=True)
def addresses(stack: StackUp, services: Stack) -> Iterator[None]:
    every = [service.name for service in services.services]
    use_settings(stack, services, changed_settings(stack, **ADDRESSES), every)
    try:
        yield
    finally:
        use_settings(stack, services, example_settings(EXAMPLE, stack.home), every)


@pytest.mark.parametrize(
    ("recipients", "people"),
    [
        ([BOARD], [GRACE, HEDY]),
        ([BOARD.replace("@", "+minutes@")], [GRACE, HEDY]),
        ([EVERYBODY], [ADA, GRACE, HEDY]),
        ([EVERYBODY, FAMILY, GRACE.address], [ADA, GRACE, HEDY]),
        ([f"whatever@{CLUB}"], [GRACE, HEDY]),
        ([f"postmaster@{CLUB}"], [ADA]),
        ([f"abuse@{CLUB}"], [ADA]),
    ],
    ids=lambda value: " ".join(str(getattr(item, "address", item)) for item in value),
)
def test_who_gets_it_and_gets_it_once(
    mail: Mail, recipients: list[str], people: list[Person]
) -> None:
    mark = new_mark()
    mail.receive(recipients, ordinary(mark, sender=STRANGER))
    for person in people:
        assert mail.fetch(person, mark)
    found = {person.address: mail.count(person, mark) for person in (ADA, GRACE, HEDY)}
    assert found == {person.address: int(person in people) for person in (ADA, GRACE, HEDY)}


def test_people_write_to_groups_too(mail: Mail) -> None:
    mark = new_mark()
    mail.send(HEDY, FAMILY, ordinary(mark, sender=HEDY.address))
    for person in (ADA, GRACE):
        assert mail.fetch(person, mark)


def test_a_domain_without_catch_all_refuses_what_nobody_has(mail: Mail) -> None:
    with mail.smtp("smtp") as smtp:
        assert refusal(smtp, STRANGER, f"whatever@{EXAMPLE.domain}")[0] == 550
        assert refusal(smtp, STRANGER, f"@{CLUB}")[0] >= 500
        assert refusal(smtp, STRANGER, f"canary@{EXAMPLE.hostname}")[0] == 554


@pytest.mark.parametrize(
    ("person", "sender", "may"),
    [
        (GRACE, BOARD, True),
        (HEDY, BOARD, True),
        (HEDY, f"treasurer@{CLUB}", True),
        (ADA, BOARD, False),
        (ADA, f"treasurer@{CLUB}", False),
        (ADA, f"postmaster@{CLUB}", True),
        (HEDY, f"postmaster@{CLUB}", False),
        # Its members may not, since the settings do not say so.
        (ADA, FAMILY, False),
    ],
    ids=lambda value: str(getattr(value, "address", value)),
)
def test_who_may_send_as_whom(mail: Mail, person: Person, sender: str, *, may: bool) -> None:
    with mail.submission(person) as smtp:
        code, text = refusal(smtp, sender, GRACE.address)
    assert (code, "not owned by user" in text) == ((250, False) if may else (553, True))
