"""What tests/interop needs of Python packages is installed once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.errors import CommandError
from tools.host import judges
from tools.host.errors import ArchiveError

Installed = list[list[str]]


@pytest.fixture
def installed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """The calls of pip, which installs nothing."""
    cache.mkdir(parents=True)
    calls: Installed = []
    monkeypatch.setattr(judges, "run", lambda argv, **_: calls.append([str(part) for part in argv]))
    return calls


def test_it_is_installed_once_by_hashes(installed: Installed) -> None:
    judges.ensure_judges(lambda _line: None)
    judges.ensure_judges(lambda _line: None)
    [call] = installed
    assert "--require-hashes" in call
    assert call[-2:] == ["--requirement", str(judges.REQUIREMENTS)]
    assert judges.judges_folder().is_dir()


def test_another_lock_file_is_another_folder(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges.ensure_judges(lambda _line: None)
    (tmp_path / "lock").write_text("caldav==1")
    monkeypatch.setattr(judges, "REQUIREMENTS", tmp_path / "lock")
    judges.ensure_judges(lambda _line: None)
    assert len(installed) == 2


def test_a_failure_leaves_nothing(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_argv: list[str], **_: object) -> None:
        raise CommandError("DO NOT MATCH THE HASHES")

    with monkeypatch.context() as broken:
        broken.setattr(judges, "run", fail)
        with pytest.raises(ArchiveError, match="interop"):
            judges.ensure_judges(lambda _line: None)
    assert not judges.judges_folder().exists()
    judges.ensure_judges(lambda _line: None)
    assert len(installed) == 1
