"""Host packages: what is missing, how it is installed, who is asked. No real apt is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.tools.host.fakes import FakePrograms
from tools.host import packages
from tools.host.errors import ArchiveError, HostError, PrivilegeError
from tools.host.packages import HOST_PACKAGES, Package, ensure, ensure_for, missing, packages_for
from tools.host.system import Distribution

OPTIONS = "apt-get --yes --quiet -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=false"
INSTALL = f"{OPTIONS} install --no-install-recommends"
UPDATE = f"{OPTIONS} update"
ONE_OF_TWO = """printf '%s\\n' 'there installed' 'gone not-installed'
echo "dpkg-query: no packages found matching absent" >&2
exit 1"""
WANTED = {"there": "being there", "gone": "going", "absent": "what is new"}


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def apt(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """A root's host with lists of packages, where of WANTED only `there` is installed."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "archive_dists_x_main_binary-amd64_Packages").touch()
    monkeypatch.setattr(packages, "_LISTS", lists)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.add("dpkg-query", ONE_OF_TWO)
    programs.add("apt-get")
    return programs


def test_missing_packages(apt: FakePrograms) -> None:
    assert missing(WANTED) == ["absent", "gone"]
    assert missing([]) == []


def test_only_what_is_missing_is_installed_and_said(apt: FakePrograms) -> None:
    lines: list[str] = []
    assert ensure(WANTED, "forge build", lines.append) == ["absent", "gone"]
    assert apt.calls("apt-get") == [f"{INSTALL} absent gone"]
    assert lines[:3] == [
        "forge build needs packages that this host has not got:",
        "  absent: what is new",
        "  gone: going",
    ]
    assert lines[-1].startswith("Installed absent, gone in ")


def test_apt_never_asks(apt: FakePrograms, tmp_path: Path) -> None:
    apt.add("apt-get", f'echo "$DEBIAN_FRONTEND" > {tmp_path}/frontend')
    ensure(WANTED, "x", quiet)
    assert (tmp_path / "frontend").read_text() == "noninteractive\n"


def test_nothing_missing_starts_no_apt(apt: FakePrograms) -> None:
    assert ensure({"there": "x"}, "x", quiet) == []
    assert apt.calls("apt-get") == []


def test_lists_are_fetched_first_where_there_are_none(
    apt: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_LISTS", tmp_path / "none")
    ensure(WANTED, "x", quiet)
    assert apt.calls("apt-get") == [UPDATE, f"{INSTALL} absent gone"]


def test_stale_lists_are_refreshed_once(apt: FakePrograms, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    apt.add(
        "apt-get",
        f'case "$*" in *update) touch {fresh};; *) test -e {fresh} || '
        '{ echo "E: Failed to fetch x 404" >&2; exit 100; };; esac',
    )
    assert ensure(WANTED, "x", quiet) == ["absent", "gone"]
    assert apt.calls("apt-get") == [f"{INSTALL} absent gone", UPDATE, f"{INSTALL} absent gone"]


def test_another_apt_is_waited_for(
    apt: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and does not wait itself, for its lists and its downloads."""
    monkeypatch.setattr(packages, "_LISTS", tmp_path / "none")
    monkeypatch.setattr(packages, "_HELD_PAUSE", 0.0)
    free = tmp_path / "free"
    held = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"
    apt.add("apt-get", f'test -e {free} || {{ touch {free}; echo "{held}" >&2; exit 100; }}')
    assert ensure(WANTED, "x", quiet) == ["absent", "gone"]
    assert apt.calls("apt-get") == [UPDATE, UPDATE, f"{INSTALL} absent gone"]
    free.unlink()
    monkeypatch.setattr(packages, "_HELD_SECONDS", 0.0)
    with pytest.raises(ArchiveError, match="Could not get lock"):
        ensure(WANTED, "x", quiet)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("E: Unable to locate package absent", "universe"),
        ("Err: Could not resolve 'mirror.test'", "network"),
        ("E: dpkg was interrupted", "by hand"),
    ],
)
def test_a_failing_apt_is_explained(apt: FakePrograms, said: str, hint: str) -> None:
    apt.add("apt-get", f'echo "{said}" >&2; exit 100')
    with pytest.raises(ArchiveError, match="could not be installed") as caught:
        ensure(WANTED, "x", quiet)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_without_root_and_terminal_the_command_is_told(
    apt: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.add("sudo")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError, match="needs absent, gone, and that needs root") as caught:
        ensure(WANTED, "forge build", quiet)
    assert caught.value.hint == (
        "Run this and start again:\n"
        f"  sudo env DEBIAN_FRONTEND=noninteractive LC_ALL=C {INSTALL} absent gone"
    )
    assert apt.calls("apt-get") == []
    assert apt.calls("sudo") == []


def test_a_host_without_apt_is_told_what_it_lacks(
    apt: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(apt.folder))
    (apt.folder / "apt-get").unlink()
    (apt.folder / "sh").symlink_to(shutil.which("sh", path="/usr/bin:/bin") or "/bin/sh")
    with pytest.raises(HostError, match="needs absent, gone, and this host has no apt"):
        ensure(WANTED, "x", quiet)


def test_names_differ_by_distribution_and_release() -> None:
    package = Package("a", "x", frozenset(), (), {"debian": "b", "debian/bookworm": ""})
    assert package.name_on(Distribution("ubuntu", "noble", "")) == "a"
    assert package.name_on(Distribution("debian", "trixie", "")) == "b"
    assert package.name_on(Distribution("debian", "bookworm", "")) == ""


def test_a_program_that_is_there_is_proof_enough(
    apt: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        Package("absent", "x", frozenset({"boot"}), ("some-program",)),
        Package("gone", "y", frozenset({"boot"}), ("/nonexistent/file",)),
        Package("other", "z", frozenset({"build"}), ()),
    )
    monkeypatch.setattr(packages, "HOST_PACKAGES", rows)
    apt.add("some-program")
    assert ensure_for("boot", quiet) == ["gone"]


def test_the_table_is_whole() -> None:
    names = [package.name for package in HOST_PACKAGES]
    assert len(names) == len(set(names))
    assert all(package.why and package.verbs for package in HOST_PACKAGES)
    assert {package.name for package in packages_for("boot")} >= {"qemu-system-x86", "swtpm"}
    with pytest.raises(HostError, match="'knit'"):
        packages_for("knit")
