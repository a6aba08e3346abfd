"""Where an image's packages come from, and whether that answers; servers are on loopback only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.host import archive
from tools.host.archive import Mirrors, archive_reachable, find_mirrors, image_sources
from tools.host.errors import HostError
from tools.host.mkosi import Mkosi
from tools.host.sources import Archive, Source
from tools.host.system import Distribution

FAKE_MKOSI = {
    "__init__.py": "",
    "config.py": "class Architecture:\n    native = staticmethod(lambda: 'x86-64')\n",
    "distribution.py": """
from types import SimpleNamespace as N
def repositories(context):
    r = context.config.release
    yield N(suite=r, url="http://default.test/ubuntu")
    yield N(suite=r + "-security", url="http://security.test/ubuntu")
Distribution = {"ubuntu": N(installer=N(repositories=repositories))}
""",
}


@pytest.fixture
def mkosi(tmp_path: Path) -> Mkosi:
    folder = tmp_path / "modules" / "mkosi"
    folder.mkdir(parents=True)
    for name, text in FAKE_MKOSI.items():
        (folder / name).write_text(text)
    environment = {"PYTHONPATH": str(folder.parent)}
    return Mkosi(("mkosi",), "27.1", environment, sys.executable, "a fake")


@pytest.fixture(autouse=True)
def debian_host(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [
        Source(Archive("http://own.test/debian", None), "bookworm", ("main",)),
        Source(Archive("http://own.test/security", None), "bookworm-security", ("main",)),
    ]
    monkeypatch.setattr(archive, "host_sources", lambda: sources)
    monkeypatch.setattr(
        archive, "host_distribution", lambda: Distribution("debian", "bookworm", "Debian 12")
    )


class _Archive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/good/dists/resolute/InRelease"
        portal = self.path.startswith("/portal/")
        self.send_response(200 if known or portal else 404)
        self.end_headers()
        self.wfile.write(b"-----BEGIN PGP SIGNED MESSAGE-----\n" if known else b"<html>log in")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Archive) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_an_archive_that_answers(server: str) -> None:
    assert archive_reachable("ubuntu", mirror=f"{server}/good/")


@pytest.mark.parametrize("folder", ["missing", "portal"])
def test_an_answer_that_is_no_release_file_does_not_count(server: str, folder: str) -> None:
    assert not archive_reachable("ubuntu", mirror=f"{server}/{folder}")


def test_an_archive_that_refuses(server: str) -> None:
    # Port 1 (tcpmux) of this machine listens to nobody.
    assert not archive_reachable("ubuntu", mirror="http://127.0.0.1:1/ubuntu")


def test_what_is_not_known_or_not_http_is_left_to_the_build() -> None:
    assert archive_reachable("ubuntu")
    assert archive_reachable("debian", mirror="file:/srv/debian")


def test_the_hosts_own_archives_come_first() -> None:
    assert find_mirrors("debian") == Mirrors("http://own.test/debian", "http://own.test/security")


def test_mkosi_is_asked_for_the_others(mkosi: Mkosi) -> None:
    assert find_mirrors("ubuntu", mkosi=mkosi) == Mirrors(
        "http://default.test/ubuntu", "http://security.test/ubuntu"
    )
    assert find_mirrors("ubuntu") == Mirrors(None, None)


def test_a_mkosi_that_cannot_be_asked(mkosi: Mkosi) -> None:
    without = Mkosi(mkosi.argv, "99", {"PYTHONPATH": ""}, sys.executable, "without modules")
    unknown = Mkosi(mkosi.argv, "99", {}, None, "a program")
    assert find_mirrors("ubuntu", mkosi=without) == Mirrors(None, None)
    assert find_mirrors("ubuntu", mkosi=unknown) == Mirrors(None, None)


def test_an_archive_that_a_sandbox_cannot_reach_is_not_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Source(Archive("mirror+file:/etc/apt/mirrors.list", None), "bookworm", ("main",))
    monkeypatch.setattr(archive, "host_sources", lambda: [source])
    assert find_mirrors("debian") == Mirrors(None, None)


def test_sources_for_an_image() -> None:
    assert image_sources("debian", ("main", "contrib"), mirror="http://near.test/debian") == (
        "Types: deb\nURIs: http://near.test/debian\nSuites: trixie trixie-updates\n"
        "Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        "\n"
        "Types: deb\nURIs: http://own.test/security\nSuites: trixie-security\n"
        "Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    assert image_sources("ubuntu", ("main",)) is None


def test_an_unknown_base() -> None:
    with pytest.raises(HostError, match="'fedora' is no base") as caught:
        find_mirrors("fedora")
    assert "ubuntu, debian" in caught.value.hint
