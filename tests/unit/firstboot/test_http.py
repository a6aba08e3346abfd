"""Downloads against a real server: resumed, and never more than was announced."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from firstboot.system import http
from firstboot.system.http import MissingFileError, TransferError, download, read
from tests.unit.firstboot.ports import free_port
from tests.unit.firstboot.webserver import WebServer, serving

BODY = bytes(range(256)) * 1000


@pytest.fixture
def web() -> Iterator[WebServer]:
    with serving() as server:
        server.files["file"] = BODY
        yield server


def fetch(web: WebServer, target: Path, size: int = len(BODY)) -> list[int]:
    seen: list[int] = []
    download(web.url("file"), target, size, seen.append)
    return seen


def test_whole_file(web: WebServer, tmp_path: Path) -> None:
    seen = fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert seen == sorted(seen)
    assert seen[-1] == len(BODY)
    assert web.requests == [("file", "")]


def test_goes_on_where_it_stopped(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY[:1000])
    seen = fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert web.requests == [("file", "bytes=1000-")]
    assert seen[0] > 1000


def test_whole_file_is_not_fetched_again(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    assert fetch(web, tmp_path / "file") == []
    assert web.requests == []


def test_empty_file(web: WebServer, tmp_path: Path) -> None:
    web.files["file"] = b""
    fetch(web, tmp_path / "file", 0)
    assert (tmp_path / "file").read_bytes() == b""


def test_too_much_from_before_is_thrown_away(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY + b"more")
    fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("chunked", [False, True])
def test_server_that_stops_midway_is_asked_again(
    web: WebServer, tmp_path: Path, chunked: bool
) -> None:
    web.stops, web.chunked = [1000, 5000, 100], chunked
    fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    ranges = [asked for _, asked in web.requests]
    assert ranges == ["", "bytes=1000-", "bytes=6000-", "bytes=6100-"]


def test_server_that_brings_nothing_is_given_up(web: WebServer, tmp_path: Path) -> None:
    web.stops = [1000, *[0] * 20]
    with pytest.raises(TransferError, match="ended") as caught:
        fetch(web, tmp_path / "file")
    assert "kept" in caught.value.hint
    assert len(web.requests) == 2
    # The next time goes on from there.
    web.stops = []
    fetch(web, tmp_path / "file")
    assert web.requests[-1] == ("file", "bytes=1000-")


def test_server_without_ranges_begins_anew(web: WebServer, tmp_path: Path) -> None:
    web.ranges = False
    (tmp_path / "file").write_bytes(b"x" * 1000)
    fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("size", [len(BODY) - 1, len(BODY) + 1])
def test_size_that_is_not_the_announced_one_is_refused_at_once(
    web: WebServer, tmp_path: Path, size: int
) -> None:
    with pytest.raises(TransferError, match=f"has {len(BODY)} bytes, announced are {size}"):
        fetch(web, tmp_path / "file", size)
    assert not (tmp_path / "file").exists()


def test_more_than_announced_is_never_written(web: WebServer, tmp_path: Path) -> None:
    web.chunked = True
    with pytest.raises(TransferError, match="longer than the announced 1000 bytes"):
        fetch(web, tmp_path / "file", 1000)
    assert (tmp_path / "file").stat().st_size <= 1000


@pytest.mark.parametrize(
    "said", ["bytes 0-255999/256000", "bytes 1000-1001/256000", "bytes 1000-255999/5", "junk"]
)
def test_other_range_than_asked_for_is_refused(web: WebServer, tmp_path: Path, said: str) -> None:
    (tmp_path / "file").write_bytes(BODY[:1000])
    web.content_range = said
    with pytest.raises(TransferError, match="wanted bytes 1000 to 255999"):
        fetch(web, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY[:1000]


def test_file_that_became_shorter(web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY[:1000])
    web.files["file"] = BODY[:500]
    with pytest.raises(TransferError, match="ends before byte 1000"):
        fetch(web, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_missing_file(web: WebServer, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="absent does not exist"):
        download(web.url("absent"), tmp_path / "file", 10, lambda _: None)
    with pytest.raises(MissingFileError):
        read(web.url("absent"), 10)


def test_server_in_trouble(web: WebServer, tmp_path: Path) -> None:
    web.status = 503
    with pytest.raises(TransferError, match="answers 503"):
        fetch(web, tmp_path / "file")


def test_server_that_encodes(web: WebServer) -> None:
    web.headers["Content-Encoding"] = "gzip"
    with pytest.raises(TransferError, match="Content-Encoding"):
        read(web.url("file"), 1 << 20)


def test_small_file_has_a_limit(web: WebServer) -> None:
    assert read(web.url("file"), len(BODY)) == BODY
    web.chunked = True
    with pytest.raises(TransferError, match="longer than 1000 bytes"):
        read(web.url("file"), 1000)


def test_small_file_that_ends_early(web: WebServer) -> None:
    web.stops = [10]
    with pytest.raises(TransferError, match="ended early"):
        read(web.url("file"), 1 << 20)


def test_redirections(web: WebServer) -> None:
    web.redirects = {"moved": web.url("file"), "circle": web.url("circle"), "away": "ftp://x.test/"}
    assert read(web.url("moved"), 1 << 20) == BODY
    with pytest.raises(TransferError, match="more than 5 redirections"):
        read(web.url("circle"), 10)
    assert sum(name == "circle" for name, _ in web.requests) <= 6
    with pytest.raises(TransferError, match="neither to http nor to https"):
        read(web.url("away"), 10)


def test_nobody_there() -> None:
    with pytest.raises(TransferError, match="cannot be reached"):
        read(f"http://127.0.0.1:{free_port()}/file", 10)


def test_server_that_promises_more_than_it_sends(web: WebServer) -> None:
    web.length = len(BODY) + 1
    with pytest.raises(TransferError, match="ended early"):
        read(web.url("file"), 1 << 20)


def test_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SILENT_SECONDS", 0.1)
    # It takes connections, and nobody ever looks at them.
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        pytest.raises(TransferError, match="no answer in time"),
    ):
        read(f"http://127.0.0.1:{deaf.getsockname()[1]}/file", 10)


def test_server_that_trickles(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstboot.system.http.time.monotonic", count(0, 1000).__next__)
    with pytest.raises(TransferError, match="less than 4096 bytes/s"):
        fetch(web, tmp_path / "file")
