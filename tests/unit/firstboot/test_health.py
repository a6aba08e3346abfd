"""Asking services whether they are well: real listeners, good and bad answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest

from firstboot.base import health
from firstboot.base.engine import Container
from firstboot.base.health import ailments, answer_problem, listed, not_running
from firstboot.base.services import Exchange, Service, parse_stack
from tests.unit.firstboot.samples import SERVICES

LOOPBACK = "127.0.0.1"
SECONDS = 60.0  # for what happens at once


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", SECONDS)


@contextmanager
def answering(answer: bytes, *, asked: bool = True) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says the same to whoever comes; its port, and what it was sent.

    It waits for a question, or for the end if it is not `asked`.
    """
    heard: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                if not asked:
                    connection.sendall(answer)
                try:
                    heard.append(connection.recv(100))
                except ConnectionResetError:
                    heard.append(b"")  # it had heard enough
                if asked:
                    connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"+PONG\r\n", None),
        (b"+PO", "it answered b'+PO'"),
        (b"-DENIED", "it answered b'-DENI'"),
        (b"", "it answered b''"),
    ],
)
def test_an_answer_is_what_was_expected_or_is_shown(answer: bytes, problem: str | None) -> None:
    with answering(answer) as (port, heard):
        assert answer_problem(LOOPBACK, Exchange(port, b"PING\r\n", b"+PONG", tls=False)) == problem
    assert heard == [b"PING\r\n"]


def test_a_greeting_needs_no_question() -> None:
    with answering(b"220 mail", asked=False) as (port, heard):
        assert answer_problem(LOOPBACK, Exchange(port, b"", b"220 ", tls=False)) is None
    assert heard == [b""]


def test_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    with socket.create_server((LOOPBACK, 0)) as silent:
        exchange = Exchange(silent.getsockname()[1], b"", b"x", tls=False)
        assert answer_problem(LOOPBACK, exchange) == "no answer within 0.1 s"
    assert answer_problem(LOOPBACK, exchange) == "Connection refused"


def test_tls_is_asked_for() -> None:
    """Encrypted services are asked in the tests of postmaster; this one is none."""
    with answering(b"* OK plain words") as (port, _heard):
        problem = answer_problem(LOOPBACK, Exchange(port, b"", b"* OK ", tls=True))
    assert problem is not None
    assert "SSL" in problem


def made(service: Service, status: str = "running", address: str = LOOPBACK) -> Container:
    return Container("1", service.name, "", "", status, address, 0, 0)


def test_ailments_are_told_of_each_service() -> None:
    redis, mta = parse_stack(SERVICES, "services.yaml").services
    with answering(b"+PONG") as (port, _), answering(b"421 busy", asked=False) as (busy, _):
        (exchange,) = redis.health
        redis = replace(redis, health=(replace(exchange, port=port),))
        mta = replace(mta, health=(replace(mta.health[0], port=busy),))
        found = ailments([made(redis), made(mta)], [redis, mta])
    assert found == {"mta": f"port {busy}: it answered b'421 '"}
    assert listed(found) == f"mta: port {busy}: it answered b'421 '"


def test_who_does_not_run_is_not_asked() -> None:
    redis, mta = parse_stack(SERVICES, "services.yaml").services
    for containers, reason in (
        ([], "no container"),
        ([made(redis, "exited")], "exited"),
        ([made(redis, address="")], "no network"),
    ):
        assert (
            ailments(containers, [redis]) == not_running(containers, [redis]) == {"redis": reason}
        )
    assert not_running([made(redis), made(mta)], [redis, mta]) == {}
