"""POP3 over real sockets: with Python's client, and with clients that mean no good."""

from __future__ import annotations

import base64
import poplib
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.pop3.commands import find
from postmaster.pop3.wire import message_lines
from tests.unit.postmaster.harness import DEADLINE, PASSWORD, RawImap, Stack, bounded

Connect = Callable[[str | None], RawImap]

MESSAGE = b"From: a@b.example\r\nSubject: one\r\n\r\n.first\r\n..second\r\nthird\r\n"


def context_of(stack: Stack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(stack.files.certificate))


@pytest.fixture
def pop(shared_stack: Stack, person: str) -> Iterator[Callable[[], poplib.POP3_SSL]]:
    """Open sessions of somebody who got MESSAGE three times; all are hung up at the end."""
    for _ in range(3):
        assert shared_stack.deliver(MESSAGE, person) == {}
    clients: list[poplib.POP3_SSL] = []

    def begin() -> poplib.POP3_SSL:
        client = poplib.POP3_SSL(
            "localhost",
            shared_stack.ports.mailstore.pop3,
            context=context_of(shared_stack),
            timeout=DEADLINE,
        )
        clients.append(client)
        client.user(person)
        client.pass_(PASSWORD)
        return client

    yield begin
    for client in clients:
        client.close()


class Raw:
    """A client that says exactly what a test says."""

    def __init__(self, stack: Stack) -> None:
        plain = socket.create_connection(("localhost", stack.ports.mailstore.pop3), DEADLINE)
        self.socket = context_of(stack).wrap_socket(plain, server_hostname="localhost")
        self.lines = self.socket.makefile("rb")
        assert self.line().startswith(b"+OK")

    def line(self) -> bytes:
        return self.lines.readline().removesuffix(b"\r\n")

    def ask(self, data: bytes) -> bytes:
        self.socket.sendall(data + b"\r\n")
        return self.line()


@pytest.fixture
def raw(shared_stack: Stack) -> Iterator[Raw]:
    """A raw connection that is not logged in."""
    client = Raw(shared_stack)
    yield client
    client.lines.close()
    client.socket.close()


def test_a_session(pop: Callable[[], poplib.POP3_SSL]) -> None:
    client = pop()
    count, size = client.stat()
    _, sizes, _ = client.list()
    assert count == 3
    assert size == sum(int(line.split()[1]) for line in sizes)
    _, lines, octets = client.retr(1)
    received = b"\r\n".join(lines) + b"\r\n"
    assert received.endswith(MESSAGE)
    assert octets == len(received) == int(sizes[0].split()[1])
    _, lines, _ = client.top(1, 1)
    assert lines[-3:] == [b"Subject: one", b"", b".first"]
    assert client.capa()["SASL"] == ["PLAIN"]
    for name in ("TOP", "UIDL", "USER", "RESP-CODES", "PIPELINING"):
        assert name in client.capa()


def test_ids_stay_and_deletes_come_with_quit_only(pop: Callable[[], poplib.POP3_SSL]) -> None:
    first = pop()
    _, before, _ = first.uidl()
    first.dele(2)
    with pytest.raises(poplib.error_proto, match="no such message"):
        first.retr(2)
    assert first.stat()[0] == 2
    first.close()  # without QUIT
    second = pop()
    assert second.uidl()[1] == before
    second.dele(1)
    second.rset()
    second.dele(2)
    second.quit()
    third = pop()
    ids = {line.split()[1] for line in third.uidl()[1]}
    assert ids == {before[0].split()[1], before[2].split()[1]}


def test_imap_sees_what_was_read_and_removed(
    pop: Callable[[], poplib.POP3_SSL], connect: Connect, person: str
) -> None:
    imap = connect(person)
    imap.ok("SELECT INBOX")
    client = pop()
    client.retr(1)
    client.dele(3)
    assert imap.ok("NOOP") == []
    client.quit()
    assert imap.ok("NOOP") == [
        b"* 3 EXPUNGE",
        b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen))",
    ]


