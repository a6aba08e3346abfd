"""A second factor at the web pages: an authenticator app, with the directory and Redis behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postmaster.crypto import DataKey, person_id
from postmaster.crypto.totp import STEP_SECONDS, code_at, new_key, read_key, step_of, written
from postmaster.crypto.wraps import WrapKind
from postmaster.directory import second_factors
from postmaster.directory.database import MIGRATIONS, DirectoryDatabase
from postmaster.directory.keyring import Keyring
from postmaster.directory.limits import FIRST_DELAY
from postmaster.storage.database import Database
from tests.unit.postmaster.fakeredis import FakeRedis
from tests.unit.postmaster.harness import (
    ADA,
    BOB,
    CHEAP,
    PASSWORD,
    Files,
    Stack,
    may_read,
    may_send,
)
from tests.unit.postmaster.pageclient import Open, PageClient, Reply, secret_on

NEW = "a new one, quite long"
SECOND_STEP, LOST = "/sign-in/second-step", "/sign-in/second-step/lost"
START = 1_800_000_000.0
KEY = b"12345678901234567890"  # of the test vectors of RFC 6238, appendix B


@dataclass
class Clock:
    """The directory's, as far as codes go."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(second_factors, "now", made)
    return made


@pytest.fixture
def stack(files: Files, clock: Clock) -> Iterator[Stack]:
    """Both services, and what counts failures."""
    running = Stack(files, grace=0.05, redis=FakeRedis())
    yield running
    if running.running:
        running.stop()


@dataclass(frozen=True)
class App:
    """An authenticator app: shows the code of the clock's moment, or of one some steps off."""

    key: bytes
    clock: Clock

    def code(self, steps: int = 0) -> str:
        return code_at(self.key, int(self.clock.now) // STEP_SECONDS + steps)

    def next_code(self) -> str:
        self.clock.now += STEP_SECONDS
        return self.code()


def key_on(reply: Reply) -> bytes:
    found = re.search(r'name="key" value="(\w+)"', reply.text)
    assert found, reply.words
    key = read_key(found[1])
    assert key is not None
    return key


def set_up(browser: PageClient, clock: Clock) -> App:
    app = App(key_on(browser.open("/second-factor/app")), clock)
    fields = {"key": written(app.key), "code": app.code(), "password": PASSWORD}
    assert "factor is on" in browser.send("/second-factor/app", fields).words
    return app


# Codes


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    # Of the eight digits there the last six.
    step = seconds // STEP_SECONDS
    assert code_at(KEY, step) == code
    assert step_of(KEY, f" {code[:3]} {code[3:]}\n", seconds, 0) == step


def test_a_clock_may_be_off_by_one_step_and_no_more() -> None:
    present = int(START) // STEP_SECONDS
    found = {off: step_of(KEY, code_at(KEY, present + off), START, 0) for off in range(-3, 4)}
    assert {off for off, step in found.items() if step is not None} == {-1, 0, 1}
    assert all(step == present + off for off, step in found.items() if step is not None)


def test_a_code_that_was_taken_is_none_any_more() -> None:
    present = int(START) // STEP_SECONDS
    assert step_of(KEY, code_at(KEY, present), START, present) is None
    assert step_of(KEY, code_at(KEY, present - 1), START, present) is None
    assert step_of(KEY, code_at(KEY, present + 1), START, present) == present + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "٣٣٣٣٣٣", "-1", "0x1"])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert step_of(KEY, typed, START, 0) is None


def test_keys_are_written_so_that_apps_read_them() -> None:
    key = new_key()
    assert re.fullmatch(r"[A-Z2-7]{32}", written(key))
    assert read_key(written(key)) == key
    for text in ("", "A" * 31, "A" * 40, "1" * 32, "ä" * 32, written(KEY).lower()):
        assert read_key(text) is None


# Set up, used, removed


