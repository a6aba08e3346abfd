"""Which distribution an image is built on, and what is said when its archive does not answer."""

from __future__ import annotations

import pytest

from tools.build import base
from tools.build.base import AUTO, DEBIAN, UBUNTU, Base, choose_base
from tools.host.errors import ArchiveError
from tools.host.mkosi import Mkosi

MKOSI = Mkosi(("mkosi",), "27.1", {}, None, "a fake")


class Archives:
    """Archives of which only some answer; remembers who was asked with which mirror."""

    def __init__(self, *reachable: Base) -> None:
        self.reachable = {base.distribution for base in reachable}
        self.asked: list[tuple[str, str | None]] = []
        self.lines: list[str] = []

    def answer(self, distribution: str, *, mkosi: Mkosi, mirror: str | None = None) -> bool:
        assert mkosi is MKOSI
        self.asked.append((distribution, mirror))
        return distribution in self.reachable

    def choose(self, monkeypatch: pytest.MonkeyPatch, name: str, mirror: str | None = None) -> Base:
        monkeypatch.setattr(base, "archive_reachable", self.answer)
        return choose_base(name, mkosi=MKOSI, mirror=mirror, report=self.lines.append)


@pytest.mark.parametrize("name", ["ubuntu", AUTO])
def test_ubuntu_is_used_where_it_answers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    archives = Archives(UBUNTU, DEBIAN)
    assert archives.choose(monkeypatch, name) is UBUNTU
    assert archives.lines == []


def test_an_unreachable_ubuntu_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    archives = Archives(DEBIAN)
    with pytest.raises(ArchiveError, match="ubuntu resolute cannot be reached") as caught:
        archives.choose(monkeypatch, "ubuntu")
    assert "--base debian" in caught.value.hint
    assert "--mirror" in caught.value.hint


def test_auto_falls_back_with_a_loud_line(monkeypatch: pytest.MonkeyPatch) -> None:
    archives = Archives(DEBIAN)
    assert archives.choose(monkeypatch, AUTO, "http://mirror.test/ubuntu") is DEBIAN
    assert [line.startswith("WARNING: THE UBUNTU ARCHIVE") for line in archives.lines] == [True]
    # A mirror of Ubuntu is none of Debian.
    assert archives.asked == [("ubuntu", "http://mirror.test/ubuntu"), ("debian", None)]


@pytest.mark.parametrize(("name", "other"), [(AUTO, "debian"), ("debian", "ubuntu")])
def test_without_any_archive_nothing_is_chosen(
    monkeypatch: pytest.MonkeyPatch, name: str, other: str
) -> None:
    archives = Archives()
    with pytest.raises(ArchiveError) as caught:
        archives.choose(monkeypatch, name)
    assert f"--base {other}" in caught.value.hint
    assert archives.lines == []
