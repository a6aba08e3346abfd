"""Packages of a newer suite: fetched once, verified by apt, whole or not there, then offline."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.tools.host.fakes import FakePrograms
from tools.host import aptroot
from tools.host.aptroot import newest_cached, obtain_package
from tools.host.errors import ArchiveError
from tools.host.sources import Archive, Source
from tools.host.system import Distribution

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
BOOKWORM = Distribution("debian", "bookworm", "Debian 12")
pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="dpkg-deb is needed to make packages to unpack"
)


def quiet(_: str) -> None:
    """Say nothing."""


def make_deb(folder: Path, version: str) -> Path:
    """A package `tool` of `version` with one file that holds the version."""
    tree = folder / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: tool\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.com>\nDescription: nothing\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "tool").write_text(version)
    deb = folder / f"tool_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True
    )
    return deb


@pytest.fixture
def archive(
    programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakePrograms:
    """A host with Debian's sources, whose newer suite has `tool` 2-1."""
    sources = [Source(Archive("http://own.test/debian", KEYRING), "bookworm", ("main",))]
    monkeypatch.setattr(aptroot, "host_sources", lambda: sources)
    monkeypatch.setattr(aptroot, "host_distribution", lambda: BOOKWORM)
    offer(programs, make_deb(tmp_path, "2-1"), "2-1")
    return programs


def offer(programs: FakePrograms, deb: Path, version: str) -> None:
    """Make the fake apt offer `deb`; it keeps the source that it was given."""
    seen = programs.folder.parent / "only.sources"
    programs.add("apt-cache", f"echo 'Package: tool'; echo 'Version: {version}'")
    programs.add(
        "apt-get",
        f'case "$*" in *download*) cp {deb} .;; *update) cp "${{2%apt.conf}}only.sources" {seen};;'
        " esac",
    )


def test_a_package_is_fetched_from_the_hosts_archive_and_the_newer_suite(
    archive: FakePrograms, tmp_path: Path
) -> None:
    lines: list[str] = []
    found = obtain_package("tool", minimum="2", suites=("sid",), report=lines.append)
    assert (found.version, (found.tree / "usr" / "tool").read_text()) == ("2-1", "2-1")
    assert lines == ["Fetching tool (at least 2) from debian sid …"]
    assert (tmp_path / "only.sources").read_text() == (
        "Types: deb\nURIs: http://own.test/debian\nSuites: sid\nComponents: main\n"
        f"Targets: Packages\nSigned-By: {KEYRING}\n"
    )


def test_it_is_fetched_once(archive: FakePrograms) -> None:
    first = obtain_package("tool", minimum="2", suites=("sid",), report=quiet)
    archive.add("apt-get", "exit 100")
    assert obtain_package("tool", minimum="1.9", suites=("sid",), report=quiet) == first


def test_a_higher_minimum_fetches_a_newer_one(archive: FakePrograms, tmp_path: Path) -> None:
    obtain_package("tool", minimum="2", suites=("sid",), report=quiet)
    offer(archive, make_deb(tmp_path, "10-1"), "10-1")
    assert obtain_package("tool", minimum="3", suites=("sid",), report=quiet).version == "10-1"
    assert newest_cached("tool", "1") == newest_cached("tool", "10-1")


def test_a_mirror_takes_the_place_of_the_hosts_archive(
    archive: FakePrograms, tmp_path: Path
) -> None:
    obtain_package(
        "tool", minimum="2", suites=("sid",), mirror="http://near.test/debian", report=quiet
    )
    text = (tmp_path / "only.sources").read_text()
    assert "URIs: http://near.test/debian\n" in text
    assert f"Signed-By: {KEYRING}\n" in text


def test_an_interrupted_unpacking_leaves_nothing_and_the_next_try_works(
    archive: FakePrograms, cache: Path
) -> None:
    real = shutil.which("dpkg-deb", path="/usr/bin:/bin")
    archive.add("dpkg-deb", 'case "$1" in --extract) mkdir "$3"; exit 2;; esac')
    with pytest.raises(Exception, match="dpkg-deb --extract"):
        obtain_package("tool", minimum="2", suites=("sid",), report=quiet)
    assert list((cache / "host-packages" / "tool").iterdir()) == []
    assert list((cache / "apt").iterdir()) == []
    archive.add("dpkg-deb", f'exec {real} "$@"')
    assert obtain_package("tool", minimum="2", suites=("sid",), report=quiet).version == "2-1"


def test_the_next_suite_is_tried(archive: FakePrograms, tmp_path: Path) -> None:
    deb = tmp_path / "tool_2-1_all.deb"
    archive.add(
        "apt-get",
        f'case "$*" in *download*) cp {deb} .;; '
        '*) grep -q "Suites: sid" "${2%apt.conf}only.sources";; esac',
    )
    found = obtain_package("tool", minimum="2", suites=("testing", "sid"), report=quiet)
    assert found.version == "2-1"


def test_too_old_everywhere(archive: FakePrograms) -> None:
    with pytest.raises(ArchiveError) as caught:
        obtain_package("tool", minimum="3", suites=("testing", "sid"), report=quiet)
    assert caught.value.message == (
        "tool could not be fetched:\n"
        "testing has tool 2-1, and 3 or newer is needed\n"
        "sid has tool 2-1, and 3 or newer is needed"
    )


def test_not_there(archive: FakePrograms) -> None:
    archive.add("apt-cache", "exit 100")
    with pytest.raises(ArchiveError, match="sid has no package tool"):
        obtain_package("tool", minimum="3", suites=("sid",), report=quiet)


@pytest.mark.parametrize(
    ("said", "told", "hint"),
    [
        ("Could not resolve 'own.test'", "cannot be reached for sid", "--mirror"),
        ("The following signatures: NO_PUBKEY 0E98404D386FA1D9", "not trusted", "keyring"),
        ("The repository does not have a Release file.", "does not carry the suite", "--mirror"),
        ("Release file is expired (invalid since 3d)", "too old, or the clock", "clock"),
    ],
)
def test_what_apt_says_is_explained(archive: FakePrograms, said: str, told: str, hint: str) -> None:
    archive.add("apt-get", f'echo "E: {said}" >&2; exit 100')
    with pytest.raises(ArchiveError, match=told) as caught:
        obtain_package("tool", minimum="2", suites=("sid",), report=quiet)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_host_without_the_distributions_archive(
    archive: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aptroot, "host_sources", list)
    with pytest.raises(ArchiveError, match="name no archive of Debian 12"):
        obtain_package("tool", minimum="2", suites=("sid",), report=quiet)


def test_a_host_of_another_family(archive: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        aptroot, "host_distribution", lambda: Distribution("fedora", "", "Fedora 44")
    )
    with pytest.raises(ArchiveError, match="Fedora 44 is neither Debian nor Ubuntu"):
        obtain_package("tool", minimum="2", suites=("sid",), report=quiet)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="the real apt is tried here")
def test_the_real_apt_refuses_an_archive_without_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "archive" / "dists" / "sid" / "main" / "binary-all"
    packages.mkdir(parents=True)
    (packages / "Packages").touch()
    (tmp_path / "archive" / "dists" / "sid" / "Release").write_text("Suite: sid\n")
    source = Source(Archive(f"file:{tmp_path}/archive", KEYRING), "bookworm", ("main",))
    monkeypatch.setattr(aptroot, "host_sources", lambda: [source])
    monkeypatch.setattr(aptroot, "host_distribution", lambda: BOOKWORM)
    with pytest.raises(ArchiveError, match="not trusted"):
        obtain_package("tool", minimum="2", suites=("sid",), report=quiet)