def test_what_another_session_removed_is_gone(
    pop: Callable[[], poplib.POP3_SSL], connect: Connect, person: str
) -> None:
    client = pop()
    imap = connect(person)
    imap.ok("SELECT INBOX")
    imap.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    imap.ok("EXPUNGE")
    with pytest.raises(poplib.error_proto, match="gone"):
        client.retr(1)
    client.dele(1)
    client.quit()
    assert pop().stat()[0] == 2


def test_authenticate_plain_in_one_go_and_in_two(
    raw: Raw, shared_stack: Stack, person: str
) -> None:
    response = base64.b64encode(f"\0{person}\0{PASSWORD}".encode())
    assert raw.ask(b"AUTH PLAIN") == b"+ "
    assert raw.ask(response) == b"+OK 0 messages"
    other = Raw(shared_stack)
    assert other.ask(b"auth plain " + response) == b"+OK 0 messages"
    other.lines.close()
    other.socket.close()


def test_commands_may_come_all_at_once(raw: Raw, person: str) -> None:
    raw.socket.sendall(f"USER {person}\r\nPASS {PASSWORD}\r\nSTAT\r\nNOOP\r\nQUIT\r\n".encode())
    answers = [raw.line() for _ in range(5)]
    assert [answer[:3] for answer in answers] == [b"+OK"] * 5
    assert answers[2] == b"+OK 0 0"
    assert raw.line() == b""


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"STAT",
        b"RETR 1",
        b"PASS x",
        b"USER",
        b"USER \xff",
        b"AUTH",
        b"AUTH CRAM-MD5",
        b"AUTH PLAIN =",
        b"AUTH PLAIN !!!",
        b"AUTH PLAIN AAAA",
        b"AUTH PLAIN YQBiAGM=",
        b"CAPA x",
        b"APOP a b",
        b"CAPA" + b" " * 4000,
    ],
)
def test_bad_before_login(raw: Raw, line: bytes) -> None:
    assert raw.ask(line).startswith(b"-ERR")
    assert raw.ask(b"QUIT").startswith(b"+OK")


@pytest.mark.parametrize(
    "line",
    [
        b"RETR",
        b"RETR 0",
        b"RETR 4",
        b"RETR -1",
        b"RETR 1 1",
        b"RETR 99999999999999999999",
        b"RETR \xb2",
        b"TOP 1",
        b"TOP 1 -1",
        b"DELE x",
        b"LIST 0",
        b"UIDL 1x",
        b"STAT 1",
        b"USER a",
        b"QUIT now",
    ],
)
def test_bad_after_login(raw: Raw, person: str, line: bytes) -> None:
    raw.ask(f"USER {person}".encode())
    assert raw.ask(f"PASS {PASSWORD}".encode()).startswith(b"+OK")
    assert raw.ask(line).startswith(b"-ERR")
    assert raw.ask(b"NOOP").startswith(b"+OK")


def test_failed_logins_end_the_connection(raw: Raw) -> None:
    for _ in range(3):
        raw.ask(b"USER nobody@example.com")
        answer = raw.ask(b"PASS wrong")
        assert answer == b"-ERR [AUTH] wrong name or password"
    assert raw.line() == b""


def test_an_endless_line_ends_the_connection(raw: Raw) -> None:
    assert raw.ask(b"x" * 20_000).startswith(b"-ERR")
    assert raw.line() == b""


def test_too_many_faults_end_the_connection(raw: Raw) -> None:
    raw.socket.sendall(b"nonsense\r\n" * 30)
    answers = []
    while line := raw.line():
        answers.append(line)
    assert len(answers) == 20
    assert answers[-1] == b"-ERR too many bad commands"


def read_lines(wire: bytes) -> list[bytes]:
    """Return the lines that a client makes of an answer."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return [line.removeprefix(b".") for line in lines[:-2]]


@bounded
@given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\n", b"\r", b"\0"])).map(b"".join))
def test_any_message_has_one_end(body: bytes) -> None:
    lines = body.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1])]
    assert read_lines(b"".join(message_lines(b"", body))) == expected


def test_commands_are_found_in_upper_case() -> None:
    assert find(b"RETR") is not None
    assert find(b"APOP") is None
