"""Files over HTTP: as many bytes as were announced, resumed where they stopped.

Whoever answers is not trusted. Never more is written than was announced, nothing waits for ever,
and a redirection leads to HTTP or HTTPS or nowhere. Whether the bytes are the right ones is for
the caller to find out, by their hash.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
import urllib3

from firstboot.base.errors import UpdateRefusedError

CONNECT_SECONDS = 20.0
SILENT_SECONDS = 60.0
# Slower than this is not a network but somebody who wants to be waited for.
SLOWEST = 4096
MOST_TRIES = 20
MOST_REDIRECTS = 5
_CHUNK = 1 << 16
_HINT = "Look at the network and at updates.url in the settings. What was fetched so far is kept."


class TransferError(UpdateRefusedError):
    """A file could not be fetched."""


class MissingFileError(TransferError):
    """There is no such file."""


class _Stopped(Exception):  # noqa: N818 - not an error yet: it may go on from here
    """The connection ended early, for this reason."""


def read(url: str, limit: int) -> bytes:
    """A small file of at most `limit` bytes; TransferError when it is longer or not to be had."""
    try:
        with _opened(url) as response:
            data = bytearray()
            for chunk in _chunks(response, url, limit):
                data += chunk
                if len(data) > limit:
                    raise TransferError(f"{url} is longer than {limit} bytes", _HINT)
            return bytes(data)
    except _Stopped as stop:
        raise TransferError(f"{url}: {stop}", _HINT) from None


def download(url: str, target: Path, size: int, progress: Callable[[int], None]) -> None:
    """Bring `target` to exactly `size` bytes, going on from what it holds already.

    `progress` is told how many bytes there are, again and again. When the connection ends early
    it is opened anew as long as each one brings something. On return the content is on disk.
    Raises TransferError, leaving what was fetched for the next time; MissingFileError when the
    server has no such file.
    """
    for _ in range(MOST_TRIES):
        before = target.stat().st_size if target.exists() else 0
        if before > size:
            target.unlink()
            before = 0
        try:
            if before < size or not target.exists():
                _fetch_rest(url, target, before, size, progress)
            return
        except _Stopped as stop:
            reason = str(stop)
        after = target.stat().st_size if target.exists() else 0
        if after <= before:
            break
    raise TransferError(f"{url}: {reason}", _HINT)


def _fetch_rest(
    url: str, target: Path, start: int, size: int, progress: Callable[[int], None]
) -> None:
    with _opened(url, start) as response:
        if start and response.status_code == requests.codes.requested_range_not_satisfiable:
            target.unlink()
            raise TransferError(f"{url} ends before byte {start}, {size} were announced", _HINT)
        if response.status_code == requests.codes.partial_content:
            _check_range(response, url, start, size)
        else:
            # The server sends all of it, whatever was asked for.
            start = 0
        _check_length(response, url, size - start)
        with target.open("ab" if start else "wb") as file:
            done = start
            for chunk in _chunks(response, url, size - start):
                if done + len(chunk) > size:
                    raise TransferError(f"{url} is longer than the announced {size} bytes", _HINT)
                file.write(chunk)
                done += len(chunk)
                progress(done)
            file.flush()
            os.fsync(file.fileno())
    if done < size:
        raise _Stopped(f"ended after {done} of {size} bytes")


@contextlib.contextmanager
def _opened(url: str, start: int = 0) -> Iterator[requests.Response]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "mailstead"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        # Neither proxies nor passwords from the surroundings.
        session.trust_env = False
        try:
            response = session.get(
                url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENT_SECONDS)
            )
        except (requests.RequestException, ValueError) as error:
            raise _Stopped(_why(error)) from None
        with response:
            _check_answer(response, url, start)
            yield response


def _check_answer(response: requests.Response, url: str, start: int) -> None:
    status = response.status_code
    fine = {requests.codes.ok}
    if start:
        fine |= {requests.codes.partial_content, requests.codes.requested_range_not_satisfiable}
    if status in {requests.codes.not_found, requests.codes.gone}:
        raise MissingFileError(f"{url} does not exist", _HINT)
    if status not in fine:
        raise TransferError(f"{url}: the server answers {status} {response.reason}", _HINT)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise TransferError(f"{url}: the server changes what it sends (Content-Encoding)", _HINT)


def _check_range(response: requests.Response, url: str, start: int, size: int) -> None:
    """RFC 9110, 14.4: what is sent must be the rest of a file of the announced size."""
    found = response.headers.get("Content-Range", "")
    if not re.fullmatch(rf"bytes {start}-{size - 1}/({size}|\*)", found, re.ASCII):
        raise TransferError(
            f"{url}: the server sends {found!r}, wanted bytes {start} to {size - 1}", _HINT
        )


def _check_length(response: requests.Response, url: str, wanted: int) -> None:
    found = response.headers.get("Content-Length")
    if found is not None and found != str(wanted):
        raise TransferError(f"{url}: the server has {found} bytes, announced are {wanted}", _HINT)


def _chunks(response: requests.Response, url: str, size: int) -> Iterator[bytes]:
    """The body as it comes; _Stopped when it ends early, TransferError when it takes too long."""
    deadline = time.monotonic() + 5 * SILENT_SECONDS + size / SLOWEST
    try:
        # read1 gives what is there; anything else would wait for a full chunk from a slow server.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            yield chunk
            if time.monotonic() > deadline:
                raise TransferError(f"{url} comes at less than {SLOWEST} bytes/s", _HINT)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = "no answer in time" if "timed out" in str(error) else "the connection ended early"
        raise _Stopped(reason) from None


def _why(error: Exception) -> str:
    """One short sentence; those of the library quote its insides."""
    match error:
        case requests.exceptions.SSLError():
            return "the server's certificate is not right (or this machine's clock is not)"
        case requests.exceptions.TooManyRedirects():
            return f"more than {MOST_REDIRECTS} redirections"
        case requests.exceptions.InvalidSchema():
            return "a redirection that leads neither to http nor to https"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "the server cannot be reached"
    return f"the server cannot be understood ({type(error).__name__})"
