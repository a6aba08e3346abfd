"""The end of an account: from the page to the settings, the files and the keys."""

from __future__ import annotations

import re

import pytest

from firstboot.base.audit import read_audit
from firstboot.base.settings import require_settings
from tests.unit.postmaster.harness import ADA, BOB, Stack
from tests.unit.postmaster.harness import PASSWORD as THEIRS
from tests.unit.postmaster.machine import Machine
from tests.unit.postmaster.pageclient import PageClient, Reply

PATH = "/delete-account"


def without_bob(stack: Stack) -> None:
    """The directory reads settings without Bob, as the machine would have given it."""
    settings = stack.files.settings
    text = re.sub(
        r"  - address: bob@example.com\n    password_hash: .*\n", "", settings.read_text()
    )
    settings.write_text(text)
    stack.control(b'{"op": "reread"}')


@pytest.fixture
def bob(machine: Machine) -> PageClient:
    """Bob, on a machine where people may; his mail is where the machine looks for it."""
    store = machine.paths.state / "mailstore"
    store.mkdir(parents=True)
    files = machine.stack.files
    for folder in (files.vaults, files.spool, files.keys, files.restored):
        (store / folder.name).symlink_to(folder)
    machine.engine.rereads = lambda: without_bob(machine.stack) if left(machine) else None
    machine.sign_in()
    new = {"address": BOB, "password": "a long password"}
    assert "Added." in machine.browser.send("/admin/people/new", new).words
    allow(machine)
    browser = PageClient(machine.browser.port)
    browser.sign_in(BOB, THEIRS)
    return browser


def allow(machine: Machine) -> None:
    settings = machine.paths.settings
    settings.write_text(settings.read_text() + "\npages: {delete_account: true}\n")


def left(machine: Machine) -> bool:
    """Whether Bob is in the settings no more, once he was."""
    return len(require_settings(machine.paths.settings).people) == 1


def delete(browser: PageClient, address: str = BOB, password: str = THEIRS) -> Reply:
    return browser.send(PATH, {"address": address, "password": password})


def files_of(machine: Machine) -> set[str]:
    """What is kept of people, by names; a log comes and goes with who is logged in."""
    files = machine.stack.files
    found = [path for folder in (files.vaults, files.spool) for path in folder.rglob("*.*")]
    return {path.name.removesuffix("-wal").removesuffix("-shm") for path in found}


def test_everything_of_a_person_goes(machine: Machine, bob: PageClient) -> None:
    stack = machine.stack
    with stack.imap(ADA):
        pass
    stack.deliver(b"Subject: for Ada\r\n\r\n", ADA)
    of_others = files_of(machine)
    with stack.imap(BOB):
        pass
    stack.deliver(b"Subject: x\r\n\r\n", BOB)
    assert files_of(machine) > of_others
    phone = PageClient(bob.port)
    phone.sign_in(BOB, THEIRS)

    reply = delete(bob)
    assert (reply.status, "All that was kept of bob@example.com" in reply.words) == (200, True)
    assert files_of(machine) == of_others
    assert stack.control(b'{"op": "list"}')["left"] == []
    for browser in (bob, phone):
        assert browser.ask("GET", "/").headers["location"] == "/sign-in"
    assert "do not belong together" in phone.sign_in(BOB, THEIRS).words
    assert stack.deliver(b"Subject: x\r\n\r\n", BOB, ADA)[BOB][0] == 550
    entries = [(entry.verb, entry.who) for entry in read_audit(machine.paths.audit)[-2:]]
    who = f"{BOB} 192.0.2.7"
    assert entries == [("people.leave", who), ("people.remove", who)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "guessed"}, "not your password"),
        ({"password": ""}, "not your password"),
        ({"address": ADA}, "not the address of this account"),
        ({"address": ""}, "not the address of this account"),
    ],
    ids=["password", "no-password", "address", "no-address"],
)
def test_nobody_goes_by_a_slip(
    machine: Machine, bob: PageClient, change: dict[str, str], said: str
) -> None:
    reply = delete(bob, **change)
    assert (reply.status, said in reply.words) == (422, True)
    assert not left(machine)


def test_who_gets_the_machines_own_mail_stays(machine: Machine, bob: PageClient) -> None:
    browser = PageClient(bob.port)
    browser.sign_in(ADA, THEIRS)
    reply = delete(browser, ADA)
    assert (reply.status, "such as alarms, comes to you" in reply.words) == (422, True)
    assert not left(machine)


def test_it_takes_the_owners_leave(machine: Machine, bob: PageClient) -> None:
    settings = machine.paths.settings
    settings.write_text(
        settings.read_text().replace("delete_account: true", "delete_account: false")
    )
    page = bob.open(PATH)
    assert "has not allowed" in page.words
    assert 'name="address"' not in page.text
    # Nor by a form that was on the screen before.
    fields = {"form": bob.token("/"), "address": BOB, "password": THEIRS}
    assert bob.post(PATH, fields).status == 422
    assert not left(machine)


def test_what_cannot_be_destroyed_now_is_said(machine: Machine, bob: PageClient) -> None:
    with machine.stack.imap(BOB):
        pass
    machine.engine.services = tuple(s for s in machine.engine.services if s != "learned")
    reply = delete(bob)
    assert "whoever runs the machine can finish that" in reply.words
    entry = read_audit(machine.paths.audit)[-1]
    assert (entry.verb, entry.outcome.startswith("refused: the container learned")) == (
        "people.remove",
        True,
    )
    assert machine.stack.control(b'{"op": "list"}')["left"] == [BOB]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_pages_are_in_their_language(bob: PageClient, language: str) -> None:
    bob.headers["Accept-Language"] = language
    for reply in (bob.ask("GET", PATH), delete(bob)):
        words = reply.words.replace("中文", "")
        assert bool(re.search(r"[\u4e00-\u9fff]", words)) == language.startswith("zh")
        assert (reply.text.count("<h1>"), reply.text.count("<main")) == (1, 1)
