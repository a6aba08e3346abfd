"""A certificate that is replaced while connections are open, over real TLS."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
from pathlib import Path

import pytest

from firstboot.base.certificate import make_certificate
from firstboot.base.tls import join_pem
from postmaster.errors import StartError
from postmaster.serving import ConnectionLimits, listening
from postmaster.tls import server_context
from tests.unit.postmaster.harness import DEADLINE

NOW = datetime.datetime.now(datetime.UTC)


def put_new(path: Path) -> bytes:
    """Replace the pair, as the machine does, by a new one; its certificate as DER."""
    made = make_certificate("localhost.test", now=NOW)
    put(path, join_pem(made))
    return ssl.PEM_cert_to_DER_cert(made.certificate.decode())


def put(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


class Client:
    """One connection to a server that echoes lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def certificate(self) -> bytes:
        found = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(found, bytes)
        return found

    async def works(self) -> bool:
        self.writer.write(b"hello\n")
        return await asyncio.wait_for(self.reader.readline(), DEADLINE) == b"hello\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)


@pytest.mark.parametrize("name", ["localhost.test", None])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_connections_have_the_new_certificate(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str | None,
    version: ssl.TLSVersion,
) -> None:
    """With and without a server name in the handshake."""
    caplog.set_level(logging.INFO)
    pair = tmp_path / "pair.pem"
    before = put_new(pair)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    trust.minimum_version = trust.maximum_version = version

    async def scene() -> None:
        context = server_context(pair)
        async with listening(
            "test", echo, host="127.0.0.1", port=0, limits=ConnectionLimits(), tls=context
        ) as port:

            async def connect() -> Client:
                opened = asyncio.open_connection(
                    "127.0.0.1", port, ssl=trust, server_hostname=name or ""
                )
                return Client(*await asyncio.wait_for(opened, DEADLINE))

            first = await connect()
            assert first.certificate == before
            after = put_new(pair)
            second = await connect()
            assert second.certificate == after
            assert await first.works()
            assert await second.works()
            put(pair, b"-----BEGIN RUBBISH-----\n")
            third = await connect()
            assert third.certificate == after
            pair.unlink()
            fourth = await connect()
            assert fourth.certificate == after
            last = put_new(pair)
            assert (await connect()).certificate == last
            for client in (first, second, third, fourth):
                assert await client.works()

    asyncio.run(scene())
    said = [message.split()[0] for message in caplog.messages]
    assert said.count("new-certificate") == 2
    assert said.count("certificate-unusable") == 2


def test_a_key_of_another_certificate_is_a_clear_error(tmp_path: Path) -> None:
    one, other = (make_certificate("localhost.test", now=NOW) for _ in range(2))
    (tmp_path / "pair.pem").write_bytes(one.key + other.certificate)
    with pytest.raises(StartError, match=r"cannot use the certificate .*pair\.pem"):
        server_context(tmp_path / "pair.pem")