def test_signing_in_takes_a_code_from_then_on(ada: PageClient, browse: Open, clock: Clock) -> None:
    other = browse()
    other.sign_in(ADA, PASSWORD)
    app = set_up(ada, clock)
    assert other.ask("GET", "/").status == 303
    assert ada.ask("GET", "/").status == 200

    browser = browse()
    asked = browser.sign_in(ADA, PASSWORD)
    assert "One more step" in asked.words
    assert "__Host-session" not in browser.cookies
    for path in ("/", "/app-passwords", "/second-factor", "/sessions"):
        assert browser.ask("GET", path).headers["location"] == "/sign-in"
    # The one that set it up was used by that.
    for wrong in (app.code(), "000000", "", "nonsense"):
        reply = browser.send(SECOND_STEP, {"code": wrong})
        assert (reply.status, "does not work" in reply.words) == (422, True)
    assert "Your account" in browser.send(SECOND_STEP, {"code": app.next_code()}).words
    assert "__Host-halfway" not in browser.cookies


def test_a_code_works_once_in_all_browsers(ada: PageClient, browse: Open, clock: Clock) -> None:
    app = set_up(ada, clock)
    first, second = browse(), browse()
    first.sign_in(ADA, PASSWORD)
    second.sign_in(ADA, PASSWORD)
    code = app.next_code()
    assert "Your account" in first.send(SECOND_STEP, {"code": code}).words
    assert second.send(SECOND_STEP, {"code": code}).status == 422
    assert second.send(SECOND_STEP, {"code": app.code(-1)}).status == 422
    assert "Your account" in second.send(SECOND_STEP, {"code": app.code(1)}).words


def test_a_code_alone_is_nothing(ada: PageClient, browse: Open, clock: Clock) -> None:
    app = set_up(ada, clock)
    browser = browse()
    fields = {"form": browser.token("/sign-in"), "code": app.next_code()}
    for path in (SECOND_STEP, LOST):
        assert browser.ask("GET", path).headers["location"] == "/sign-in"
        assert browser.post(path, fields).headers["location"] == "/sign-in"
    browser.cookies["__Host-halfway"] = "chosen-by-somebody-else"
    assert browser.post(SECOND_STEP, fields).headers["location"] == "/sign-in"


def test_half_a_sign_in_ends_soon_and_with_its_password(
    ada: PageClient, browse: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = set_up(ada, clock)
    browser = browse()
    browser.sign_in(ADA, PASSWORD)
    fields = {"password": PASSWORD, "new": NEW, "again": NEW}
    assert "is changed" in ada.send("/password", fields).words
    assert "Sign in" in browser.send("/sign-in", {"code": app.next_code()}, to=SECOND_STEP).text
    browser.sign_in(ADA, NEW)
    monkeypatch.setattr("postmaster.admin.sessions.Sessions._is_over", lambda *_: True)
    assert browser.ask("GET", SECOND_STEP).headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "000000"}, "not the app's code"),
        ({"code": ""}, "not the app's code"),
        ({"password": "wrong"}, "not your password"),
        ({"password": ""}, "not your password"),
        ({"key": ""}, "not the app's code"),
        ({"key": "A" * 9000}, "not the app's code"),
        ({"key": written(KEY)}, "not the app's code"),
    ],
    ids=["code", "no-code", "password", "no-password", "no-key", "odd-key", "another-key"],
)
def test_without_proof_it_is_not_set_up(
    somebody: PageClient,
    still_reads: Callable[[], None],
    clock: Clock,
    change: dict[str, str],
    said: str,
) -> None:
    app = App(key_on(somebody.open("/second-factor/app")), clock)
    fields = {"key": written(app.key), "code": app.code(), "password": PASSWORD} | change
    reply = somebody.send("/second-factor/app", fields)
    assert (reply.status, said in reply.words) == (422, True)
    # A key that is one is shown again, so that nobody has to scan another.
    assert (key_on(reply) == read_key(fields["key"])) is (read_key(fields["key"]) is not None)
    assert "You have none" in somebody.open("/second-factor").words
    still_reads()


