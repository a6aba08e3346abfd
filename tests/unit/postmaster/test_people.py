"""Passwords, app passwords, recovery codes and resets, by the control socket and real logins."""

from __future__ import annotations

import imaplib
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from firstboot.base.waiting import wait_for
from postmaster.cli import cli
from postmaster.crypto import DataKey, cipher_pragmas
from postmaster.crypto.codes import grouped, new_app_password, new_recovery_code
from postmaster.crypto.passwords import Argon2Parameters
from postmaster.crypto.wraps import Owner, Scope, WrapKind, WrongSecretError, expand, unwrap
from postmaster.directory.accounts import Accounts
from postmaster.directory.database import DirectoryDatabase, PersonEntry
from postmaster.directory.desk import ask
from postmaster.errors import AccountError, StorageUnavailableError
from postmaster.storage.vault import Vault
from tests.unit.postmaster.harness import (
    ADA,
    BOB,
    CHEAP,
    DEADLINE,
    DIRECTORY_KEY,
    PASSWORD,
    Files,
    Stack,
    may_send,
)

MESSAGE = b"Subject: Marmalade\r\n\r\nxylophone-quartz\r\n"
NEW = "a new one, quite long"


@pytest.fixture
def stack(files: Files) -> Iterator[Stack]:
    """Both services; a vault is locked as soon as its session ends."""
    running = Stack(files, grace=0.05)
    yield running
    if running.running:
        running.stop()


