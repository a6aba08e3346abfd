"""The host's apt sources, in both formats, and finding the distribution's archive among others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.host.sources import (
    Archive,
    Source,
    find_archive,
    parse_deb822,
    parse_one_line,
    read_sources,
)
from tools.host.system import Distribution, host_distribution

BOOKWORM = Distribution("debian", "bookworm", "Debian 12")
NOBLE = Distribution("ubuntu", "noble", "Ubuntu 24.04")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_one_line_with_options_and_comments() -> None:
    text = """
        # deb http://disabled.test/debian bookworm main
        deb [arch=amd64 signed-by=/a.gpg,/b.gpg] http://one.test/debian/ bookworm main contrib # why
        deb-src http://one.test/debian bookworm main
        deb cdrom:[Debian 12]/ bookworm main
        deb http://flat.test/ ./
    """
    assert parse_one_line(text) == [
        Source(
            Archive("http://one.test/debian/", "/a.gpg /b.gpg"), "bookworm", ("main", "contrib")
        ),
        Source(Archive("http://flat.test/", None), "./", ()),
    ]


def test_deb822_with_several_values_comments_and_disabled_stanzas() -> None:
    text = f"""# a comment
Types: deb deb-src
URIs: http://one.test/debian
# in between
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: {KEYRING}

Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
Enabled: no

types: deb-src
uris: http://source.test/debian
suites: bookworm
components: main
"""
    archive = Archive("http://one.test/debian", KEYRING)
    assert parse_deb822(text) == [
        Source(archive, "bookworm", ("main",)),
        Source(archive, "bookworm-updates", ("main",)),
    ]


def test_deb822_keeps_an_embedded_key_whole() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: http://a.test\nSuites: s\nComponents: main\nSigned-By:{key}\n"
    [source] = parse_deb822(text)
    assert source.archive.signed_by == key


def test_files_are_read_by_their_format(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://main.test/debian bookworm main\n")
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://b.test\nSuites: s\nComponents: main\n"
    )
    (parts / "a.list").write_text("deb http://a.test s main\n")
    (parts / "c.sources.disabled").write_text("deb http://c.test s main\n")
    found = read_sources(tmp_path / "sources.list", parts)
    assert [source.archive.uri for source in found] == [
        "http://main.test/debian",
        "http://a.test",
        "http://b.test",
    ]


def test_no_sources_at_all(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "sources.list", tmp_path / "sources.list.d") == []


OWN = Source(Archive("http://own.test/debian", KEYRING), "bookworm", ("main",))
OWN_BARE = Source(Archive("http://own.test/debian", None), "bookworm", ("main",))
FOREIGN_KEY = Source(Archive("http://other.test/debian", "/o.gpg"), "bookworm", ("main",))
FOREIGN_BARE = Source(Archive("http://other.test/apt", None), "stable", ("main",))
FOREIGN_COMPONENT = Source(Archive("http://docker.test/debian", None), "bookworm", ("stable",))
SECURITY = Source(
    Archive("http://sec.test/debian-security", KEYRING), "bookworm-security", ("main",)
)


@pytest.mark.parametrize(
    "sources",
    [
        [FOREIGN_KEY, FOREIGN_BARE, OWN, SECURITY],
        [FOREIGN_KEY, OWN_BARE],
        [FOREIGN_BARE, OWN_BARE],
        [FOREIGN_COMPONENT, OWN_BARE],
    ],
)
def test_the_distributions_own_archive_is_found_among_others(sources: list[Source]) -> None:
    archive = find_archive(sources, BOOKWORM)
    assert archive is not None
    assert archive.uri == "http://own.test/debian"


def test_security_archive() -> None:
    archive = find_archive([OWN, SECURITY], BOOKWORM, security=True)
    assert archive == SECURITY.archive
    assert find_archive([OWN], BOOKWORM, security=True) is None


def test_the_first_of_equals_is_taken() -> None:
    mirrors = [
        Source(Archive(f"http://{name}.test/ubuntu", None), "noble", ("main", "universe"))
        for name in ("first", "second")
    ]
    archive = find_archive(mirrors, NOBLE)
    assert archive == mirrors[0].archive


def test_no_archive_of_the_distribution() -> None:
    assert find_archive([FOREIGN_COMPONENT], BOOKWORM) is None


def test_os_release_is_read(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('# x\nID=ubuntu\nVERSION_CODENAME="noble"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n')
    assert host_distribution(file) == Distribution("ubuntu", "noble", "Ubuntu 24.04.1 LTS")


def test_a_host_without_os_release(tmp_path: Path) -> None:
    host = host_distribution(tmp_path / "missing")
    assert (host.name, host.codename, host.has_apt) == ("", "", False)