def test_the_picture_is_what_apps_read(ada: PageClient) -> None:
    reply = ada.open("/second-factor/app")
    assert re.search(r'src="data:image/svg\+xml[^"]+"', reply.text)
    key = re.search(r"<code>([A-Z2-7 ]+)</code>", reply.text)
    assert key
    assert read_key(key[1].replace(" ", "")) == key_on(reply)


def test_it_is_removed_by_the_password(ada: PageClient, browse: Open, clock: Clock) -> None:
    set_up(ada, clock)
    for wrong in ("wrong", ""):
        reply = ada.send(
            "/second-factor", {"id": "totp", "password": wrong}, to="/second-factor/remove"
        )
        assert (reply.status, "not your password" in reply.words) == (422, True)
    fields = {"id": "totp", "password": PASSWORD}
    done = ada.send("/second-factor", fields, to="/second-factor/remove")
    assert "is removed" in done.words
    # Once more, as somebody with two windows does.
    assert ada.send("/second-factor", fields, to="/second-factor/remove").status == 200
    assert "Your account" in browse().sign_in(ADA, PASSWORD).words


# Programs


def test_programs_need_app_passwords_while_there_is_one(
    ada: PageClient, stack: Stack, clock: Clock
) -> None:
    stack.deliver(b"Subject: x\r\n\r\nbody\r\n")
    fields = {"label": "x", "scope": ["mail", "send"], "password": PASSWORD}
    app_password = secret_on(ada.send("/app-passwords/new", fields))
    assert may_read(stack, PASSWORD)
    assert may_send(stack, PASSWORD)
    set_up(ada, clock)
    assert not may_read(stack, PASSWORD)
    assert not may_send(stack, PASSWORD)
    assert may_send(stack, app_password)
    with stack.imap(ADA, app_password) as client:
        assert client.select()[1] == [b"1"]
    # Others are not concerned, and what needs the password at the pages works as before.
    with stack.imap(BOB, PASSWORD):
        pass
    assert "app password for x" in ada.send("/app-passwords/new", fields).words.lower()
    fields = {"id": "totp", "password": PASSWORD}
    ada.send("/second-factor", fields, to="/second-factor/remove")
    assert may_read(stack, PASSWORD)


def test_who_never_used_a_program_is_locked_by_it(
    ada: PageClient, stack: Stack, clock: Clock
) -> None:
    """The wrap under the password is there at once, so that nothing opens by the machine's key."""
    set_up(ada, clock)
    found = stack.control(b'{"op": "list"}')["people"]
    states = {entry["address"]: (entry["state"], entry["second_factor"]) for entry in found}
    assert states[ADA] == ("locked by password", ["totp"])
    assert states[BOB] == ("never logged in", [])


# What is lost


def test_the_recovery_code_signs_in_and_removes_it(
    ada: PageClient, browse: Open, clock: Clock
) -> None:
    code = secret_on(ada.send("/recovery-code", {"password": PASSWORD}))
    set_up(ada, clock)
    browser = browse()
    browser.sign_in(ADA, PASSWORD)
    for wrong in (PASSWORD, code[:-1], "", "0" * 28):
        reply = browser.send(LOST, {"code": wrong})
        assert (reply.status, "not your recovery code" in reply.words) == (422, True)
    assert "is removed" in browser.send(LOST, {"code": code.upper()}).words
    assert "Your account" in browse().sign_in(ADA, PASSWORD).words


def test_a_stolen_password_does_not_set_another(
    ada: PageClient, browse: Open, clock: Clock
) -> None:
    code = secret_on(ada.send("/recovery-code", {"password": PASSWORD}))
    app = set_up(ada, clock)
    fields = {"address": ADA, "code": PASSWORD, "new": NEW, "again": NEW}
    assert browse().send("/forgotten", fields).status == 422
    # The recovery code does, and leaves the second factor.
    assert "The password is set" in browse().send("/forgotten", fields | {"code": code}).words
    browser = browse()
    assert "One more step" in browser.sign_in(ADA, NEW).words
    assert "Your account" in browser.send(SECOND_STEP, {"code": app.next_code()}).words


