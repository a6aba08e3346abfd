"""The directory: who is who, Postfix's two protocols, and the limits on logins."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from firstboot.base.health import answer_problem
from postmaster import ports
from postmaster.crypto import DataKey
from postmaster.crypto.sealing import private_key
from postmaster.crypto.wraps import Owner, WrapKind
from postmaster.directory import dovecot_auth, socketmap
from postmaster.directory.accounts import Accounts
from postmaster.directory.cache import Cache
from postmaster.directory.database import DirectoryDatabase
from postmaster.directory.keyring import Keyring
from postmaster.directory.limits import (
    FIRST_DELAY,
    LONGEST_DELAY,
    LONGEST_KNOWN_DELAY,
    RedisLimits,
    counters,
)
from postmaster.directory.logins import Authenticator
from postmaster.directory.people import Directory, build_directory, read_directory
from postmaster.directory.roster import Roster
from postmaster.errors import (
    AccountError,
    DirectoryUnavailableError,
    SecretRefusedError,
    StartError,
)
from postmaster.query import DirectoryClient, Verdict, VerdictKind
from postmaster.secretfiles import read_token
from tests.unit.postmaster import declared
from tests.unit.postmaster.fakeredis import FakeRedis
from tests.unit.postmaster.harness import (
    ADA,
    BOB,
    CANARY,
    CANARY_PASSWORD,
    CHEAP,
    DEADLINE,
    PASSWORD,
    PostfixAuth,
    Stack,
    b64,
    bounded,
    settings_text,
)


@pytest.fixture
def directory(password_hash: str) -> Directory:
    return build_directory(yaml.safe_load(settings_text(password_hash)))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("domains example.com", "OK example.com"),
        ("domains mail.example.com", "OK mail.example.com"),
        ("domains other.example", "NOTFOUND "),
        ("mailboxes ada@example.com", "OK ada@example.com"),
        ("mailboxes Ada@EXAMPLE.com", "OK Ada@EXAMPLE.com"),
        ("mailboxes ada+x@example.com", "OK ada+x@example.com"),
        ("mailboxes countess@example.com", "NOTFOUND "),
        ("mailboxes nobody+x@example.com", "NOTFOUND "),
        ("mailboxes canary@mail.example.com", "OK canary@mail.example.com"),
        ("mailboxes ada@mail.example.com", "NOTFOUND "),
        ("mailboxes @example.com", "NOTFOUND "),
        ("aliases countess@example.com", "OK ada@example.com"),
        ("aliases countess+x@example.com", "OK ada+x@example.com"),
        ("aliases ada@example.com", "NOTFOUND "),
        ("aliases ada+x@example.com", "NOTFOUND "),
        ("aliases nobody+x@example.com", "NOTFOUND "),
        ("aliases postmaster@mail.example.com", "OK ada@example.com"),
        ("aliases abuse@example.org", "OK ada@example.com"),
        ("aliases postmaster", "NOTFOUND "),
        ("senders countess@example.com", "OK ada@example.com"),
        ("senders bob+shop@example.com", "OK bob@example.com"),
        ("senders bob@example.org", "NOTFOUND "),
        ("passwords ada@example.com", "PERM there is no such map"),
        ("domains", "PERM there is no such map"),
    ],
)
def test_lookups(directory: Directory, request_: str, expected: str) -> None:
    assert socketmap.answer(directory, request_.encode()) == expected


def test_socketmap_over_a_socket(shared_stack: Stack) -> None:
    port = shared_stack.ports.directory.socketmap
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        lines = client.makefile("rb")
        client.sendall(b"19:domains example.com,17:mailboxes nobody@,")
        expected = b"14:OK example.com,9:NOTFOUND ,"
        assert lines.read(len(expected)) == expected
    for hostile in (b"x", b"99999:", b"9999999:", b"3:abcd", b":,"):
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
            client.sendall(hostile)
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"22:PERM malformed request,"


@bounded
@given(st.binary(max_size=200))
def test_netstrings_round_trip(content: bytes) -> None:
    async def read() -> bytes | None:
        reader = asyncio.StreamReader()
        reader.feed_data(socketmap.netstring(content))
        return await socketmap.read_netstring(reader)

    assert asyncio.run(read()) == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version is 2"),
        ({"people": [], "domains": [{"name": "example.com"}]}, "mail for postmaster leads nowhere"),
        ({"hostname": None}, "hostname is None"),
        ({"domains": [{"name": "elsewhere.example"}]}, "none of the domains"),
        ({"people": [{"address": "x@example.com"}]}, "no key 'password_hash'"),
        ({"people": 5}, "not usable"),
        (
            {"people": [{"address": "x@example.com", "password_hash": "$argon2id$v=19$m=1"}]},
            "password_hash of x@example.com is no Argon2id",
        ),
    ],
)
def test_unusable_settings_are_refused(
    tmp_path: Path, password_hash: str, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "settings"
    path.write_text(yaml.safe_dump({**yaml.safe_load(settings_text(password_hash)), **change}))
    with pytest.raises(StartError, match=message):
        read_directory(path)


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"!!python/object:os.system {}", b""])
def test_unreadable_settings_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings"
    path.write_bytes(content)
    with pytest.raises(StartError):
        read_directory(path)


def test_a_weak_canary_password_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "canary"
    path.write_text("guess")
    with pytest.raises(StartError, match="is not 64 hexadecimal digits"):
        read_token(path, "the canary's password")


# Dovecot's authentication protocol


def test_postfix_logs_people_in(shared_stack: Stack) -> None:
    client = PostfixAuth(shared_stack.ports.directory.auth)
    assert client.handshake[0].startswith("VERSION\t1\t")
    assert "MECH\tPLAIN\tplaintext" in client.handshake
    parameters = "service=smtp\tnologin\tlip=10.0.0.1\trip=10.0.0.2\tsecured"
    right = b64(f"\0Countess@example.com\0{PASSWORD}")
    assert client.ask(f"AUTH\t1\tPLAIN\t{parameters}\tresp={right}") == f"OK\t1\tuser={ADA}"
    wrong = b64(f"\0{ADA}\0nope")
    assert client.ask(f"AUTH\t2\tPLAIN\t{parameters}\tresp={wrong}") == f"FAIL\t2\tuser={ADA}"
    assert client.ask("AUTH\t3\tPLAIN\tservice=smtp\tsecured") == "CONT\t3\t"
    assert client.ask(f"CONT\t3\t{b64(f'{CANARY}{chr(0)}{CANARY}{chr(0)}{CANARY_PASSWORD}')}") == (
        f"OK\t3\tuser={CANARY}"
    )
    assert client.ask("AUTH\t4\tLOGIN\tservice=smtp\tsecured") == f"CONT\t4\t{b64('Username:')}"
    assert client.ask(f"CONT\t4\t{b64(ADA)}") == f"CONT\t4\t{b64('Password:')}"
    assert client.ask(f"CONT\t4\t{b64(PASSWORD)}") == f"OK\t4\tuser={ADA}"
    assert client.ask("AUTH\t5\tCRAM-MD5\tservice=smtp\tsecured").startswith(
        "FAIL\t5\treason=unsupported"
    )
    assert client.ask("AUTH\t6\tPLAIN\tsecured\tresp=%%%").startswith("FAIL\t6\treason=")
    # Postfix says whether the client came by TLS.
    plain_text = client.ask(f"AUTH\t7\tPLAIN\tservice=smtp\tresp={right}")
    assert plain_text == "FAIL\t7\treason=logins need TLS"
    assert client.ask("CONT\t9\tAAAA").startswith("FAIL\t9\treason=")
    client.close()


@bounded
@given(st.text(max_size=60))
def test_escaped_values_stay_in_their_field(value: str) -> None:
    escaped = dovecot_auth.escape(value)
    assert not set(escaped) & set("\t\r\n\0")


@bounded
@given(st.lists(st.text(max_size=30), max_size=8))
def test_hostile_auth_lines_never_crash(fields: list[str]) -> None:
    class Nobody:
        async def authenticate(self, *_: str) -> Verdict:
            return Verdict(VerdictKind.REJECTED)

        async def resolve(self, address: str) -> str | None:
            return None

    async def run() -> None:
        connection = dovecot_auth.AuthConnection(Nobody())
        for command in ("AUTH", "CONT", "CANCEL", "CPID"):
            answer = await connection.answer("\t".join([command, "1", "PLAIN", "secured", *fields]))
            assert answer is None or answer.startswith(("FAIL\t", "CONT\t"))

    asyncio.run(run())


# The query protocol


def test_queries(shared_stack: Stack) -> None:
    client = DirectoryClient("127.0.0.1", shared_stack.ports.directory.query)

    async def run() -> None:
        with contextlib.closing(client):
            await ask()

    async def ask() -> None:
        assert await client.resolve("countess+x@example.com") == ADA
        assert await client.resolve("nobody@example.com") is None
        verdict = await client.authenticate(ADA, PASSWORD, "192.0.2.1", "imap")
        assert verdict == Verdict(VerdictKind.ACCEPTED, ADA)
        for login, password in ((ADA, "x"), ("nobody@x", "x"), (CANARY, "x"), (ADA, "x" * 2000)):
            verdict = await client.authenticate(login, password, "192.0.2.1", "imap")
            assert verdict.kind is VerdictKind.REJECTED

    asyncio.run(run())


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"nul", b'{"op": "resolve"}', b'{"op": 1}', b'"\\ud800"', b"[" * 9000]
)
def test_bad_queries_have_an_answer(shared_stack: Stack, line: bytes) -> None:
    address = ("127.0.0.1", shared_stack.ports.directory.query)
    with socket.create_connection(address, DEADLINE) as client:
        client.sendall(line + b"\n")
        assert json.loads(client.makefile("rb").readline()) == {"error": "bad request"}


def test_no_directory_is_told_apart_from_no_person() -> None:
    async def run() -> None:
        with pytest.raises(DirectoryUnavailableError):
            await DirectoryClient("127.0.0.1", 9).resolve(ADA)

    asyncio.run(run())


def test_every_port_answers_whoever_asks_for_its_health(shared_stack: Stack) -> None:
    directory, mailstore = shared_stack.ports.directory, shared_stack.ports.mailstore
    real = {
        ports.SOCKETMAP: directory.socketmap,
        ports.AUTH: directory.auth,
        ports.QUERY: directory.query,
        ports.POLICY: directory.policy,
        ports.SELF_SERVICE: directory.self_service,
        ports.LMTP: mailstore.lmtp,
        ports.IMAPS: mailstore.imap,
        ports.POP3S: mailstore.pop3,
        ports.DESK: mailstore.dav,
        ports.EXPORT: mailstore.export,
    }
    exchanges = (*declared.health("directory"), *declared.health("mailstore"))
    assert {exchange.port for exchange in exchanges} == set(real)
    for exchange in exchanges:
        assert answer_problem("127.0.0.1", replace(exchange, port=real[exchange.port])) is None


# Limits


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keyring]:
    database = DirectoryDatabase(tmp_path, DataKey(bytes(32)))
    yield Keyring(database, bytes(32), CHEAP)
    database.close()


@pytest.fixture
def accounts(keys: Keyring) -> Accounts:
    return Accounts(keys)


def test_new_mail_goes_to_the_present_vault(keys: Keyring, accounts: Accounts) -> None:
    made, found = accounts.recipient(ADA), accounts.recipient(ADA)
    assert (found.owner, found.public_key) == (made.owner, made.public_key)
    key, owner = DataKey.random(), Owner(made.owner.person, "ab" * 16)
    keys.add_vault(ADA, owner, key, WrapKind.PASSWORD, b"another")
    present = accounts.recipient(ADA)
    assert (present.owner, present.public_key) == (owner, private_key(key).public)
    assert accounts.recipient(BOB).owner.vault not in {made.owner.vault, owner.vault}


def with_limits(
    directory: Directory,
    accounts: Accounts,
    test: Callable[[Authenticator, FakeRedis], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        redis = FakeRedis()
        server = await asyncio.start_server(redis.serve, "127.0.0.1", 0)
        cache = Cache("127.0.0.1", server.sockets[0].getsockname()[1])
        authenticator = Authenticator(
            Roster(directory), RedisLimits(cache), CANARY_PASSWORD, accounts
        )
        try:
            await test(authenticator, redis)
        finally:
            await cache.close()
            await authenticator.close()
            server.close()

    asyncio.run(run())


async def fail(authenticator: Authenticator, address: str, times: int, login: str = ADA) -> None:
    for _ in range(times):
        verdict = await authenticator.authenticate(login, "no", address, "imap")
        assert verdict.kind is VerdictKind.REJECTED


def test_secrets_of_changes_have_the_limits_of_logins(
    directory: Directory, accounts: Accounts
) -> None:
    async def check(authenticator: Authenticator, redis: FakeRedis) -> None:
        async def right() -> str:
            return "done"

        async def wrong() -> str:
            raise SecretRefusedError("wrong")

        assert await authenticator.proven(ADA, "192.0.2.1", right) == "done"
        for _ in range(5):
            found = await authenticator.proven(ADA, "192.0.2.2", wrong)
            assert found is VerdictKind.REJECTED
        assert await authenticator.proven(ADA, "192.0.2.2", right) is VerdictKind.LIMITED
        # Logins and changes have one count.
        verdict = await authenticator.authenticate(ADA, PASSWORD, "192.0.2.2", "web")
        assert verdict.kind is VerdictKind.LIMITED
        redis.pass_time(FIRST_DELAY)
        assert await authenticator.proven(ADA, "192.0.2.2", right) == "done"
        # What else goes wrong is no guess.
        with pytest.raises(AccountError):
            await authenticator.proven(ADA, "192.0.2.2", refused)
        assert await authenticator.proven(ADA, "192.0.2.2", right) == "done"

    async def refused() -> str:
        raise AccountError("too many app passwords")

    with_limits(directory, accounts, check)


def test_failures_bring_a_delay_that_grows(directory: Directory, accounts: Accounts) -> None:
    async def check(authenticator: Authenticator, redis: FakeRedis) -> None:
        async def right(address: str, login: str = ADA) -> VerdictKind:
            verdict = await authenticator.authenticate(login, PASSWORD, address, "imap")
            return verdict.kind

        await fail(authenticator, "192.0.2.1", 5)
        assert await right("192.0.2.1") is VerdictKind.LIMITED
        redis.pass_time(FIRST_DELAY)
        await fail(authenticator, "192.0.2.1", 1)
        redis.pass_time(FIRST_DELAY)
        assert await right("192.0.2.1") is VerdictKind.LIMITED
        redis.pass_time(2 * FIRST_DELAY)
        # Whoever guesses from one place does not keep the person out everywhere, nor others.
        await fail(authenticator, "192.0.2.1", 1)
        assert await right("192.0.2.200") is VerdictKind.ACCEPTED
        assert await right("192.0.2.1", "bob@example.com") is VerdictKind.ACCEPTED
        canary = await authenticator.authenticate(CANARY, CANARY_PASSWORD, "192.0.2.1", "imap")
        assert canary.kind is VerdictKind.ACCEPTED
        assert set(redis.expiry) >= set(redis.values)  # nothing is counted for ever
        assert not any("ada" in key for key in redis.values)

    with_limits(directory, accounts, check)


def test_guessing_from_many_places_delays_strangers_only(
    directory: Directory, accounts: Accounts
) -> None:
    async def check(authenticator: Authenticator, redis: FakeRedis) -> None:
        home, abroad = "192.0.2.1", "2001:db8::1"
        verdict = await authenticator.authenticate(ADA, PASSWORD, home, "imap")
        assert verdict.kind is VerdictKind.ACCEPTED
        for number in range(20):
            await fail(authenticator, f"198.51.100.{number}", 1)
        verdict = await authenticator.authenticate(ADA, PASSWORD, abroad, "imap")
        assert verdict.kind is VerdictKind.LIMITED
        verdict = await authenticator.authenticate(ADA, PASSWORD, home, "imap")
        assert verdict.kind is VerdictKind.ACCEPTED
        # A telephone at home that still has the old password is a nuisance of some seconds.
        for _ in range(12):
            await fail(authenticator, home, 1)
            redis.pass_time(LONGEST_KNOWN_DELAY)
        verdict = await authenticator.authenticate(ADA, PASSWORD, home, "imap")
        assert verdict.kind is VerdictKind.ACCEPTED

    with_limits(directory, accounts, check)


def test_guessing_many_names_delays_the_place(directory: Directory, accounts: Accounts) -> None:
    async def check(authenticator: Authenticator, redis: FakeRedis) -> None:
        for number in range(20):
            await fail(authenticator, f"2001:db8::{number}", 1, f"x{number}@example.com")
        verdict = await authenticator.authenticate(ADA, PASSWORD, "2001:db8::ffff", "imap")
        assert verdict.kind is VerdictKind.LIMITED
        verdict = await authenticator.authenticate(ADA, PASSWORD, "2001:db8:0:1::1", "imap")
        assert verdict.kind is VerdictKind.ACCEPTED

    with_limits(directory, accounts, check)


def test_a_right_login_forgets_failures(directory: Directory, accounts: Accounts) -> None:
    async def check(authenticator: Authenticator, redis: FakeRedis) -> None:
        await fail(authenticator, "192.0.2.1", 4)
        await authenticator.authenticate(ADA, PASSWORD, "192.0.2.1", "imap")
        await fail(authenticator, "192.0.2.1", 4)
        verdict = await authenticator.authenticate(ADA, PASSWORD, "192.0.2.1", "imap")
        assert verdict.kind is VerdictKind.ACCEPTED

    with_limits(directory, accounts, check)


@bounded
@given(st.integers(0, 200))
def test_delays_only_grow_and_end(failures: int) -> None:
    for counter in counters(ADA, "192.0.2.1"):
        assert 0 <= counter.delay(failures) <= counter.delay(failures + 1) <= LONGEST_DELAY


def test_without_redis_people_get_in_and_it_is_logged_once(
    directory: Directory, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        now = 0.0
        cache = Cache("127.0.0.1", 9, clock=lambda: now)
        authenticator = Authenticator(
            Roster(directory), RedisLimits(cache), CANARY_PASSWORD, accounts
        )
        for moment in (0.0, 1.0, 100.0):
            now = moment
            verdict = await authenticator.authenticate(ADA, PASSWORD, "192.0.2.1", "imap")
            assert verdict.kind is VerdictKind.ACCEPTED
        await authenticator.close()
        await cache.close()

    asyncio.run(run())
    assert sum("redis-away" in record.message for record in caplog.records) == 1
    assert PASSWORD not in caplog.text
