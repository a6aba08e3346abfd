"""Limits on what people send, and the alarm: what Postfix is told, what is left for the owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from postmaster.directory import policy
from postmaster.directory.alarms import MOST_ALARMS
from postmaster.directory.cache import Cache
from postmaster.directory.people import Directory, build_directory
from postmaster.directory.sending import TOLD_SECONDS, SendingCounter
from postmaster.directory.sending_limits import DAY, HOUR, read_limits
from tests.unit.postmaster.fakeredis import FakeRedis
from tests.unit.postmaster.harness import (
    ADA,
    BOB,
    CANARY,
    DEADLINE,
    Stack,
    bounded,
    settings_text,
)

LIMITS = {"person_hour": 10, "person_day": 15, "machine_hour": 18, "machine_day": "none"}
NOON = 1_800_000_000 // DAY * DAY + 12 * HOUR
GO = policy.NOTHING_AGAINST_IT


@pytest.fixture
def directory(password_hash: str) -> Directory:
    document = yaml.safe_load(settings_text(password_hash))
    return build_directory({**document, "limits": LIMITS})


class Postfix:
    """Asks as Postfix does, at a time that a test sets."""

    def __init__(self, directory: Directory, cache: Cache, folder: Path) -> None:
        self.directory, self.now, self.folder = directory, float(NOON + 60), folder
        self.counter = SendingCounter(cache, folder, lambda: self.now)

    async def ask(self, login: str, recipients: int, state: str = "DATA") -> str:
        attributes = {
            "request": "smtpd_access_policy",
            "protocol_state": state,
            "sasl_username": login,
            "recipient_count": str(recipients),
        }
        return await policy.decide(self.directory, self.counter, attributes)

    def alarms(self) -> list[dict[str, Any]]:
        found = [json.loads(path.read_text()) for path in self.folder.glob("*.new.json")]
        return sorted(found, key=lambda alarm: (alarm["at"], alarm["person"]))


def asking(
    directory: Directory,
    folder: Path,
    test: Callable[[Postfix, FakeRedis], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        redis = FakeRedis()
        server = await asyncio.start_server(redis.serve, "127.0.0.1", 0)
        cache = Cache("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            await test(Postfix(directory, cache, folder), redis)
        finally:
            await cache.close()
            server.close()

    asyncio.run(run())


def test_a_person_is_stopped_until_the_next_hour(directory: Directory, tmp_path: Path) -> None:
    async def check(postfix: Postfix, redis: FakeRedis) -> None:
        assert await postfix.ask(ADA, 9) == GO
        # By an alias it is the same person.
        refused = await postfix.ask("countess@example.com", 2)
        assert refused.startswith(f"450 4.7.1 {ADA} has reached 10 recipients this hour. ")
        assert "Try again at 13:00 UTC." in refused
        assert refused.isascii()
        # What is refused is not counted, and others go on.
        assert await postfix.ask(ADA, 1) == GO
        assert await postfix.ask(BOB, 8) == GO
        postfix.now += HOUR
        assert await postfix.ask(ADA, 5) == GO
        assert "450 4.7.1" in await postfix.ask(ADA, 1)
        postfix.now += HOUR
        assert "this day (15)" not in await postfix.ask(BOB, 1)
        refused = await postfix.ask(ADA, 1)
        assert "has reached 15 recipients this day. Try again at 00:00 UTC" in refused
        assert set(redis.expiry) >= set(redis.values)  # nothing is counted for ever
        assert not any("ada" in key for key in redis.values)

    asking(directory, tmp_path, check)


def test_everybody_together_is_limited(directory: Directory, tmp_path: Path) -> None:
    async def check(postfix: Postfix, _redis: FakeRedis) -> None:
        assert await postfix.ask(ADA, 10) == GO
        assert await postfix.ask(BOB, 8) == GO
        refused = await postfix.ask("spare1@example.com", 1)
        assert refused.startswith("450 4.7.1 This server has sent to 18 recipients this hour.")
        # The machine's own mail, such as the one about this.
        assert await postfix.ask(CANARY, 100) == GO
        (alarm,) = postfix.alarms()
        assert (alarm["person"], alarm["limit"], alarm["most"]) == ("", "machine_hour", 18)

    asking(directory, tmp_path, check)


def test_a_message_that_never_fits_is_told_so(directory: Directory, tmp_path: Path) -> None:
    async def check(postfix: Postfix, _redis: FakeRedis) -> None:
        refused = await postfix.ask(ADA, 11)
        assert refused == (
            "554 5.7.1 This message has 11 recipients, and this server takes 10 within one hour"
        )
        assert await postfix.ask(ADA, 10) == GO

    asking(directory, tmp_path, check)


def test_an_incident_is_told_once(directory: Directory, tmp_path: Path) -> None:
    async def check(postfix: Postfix, redis: FakeRedis) -> None:
        for _ in range(5):
            await postfix.ask(ADA, 11)
        await postfix.ask(BOB, 11)
        assert [alarm["person"] for alarm in postfix.alarms()] == [ADA, BOB]
        assert postfix.alarms()[0] == {
            "format": 1,
            "kind": "sending",
            "person": ADA,
            "limit": "person_hour",
            "most": 10,
            "at": "2027-01-15T12:01:00+00:00",
            "until": "2027-01-15T13:00:00+00:00",
        }
        # A day later it is another one.
        redis.pass_time(TOLD_SECONDS)
        postfix.now += TOLD_SECONDS
        await postfix.ask(ADA, 11)
        assert [alarm["person"] for alarm in postfix.alarms()] == [ADA, BOB, ADA]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())

    asking(directory, tmp_path, check)


def test_told_alarms_do_not_pile_up(directory: Directory, tmp_path: Path) -> None:
    for number in range(MOST_ALARMS + 3):
        (tmp_path / f"2026{number:04}.told.json").write_text("{}")

    async def check(postfix: Postfix, _redis: FakeRedis) -> None:
        await postfix.ask(ADA, 11)

    asking(directory, tmp_path, check)
    assert len(list(tmp_path.glob("*.told.json"))) == MOST_ALARMS
    assert not (tmp_path / "20260000.told.json").exists()
    assert len(list(tmp_path.glob("*.new.json"))) == 1


def test_an_alarm_that_cannot_be_written_is_tried_again(
    directory: Directory, tmp_path: Path
) -> None:
    folder = tmp_path / "later"

    async def check(postfix: Postfix, _redis: FakeRedis) -> None:
        assert "554" in await postfix.ask(ADA, 11)
        folder.mkdir()
        assert "554" in await postfix.ask(ADA, 11)
        assert len(postfix.alarms()) == 1

    asking(directory, folder, check)


def test_without_redis_everybody_may_send(directory: Directory, tmp_path: Path) -> None:
    async def run() -> None:
        cache = Cache("127.0.0.1", 9)
        postfix = Postfix(directory, cache, tmp_path)
        assert await postfix.ask(ADA, 1000) == GO
        await cache.close()

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_only_people_are_counted_and_only_at_data(directory: Directory, tmp_path: Path) -> None:
    async def check(postfix: Postfix, redis: FakeRedis) -> None:
        for login, state in ((ADA, "RCPT"), ("", "DATA"), ("nobody@example.com", "DATA")):
            assert await postfix.ask(login, 100, state) == GO
        assert redis.values == {}
        assert await policy.decide(postfix.directory, postfix.counter, {}) == GO

    asking(directory, tmp_path, check)


def test_limits_in_the_settings(password_hash: str) -> None:
    document = yaml.safe_load(settings_text(password_hash))
    # A key that is not there limits nothing: the settings that services get have them all.
    assert build_directory(document).limits == ()
    assert read_limits(LIMITS)[0].most == 10
    assert {limit.name for limit in read_limits(LIMITS)} == set(LIMITS) - {"machine_day"}
    for wrong in (0, "many", True, 1.5):
        with pytest.raises(ValueError, match=r"limits\.person_day"):
            read_limits({"person_day": wrong})


# The protocol


@contextmanager
def connection(stack: Stack) -> Iterator[socket.socket]:
    port = stack.ports.directory.policy
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        yield client


def test_policy_over_a_socket(shared_stack: Stack) -> None:
    request = f"request=smtpd_access_policy\nprotocol_state=DATA\nsasl_username={ADA}\n"
    with connection(shared_stack) as client:
        lines = client.makefile("rb")
        for _ in range(2):
            client.sendall(f"{request}recipient_count=2\n\n".encode())
            assert (lines.readline(), lines.readline()) == (b"action=DUNNO\n", b"\n")
    for hostile in (b"x\n\n", b"a=" + b"x" * 10_000 + b"\n\n", b"a=b\n" * 200, b"a=b\nc"):
        # What was not read yet goes with the connection, which may have ended by then.
        with connection(shared_stack) as client, contextlib.suppress(OSError):
            client.sendall(hostile)
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b""


@bounded
@given(st.binary(max_size=200))
def test_hostile_requests_never_crash(content: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader(limit=policy.LINE_LIMIT)
        reader.feed_data(content)
        reader.feed_eof()
        try:
            found = await policy.read_request(reader)
        except ValueError:
            return
        assert found is None or content.rpartition(b"\n\n")[1] or content.startswith(b"\n")

    asyncio.run(read())


def test_the_limit_is_of_the_person_not_of_the_spelling(
    directory: Directory, tmp_path: Path
) -> None:
    few = replace(directory, limits=read_limits({"person_hour": 2}))

    async def check(postfix: Postfix, _redis: FakeRedis) -> None:
        assert await postfix.ask("ADA@example.com", 1) == GO
        assert await postfix.ask("Countess@Example.com", 1) == GO
        assert "450" in await postfix.ask(ADA, 1)

    asking(few, tmp_path, check)