def test_the_administrator_removes_it(
    ada: PageClient, browse: Open, stack: Stack, clock: Clock
) -> None:
    request = json.dumps({"op": "second-factor-remove", "person": ADA}).encode()
    assert "has no second factor" in stack.control(request)["error"]
    set_up(ada, clock)
    assert stack.control(request) == {"ok": True}
    assert "Your account" in browse().sign_in(ADA, PASSWORD).words


def test_it_stays_when_the_password_is_reset(
    ada: PageClient, browse: Open, stack: Stack, clock: Clock
) -> None:
    app = set_up(ada, clock)
    assert stack.control(json.dumps({"op": "reset", "person": ADA, "new": NEW}).encode())["ok"]
    browser = browse()
    assert "One more step" in browser.sign_in(ADA, NEW).words
    assert "Your account" in browser.send(SECOND_STEP, {"code": app.next_code()}).words


# Limits


def test_codes_cannot_be_guessed_with_a_stolen_password(
    ada: PageClient, browse: Open, stack: Stack, clock: Clock
) -> None:
    app = set_up(ada, clock)
    thief = browse()
    thief.client = "198.51.100.1"
    for _ in range(5):
        # The password is right each time, which does not make the codes before forgotten.
        thief.sign_in(ADA, PASSWORD)
        assert thief.send(SECOND_STEP, {"code": "000000"}).status == 422
    assert "One more step" in thief.sign_in(ADA, PASSWORD).words
    reply = thief.send(SECOND_STEP, {"code": app.next_code()})
    assert (reply.status, "too many" in reply.words) == (429, True)
    # Where she is, Ada is not kept out.
    browser = browse()
    browser.sign_in(ADA, PASSWORD)
    assert "Your account" in browser.send(SECOND_STEP, {"code": app.code()}).words
    assert stack.redis is not None
    stack.redis.pass_time(FIRST_DELAY)
    assert "Your account" in thief.send(SECOND_STEP, {"code": app.next_code()}).words


def test_without_redis_no_code_is_tried(
    files: Files, clock: Clock, ada: PageClient, stack: Stack
) -> None:
    app = set_up(ada, clock)
    stack.stop()
    again = Stack(files)
    try:
        browser = PageClient(again.start_admin())
        assert "One more step" in browser.sign_in(ADA, PASSWORD).words
        assert browser.send(SECOND_STEP, {"code": app.next_code()}).status == 503
    finally:
        again.stop()


# The tables


def test_a_database_from_before_is_used(tmp_path: Path) -> None:
    key, file = DataKey(bytes(range(32))), tmp_path / "directory.db"
    before = Database(file, key, MIGRATIONS[:1])
    owner = person_id(ADA)
    before.query(
        "INSERT INTO people (person, address, vault) VALUES (?, ?, ?)", (owner, ADA, owner)
    )
    assert before.pragma("user_version") == 1
    before.close()
    database = DirectoryDatabase(tmp_path, key)
    assert database.query("SELECT address FROM people") == [(ADA,)]
    assert database.query("SELECT person FROM totp") == []
    assert database.query("PRAGMA user_version") == [(2,)]
    database.close()
    # A release that knows the first table only is one behind, and goes on with it.
    Database(file, key, MIGRATIONS[:1]).close()


def test_the_key_is_not_readable_on_disk_and_goes_with_its_person(tmp_path: Path) -> None:
    database = DirectoryDatabase(tmp_path, DataKey(bytes(range(32))))
    keys = Keyring(database, bytes(32), CHEAP)
    entry = keys.entry(ADA)
    assert WrapKind.PROVISIONAL in entry.vault.wraps
    database.query("INSERT INTO totp VALUES (?, ?, 1, 1)", person_id(ADA), KEY)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert KEY not in kept
    assert database.destroy_person(person_id(ADA))
    assert database.query("SELECT person FROM totp") == []
    database.close()
