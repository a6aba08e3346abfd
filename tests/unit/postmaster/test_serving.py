"""Limits on connections and patience, the command line, and what the log may say."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from postmaster import logs
from postmaster.cli import cli
from postmaster.clients import ClientConnection, Timeouts
from postmaster.errors import StartError
from postmaster.imap.server import imap_handler
from postmaster.learning import Teacher
from postmaster.query import DirectoryQueries
from postmaster.services import Services
from postmaster.serving import ConnectionLimits, Handler, listening
from postmaster.storage.interface import MailStore
from postmaster.tls import server_context
from tests.unit.postmaster.harness import DEADLINE


def test_connections_are_counted_per_address_and_in_total() -> None:
    limits = ConnectionLimits(total=3, per_address=2)
    with limits.admit("a") as first, limits.admit("a") as second:
        assert first
        assert second
        with limits.admit("a") as third, limits.admit("b") as other, limits.admit("c") as fourth:
            assert not third
            assert other
            assert not fourth
    with limits.admit("a") as again:
        assert again
    assert not limits._open  # no address is remembered for ever


def test_what_comes_after_a_go_ahead_is_acknowledged_at_once() -> None:
    def late(connection: socket.socket) -> bool:
        return not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)

    async def run() -> None:
        seen: asyncio.Queue[tuple[bool, bool]] = asyncio.Queue()

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            before = late(connection)
            ClientConnection(writer, Timeouts(1.0, 1.0)).expect_pieces()
            seen.put_nowait((before, late(connection)))
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            async with asyncio.timeout(DEADLINE):
                assert await seen.get() == (True, False)
            writer.close()

    asyncio.run(run())


def talk(handler: Handler, limits: ConnectionLimits, connections: int) -> list[bytes]:
    """Open connections that say nothing; return all that the last one hears."""

    async def run() -> bytes:
        async with listening("test", handler, host="127.0.0.1", port=0, limits=limits) as port:
            streams = []
            for _ in range(connections):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                streams.append((reader, writer))
                if len(streams) < connections:
                    await reader.readline()
            async with asyncio.timeout(DEADLINE):
                heard = await streams[-1][0].read()
            for _, writer in streams:
                writer.close()
            return heard

    return asyncio.run(run()).splitlines()


def silent_imap(seconds: float) -> Handler:
    """Return an IMAP server for clients that never log in."""
    services = Services(
        cast(MailStore, None), cast(DirectoryQueries, None), 1024, cast(Teacher, None)
    )
    return imap_handler(services, Timeouts(before_login=seconds, after_login=60.0))


def test_a_connection_too_many_is_told_so() -> None:
    limits = ConnectionLimits(per_address=1, refusal=b"* BYE too many connections\r\n")
    assert talk(silent_imap(60), limits, 2) == [b"* BYE too many connections"]


def test_silence_before_login_ends_the_connection() -> None:
    heard = talk(silent_imap(0.01), ConnectionLimits(), 1)
    assert heard[-1] == b"* BYE idle for too long"


def test_a_port_in_use_is_a_clear_error() -> None:
    async def run() -> None:
        handler, limits = silent_imap(1), ConnectionLimits()
        async with listening("one", handler, host="127.0.0.1", port=0, limits=limits) as port:
            with pytest.raises(StartError, match="cannot listen for two"):
                async with listening("two", handler, host="127.0.0.1", port=port, limits=limits):
                    pass

    asyncio.run(run())


def test_a_failure_is_logged_without_what_the_client_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        raise ValueError("the secret of the client")

    assert talk(fails, ConnectionLimits(), 1) == []
    assert "failure service=test kind=ValueError at=test_serving.py:" in caplog.text
    assert "secret" not in caplog.text


def test_an_event_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logs.event(logging.getLogger("test"), "login", login="a\nINFO forged b", service="imap")
    assert caplog.messages == [r"login login='a\nINFO forged b' service=imap"]


def test_a_missing_certificate_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot use the certificate"):
        server_context(tmp_path / "none.pem")


@pytest.mark.parametrize("command", ["directory", "mailstore"])
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["directory", "--key", "key", "--settings", "missing"],
            3,
            "cannot read the settings missing",
        ),
        (["mailstore", "--vaults", "missing"], 3, "there is no folder missing"),
        (["directory", "--redis", "nonsense"], 2, "is not HOST:PORT"),
    ],
)
def test_what_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text("ab" * 32)
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output
