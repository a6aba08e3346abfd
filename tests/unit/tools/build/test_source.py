"""What a checkout says of itself: commit, changes, and the time that builds go by."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.base.run import run
from tools.build.source import SHIPPED, Source, read_source, rfc3339

DATE = "2026-03-01T12:00:00Z"
SECONDS = 1772366400
CONTENT = 1700000000


@pytest.fixture(autouse=True)
def git_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a person's configuration of git, nor a repository whose hook runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
        monkeypatch.setenv(f"GIT_{who}_DATE", DATE)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A checkout without history."""
    checkout = tmp_path / "checkout"
    (checkout / "firstboot").mkdir(parents=True)
    (checkout / "firstboot" / "cli.py").write_text("")
    (checkout / "mkosi.conf").write_text(f"[Content]\nSourceDateEpoch={CONTENT}\n")
    (checkout / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    return checkout


def _git(checkout: Path, *arguments: str) -> str:
    return run(["git", "-C", checkout, *arguments]).stdout.strip()


def _commit(checkout: Path) -> str:
    _git(checkout, "add", "--all")
    _git(checkout, "commit", "--quiet", "--message", "x")
    return _git(checkout, "rev-parse", "HEAD")


@pytest.fixture
def repository(plain: Path) -> Path:
    _git(plain, "init", "--quiet")
    _commit(plain)
    return plain


def test_a_repository_tells_commit_and_time(repository: Path) -> None:
    source = read_source(repository)
    assert source == Source("1.2.3", _git(repository, "rev-parse", "HEAD"), SECONDS, CONTENT)
    assert rfc3339(source.time) == DATE


def test_changes_to_what_is_shipped_are_told(repository: Path) -> None:
    (repository / "firstboot" / "new.py").touch()
    assert read_source(repository).commit.endswith("+changes")


def test_what_is_not_shipped_makes_no_other_image(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_source(repository)
    (repository / "README.md").write_text("new")
    assert read_source(repository) == before
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-04-01T12:00:00Z")
    assert _commit(repository) != before.commit
    assert read_source(repository) == before


def test_without_history_the_commit_is_unknown(plain: Path) -> None:
    assert read_source(plain).commit == "unknown"
    assert read_source(plain).time == CONTENT


def test_without_git_the_commit_is_unknown(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_source(plain).commit == "unknown"


def test_everything_that_goes_into_an_image_is_listed_as_shipped() -> None:
    checkout = Path(__file__).parents[4]
    assert all((checkout / name).exists() for name in SHIPPED)
