"""The server of the boot tests misbehaves as it is told to, or those tests would show nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.system import http
from firstboot.system.http import TransferError
from tests.boot.mirror import Mirror, serving

CONTENT = bytes(range(256)) * 1000
PART, ENVELOPE = "2.0.0/root.zst", "2.0.0/release.json"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirrored"
    (folder / "2.0.0").mkdir(parents=True)
    for name in (PART, ENVELOPE):
        (folder / name).write_bytes(CONTENT)
    with serving(folder) as found:
        yield found


def fetch(mirror: Mirror, target: Path) -> bytes:
    url = f"http://127.0.0.1:{mirror.port}/{PART}"
    http.download(url, target, len(CONTENT), lambda _: None)
    return target.read_bytes()


def envelope(mirror: Mirror) -> bytes:
    return http.read(f"http://127.0.0.1:{mirror.port}/{ENVELOPE}", 2 * len(CONTENT))


def test_it_goes_away_in_the_middle_of_a_part(mirror: Mirror, tmp_path: Path) -> None:
    stop = len(CONTENT) // 2 + 1
    mirror.stop_in = (PART, stop)
    assert envelope(mirror) == CONTENT
    target = tmp_path / "target"
    with pytest.raises(TransferError, match="the server cannot be reached"):
        fetch(mirror, target)
    assert target.read_bytes() == CONTENT[:stop]
    assert (mirror.served[PART], mirror.ranges) == (stop, [])
    with pytest.raises(TransferError, match="the server cannot be reached"):
        envelope(mirror)
    mirror.away = False
    assert fetch(mirror, target) == CONTENT
    assert (mirror.served[PART], mirror.ranges) == (len(CONTENT), [(PART, stop)])


def test_it_sends_more_than_it_should(mirror: Mirror, tmp_path: Path) -> None:
    mirror.longer = 1
    assert envelope(mirror) == CONTENT
    with pytest.raises(TransferError, match=f"has {len(CONTENT) + 1} bytes"):
        fetch(mirror, tmp_path / "target")


def test_it_behaves_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.stop_in, mirror.away, mirror.longer = (PART, 1), True, 1
    mirror.replaced[PART] = b""
    mirror.forget()
    assert fetch(mirror, tmp_path / "target") == CONTENT
    assert mirror.served == {PART: len(CONTENT)}