def person(stack: Stack, *words: str, lines: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Run `postmaster person --json …` as the container would."""
    arguments = ["person", "--control", str(stack.files.control), "--json", *words]
    done = CliRunner().invoke(cli, arguments, input="".join(f"{line}\n" for line in lines))
    found: Mapping[str, Any] = json.loads(done.output)
    assert found["ok"] is (done.exit_code == 0)
    return found


def count(stack: Stack, password: str, login: str = ADA) -> int:
    """Log in over IMAP and return how many messages the inbox has."""
    with stack.imap(login, password) as client:
        return int(client.select()[1][0] or 0)


def refused(stack: Stack, password: str, login: str = ADA) -> bool:
    try:
        count(stack, password, login)
    except imaplib.IMAP4.error as error:
        return "AUTHENTICATIONFAILED" in str(error)
    return False


def state(stack: Stack, address: str = ADA) -> Mapping[str, Any]:
    people = person(stack, "list")["people"]
    (found,) = [entry for entry in people if entry["address"] == address]
    return dict(found)


def first_login(stack: Stack, address: str = ADA) -> int:
    """Log in, and wait until the key is under the password."""
    found = count(stack, PASSWORD, address)
    await_wrap(stack, address)
    return found


def await_wrap(stack: Stack, address: str = ADA) -> None:
    """Wait until the key is under the password, which happens behind a first login."""
    wait_for(
        lambda: state(stack, address)["state"] == "locked by password",
        what="the wrap of the password",
        timeout=DEADLINE,
        interval=0.01,
    )


def test_the_first_login_locks_the_mail(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    assert state(stack)["state"] == "never logged in"
    assert refused(stack, "wrong")
    assert may_send(stack, PASSWORD)
    assert state(stack)["state"] == "never logged in"
    assert first_login(stack) == 1
    assert state(stack)["aliases"] == ["countess@example.com"]
    assert count(stack, PASSWORD, "countess@example.com") == 1


def test_a_password_is_changed(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    assert count(stack, PASSWORD) == 1
    assert person(stack, "password", ADA, lines=(PASSWORD, NEW))["ok"]
    assert refused(stack, PASSWORD)
    assert not may_send(stack, PASSWORD)
    assert count(stack, NEW) == 1
    assert may_send(stack, NEW)


def test_a_password_is_changed_before_the_first_login(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    assert person(stack, "password", ADA, lines=(PASSWORD, NEW))["ok"]
    assert refused(stack, PASSWORD)
    assert count(stack, NEW) == 1


@pytest.mark.parametrize(
    ("words", "lines", "message"),
    [
        (("password", ADA), ("wrong one", NEW), "neither the password nor"),
        (("password", ADA), (PASSWORD, "short"), "at least 10"),
        (("password", ADA), (PASSWORD, "x" * 1025), "at most"),
        (("password", "nobody@example.com"), (PASSWORD, NEW), "there is no"),
        (("recovery-code", ADA), ("wrong one",), "not the password"),
        (("app-password", "add", ADA, "--label", "x", "--scope", "mail"), ("no",), "not the pass"),
        (("app-password", "add", ADA, "--label", "\t", "--scope", "mail"), (PASSWORD,), "a label"),
        (("app-password", "revoke", ADA, "0000"), (), "no app password"),
        (("unlock-old", ADA), (PASSWORD,), "no sealed mail"),
    ],
)
def test_what_is_not_done_is_told(
    stack: Stack, words: tuple[str, ...], lines: tuple[str, ...], message: str
) -> None:
    assert count(stack, PASSWORD) == 0
    found = person(stack, *words, lines=lines)
    assert message in found["error"]
    assert count(stack, PASSWORD) == 0


def test_a_missing_line_is_a_wrong_use(stack: Stack) -> None:
    arguments = ["person", "--control", str(stack.files.control), "password", ADA]
    done = CliRunner().invoke(cli, arguments, input=f"{PASSWORD}\n")
    assert done.exit_code == 2
    assert "expected 2 lines" in done.output


def test_without_the_service_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match="no answer from the directory"):
        ask(tmp_path / "nothing", {"op": "list"})


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nul", b'{"op": "list", "op": 1}', b"[" * 9000])
def test_bad_requests_have_an_answer(stack: Stack, line: bytes) -> None:
    assert stack.control(line) == {"ok": False, "error": "this is no request", "hint": ""}


def test_the_control_socket_is_for_its_user(stack: Stack) -> None:
    assert stack.files.control.stat().st_mode & 0o777 == 0o600


def test_a_login_costs_one_argon2id(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever it is, right or wrong, by whichever password; also for somebody who is not there."""
    assert first_login(stack) == 0
    app = add_app(stack, "mail")
    derived = []
    real = Argon2Parameters.derive

    def derive(self: Argon2Parameters, secret: bytes, salt: bytes) -> bytes:
        derived.append(self)
        return real(self, secret, salt)

    monkeypatch.setattr(Argon2Parameters, "derive", derive)
    assert count(stack, PASSWORD) == 0
    assert len(derived) == 1
    assert count(stack, app) == 0
    assert len(derived) == 2
    assert refused(stack, "wrong one")
    assert refused(stack, PASSWORD, "nobody@example.com")
    assert derived == [CHEAP] * 4


def test_a_first_login_does_not_wait_for_the_wrap(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs the check of the settings' hash alone; what is left is done afterwards, once."""
    stack.deliver(MESSAGE)
    may_go_on, calls, real = threading.Event(), [], Accounts.lock_first

    def lock_first(self: Accounts, address: str, password: str) -> bool:
        calls.append(address)
        assert may_go_on.wait(DEADLINE)
        return real(self, address, password)

    monkeypatch.setattr(Accounts, "lock_first", lock_first)
    for _ in range(3):
        assert count(stack, PASSWORD) == 1
    assert refused(stack, "wrong one")
    assert state(stack)["state"] == "never logged in"
    may_go_on.set()
    # A login while the wrap is being made may find it undone, and have it made once more.
    await_wrap(stack)
    assert count(stack, PASSWORD) == 1
    assert calls == [ADA]


def test_a_first_login_that_was_cut_off_begins_anew(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise StorageUnavailableError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Accounts, "lock_first", full)
        assert count(stack, PASSWORD) == 0
        assert state(stack)["state"] == "never logged in"
    assert first_login(stack) == 0


def test_a_stop_finishes_first_logins(stack: Stack) -> None:
    assert count(stack, PASSWORD) == 0
    stack.stop()
    wraps = entry_of(stack).vault.wraps
    assert set(wraps) == {WrapKind.PASSWORD}


def test_a_password_that_is_set_meanwhile_counts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither may the wrap of the first password take the place of the new one's."""
    deriving, may_go_on, real = threading.Event(), threading.Event(), Argon2Parameters.derive

    def derive(self: Argon2Parameters, secret: bytes, salt: bytes) -> bytes:
        if secret == PASSWORD.encode():
            deriving.set()
            assert may_go_on.wait(DEADLINE)
        return real(self, secret, salt)

    stack.deliver(MESSAGE)
    monkeypatch.setattr(Argon2Parameters, "derive", derive)
    assert count(stack, PASSWORD) == 1
    assert deriving.wait(DEADLINE)
    assert person(stack, "password", ADA, lines=(PASSWORD, NEW))["ok"]
    may_go_on.set()
    assert count(stack, NEW) == 1
    assert refused(stack, PASSWORD)
    assert set(entry_of(stack).vault.wraps) == {WrapKind.PASSWORD}


# App passwords


def add_app(stack: Stack, *scopes: str, label: str = "phone") -> str:
    words = [word for scope in scopes for word in ("--scope", scope)]
    found = person(stack, "app-password", "add", ADA, "--label", label, *words, lines=(PASSWORD,))
    return str(found["password"])


def test_app_passwords_do_what_they_are_for_and_no_more(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    mail, send, both, dav = (
        add_app(stack, *scopes) for scopes in (("mail",), ("send",), ("mail", "send"), ("dav",))
    )
    assert count(stack, mail) == 1
    assert count(stack, mail.upper().replace("-", " ")) == 1
    assert not may_send(stack, mail)
    assert may_send(stack, send)
    assert refused(stack, send)
    assert refused(stack, dav)
    assert not may_send(stack, dav)
    assert count(stack, both) == 1
    assert may_send(stack, both)
    apps = person(stack, "app-password", "list", ADA)["app_passwords"]
    used = {app["id"] for app in apps if app["last_use"] is not None}
    assert used == {mail[:4], send[:4], both[:4]}
    assert {tuple(app["scopes"]) for app in apps} == {
        ("mail",),
        ("send",),
        ("mail", "send"),
        ("dav",),
    }
    assert person(stack, "app-password", "revoke", ADA, mail[:4])["ok"]
    assert refused(stack, mail)
    assert count(stack, PASSWORD) == 1


def test_what_looks_like_an_app_password_is_none(stack: Stack) -> None:
    app = add_app(stack, "mail")
    other = grouped(new_app_password().text)
    assert refused(stack, other)
    assert refused(stack, app[:-1] + ("0" if app[-1] != "0" else "1"))
    assert refused(stack, app, BOB)


# Recovery


def test_a_recovery_code_sets_a_new_password(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    first = person(stack, "recovery-code", ADA, lines=(PASSWORD,))["code"]
    code = person(stack, "recovery-code", ADA, lines=(PASSWORD,))["code"]
    assert state(stack)["recovery_code"]
    for wrong in (first, grouped(new_recovery_code())):
        assert "neither" in person(stack, "password", ADA, lines=(wrong, NEW))["error"]
    assert refused(stack, code)  # it opens the mail, but is no password
    assert person(stack, "password", ADA, lines=(code.upper(), NEW))["ok"]
    assert count(stack, NEW) == 1
    assert refused(stack, PASSWORD)


@pytest.mark.parametrize("by", ["recovery code", "old password"])
def test_a_reset_seals_the_mail_until_the_person_unlocks_it(stack: Stack, by: str) -> None:
    stack.deliver(MESSAGE)
    assert count(stack, PASSWORD) == 1
    app = add_app(stack, "mail")
    code = person(stack, "recovery-code", ADA, lines=(PASSWORD,))["code"]
    stack.deliver(MESSAGE)  # sealed for the old vault
    assert person(stack, "password", ADA, "--reset", lines=(NEW,))["sealed"] is True
    assert refused(stack, PASSWORD)
    assert refused(stack, app)
    assert state(stack)["sealed"] == 1
    stack.deliver(MESSAGE)
    assert count(stack, NEW) == 1  # what came since
    assert "neither" in person(stack, "unlock-old", ADA, lines=(NEW,))["error"]
    secret = code if by == "recovery code" else PASSWORD
    assert person(stack, "unlock-old", ADA, lines=(secret,))["opened"] == 1
    assert state(stack)["sealed"] == 0
    wait_for(lambda: count(stack, NEW) == 3, what="the old mail", timeout=DEADLINE, interval=0.05)
    wait_for(
        lambda: len(list(stack.files.vaults.glob("*.vault"))) == 1,
        what="the old vault to go",
        timeout=DEADLINE,
        interval=0.05,
    )
    assert "no sealed mail" in person(stack, "unlock-old", ADA, lines=(secret,))["error"]
    assert count(stack, NEW) == 3


def test_a_reset_before_the_first_login_seals_nothing(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    assert person(stack, "password", ADA, "--reset", lines=(NEW,))["sealed"] is False
    assert count(stack, NEW) == 1
    assert refused(stack, PASSWORD)


# Whoever has what cannot read


def entry_of(stack: Stack, address: str = ADA) -> PersonEntry:
    """What somebody with the directory's file and its key sees."""
    database = DirectoryDatabase(stack.files.database, DataKey(bytes.fromhex(DIRECTORY_KEY)))
    entry = database.person(address)
    database.close()
    assert entry is not None
    return entry


def opens(stack: Stack, secret: bytes) -> bool:
    """Whether a secret opens any wrap of Ada's, and what it yields her vault."""
    entry = entry_of(stack)
    wraps = [*entry.vault.wraps.values(), *(app.wrap for app in entry.apps)]
    for blob in wraps:
        try:
            content = unwrap(blob, entry.vault.owner, secret)
            Vault(stack.files.vaults / f"{entry.vault.owner.vault}.vault", DataKey(content)).close()
        except (WrongSecretError, StorageUnavailableError, ValueError):
            continue
        return True
    return False


def machine_secrets() -> list[bytes]:
    """What can be made of the directory's key."""
    key = bytes.fromhex(DIRECTORY_KEY)
    return [key, DIRECTORY_KEY.encode(), expand(key, b"", b"mailstead provisional")]


def test_the_directory_and_its_key_open_nothing_after_the_first_login(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    before = entry_of(stack)
    provisional = before.vault.wraps[WrapKind.PROVISIONAL]
    # Before, they do, and docs/vault.md says so.
    assert unwrap(provisional, before.vault.owner, machine_secrets()[2])
    assert first_login(stack) == 1
    assert WrapKind.PROVISIONAL not in entry_of(stack).vault.wraps
    for secret in machine_secrets():
        assert not opens(stack, secret)
    assert opens(stack, PASSWORD.encode())
    stack.stop()
    # Nor do unused pages have it: here is the whole file in clear.
    path = stack.files.database / "directory.db"
    connection = apsw.Connection(str(path))
    for statement in cipher_pragmas(DataKey(bytes.fromhex(DIRECTORY_KEY))):
        connection.execute(statement)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA rekey = ''")
    connection.close()
    content = path.read_bytes()
    assert b"CREATE TABLE wraps" in content
    assert provisional[16:60] not in content


def test_the_previous_password_opens_nothing(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    assert first_login(stack) == 1
    assert person(stack, "password", ADA, lines=(PASSWORD, NEW))["ok"]
    assert not opens(stack, PASSWORD.encode())
    assert opens(stack, NEW.encode())


def test_an_app_password_of_another_scope_opens_no_vault(stack: Stack) -> None:
    assert count(stack, PASSWORD) == 0
    for scope in ("send", "dav"):
        app = add_app(stack, scope).replace("-", "")
        entry = entry_of(stack)
        (blob,) = [known.wrap for known in entry.apps if known.id == app[:4]]
        content = unwrap(blob, entry.vault.owner, app.encode())
        assert len(content) == (32 if scope == "dav" else 0)
        assert not opens(stack, app.encode())


def test_another_persons_key_and_wraps_open_nothing(stack: Stack) -> None:
    assert first_login(stack) == 0
    assert first_login(stack, BOB) == 0
    ada, bob = entry_of(stack), entry_of(stack, BOB)
    blob = bob.vault.wraps[WrapKind.PASSWORD]
    key = DataKey(unwrap(blob, bob.vault.owner, PASSWORD.encode()))
    with pytest.raises(StorageUnavailableError):
        Vault(stack.files.vaults / f"{ada.vault.owner.vault}.vault", key)
    # The same password does not help either: a wrap is bound to its person and vault.
    for owner in (ada.vault.owner, Owner(bob.vault.owner.person, ada.vault.owner.vault)):
        with pytest.raises(WrongSecretError):
            unwrap(blob, owner, PASSWORD.encode())
    assert Scope.ALL == Scope.MAIL | Scope.DAV | Scope.SEND


def test_a_canary_has_nothing_to_change(stack: Stack) -> None:
    found = person(stack, "password", "canary@mail.example.com", "--reset", lines=(NEW,))
    assert "there is no" in found["error"]


# Somebody who leaves


def test_who_has_left_is_destroyed(stack: Stack, files: Files) -> None:
    stack.deliver(MESSAGE)
    assert first_login(stack) == 1
    add_app(stack, "mail")
    assert person(stack, "password", ADA, "--reset", lines=(NEW,))["sealed"]
    for command in ("vaults", "destroy"):
        assert "still has a mailbox" in person(stack, command, ADA)["error"]
    assert count(stack, NEW) == 0
    stack.stop()
    settings = files.settings.read_text()
    # Her address is an alias of his now, as it is with those who leave.
    bob = "  - address: bob@example.com"
    settings = settings.replace("Ada@Example.com", "eve@example.com")
    files.settings.write_text(settings.replace(bob, f"{bob}\n    aliases: [{ADA}]"))
    later = Stack(files, grace=0.05)
    try:
        assert person(later, "list")["left"] == [ADA]
        before = entry_of(later)
        found = person(later, "vaults", "ADA@example.com")
        owners = {vault.owner.vault for vault in (before.vault, *before.former)}
        assert (found["known"], set(found["vaults"])) == (True, owners)
        assert len(owners) == 2
        assert person(later, "destroy", ADA)["ok"]
        assert (later.files.database / "directory.db-wal").stat().st_size == 0
        assert person(later, "list")["left"] == []
        assert person(later, "vaults", ADA) == {
            "ok": True,
            "known": False,
            "vaults": [before.vault.owner.person],
        }
        assert person(later, "destroy", ADA)["ok"]  # again
        assert count(later, PASSWORD, BOB) == 0
    finally:
        later.stop()


def test_the_canary_is_not_destroyed(stack: Stack) -> None:
    assert "still has" in person(stack, "destroy", "canary@mail.example.com")["error"]


def test_a_password_is_proved_to_the_machine(stack: Stack) -> None:
    words = ("prove", "countess@example.com", "--from", "192.0.2.9")
    assert person(stack, *words, lines=(PASSWORD,)) == {
        "ok": True,
        "verdict": "accepted",
        "person": ADA,
    }
    app = person(
        stack, "app-password", "add", ADA, "--label", "x", "--scope", "mail", lines=(PASSWORD,)
    )
    # An app password is not one's own.
    for wrong in (app["password"], "wrong"):
        found = person(stack, *words, lines=(wrong,))
        assert (found["verdict"], found["person"]) == ("rejected", None)


def test_who_there_is_changes_while_the_service_runs(stack: Stack) -> None:
    """No session ends; somebody new can log in, somebody taken out cannot, and mail follows."""
    settings = stack.files.settings
    before = settings.read_text()
    eve = "eve@example.net"
    domains = before.replace("- name: example.org", "- name: example.net")
    entry = before[before.index("  - address: bob@example.com") :].split("  - {address", 1)[0]
    # Bob's entry becomes Eve's, and example.org becomes example.net.
    assert not refused(stack, PASSWORD, BOB)
    with stack.imap(ADA, PASSWORD) as client:
        settings.write_text(domains.replace(entry, entry.replace(BOB, eve)))
        assert refused(stack, PASSWORD, eve)
        assert person(stack, "reread")["ok"] is True
        assert client.noop()[0] == "OK"
        assert client.select()[0] == "OK"
    assert count(stack, PASSWORD, eve) == 0
    assert refused(stack, PASSWORD, BOB)
    assert list(stack.deliver(MESSAGE, eve, BOB)) == [BOB]
    assert count(stack, PASSWORD, eve) == 1
    # Settings that cannot be used change nothing.
    settings.write_text("version: 1\n")
    assert person(stack, "reread")["error"].startswith("the settings")
    assert not refused(stack, PASSWORD, eve)
    settings.write_text(before)
    person(stack, "reread")
    assert not refused(stack, PASSWORD, BOB)
