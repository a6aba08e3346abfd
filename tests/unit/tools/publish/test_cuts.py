"""Power goes at any instant: readers see whole releases, and the next run finishes or begins anew.

At each instant at which a name changes, the directory is copied as a cut would leave it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.publish.conftest import Keys, Site
from tools.host.cache import remove
from tools.publish import folder as published_folder

Heads = tuple[str | None, str | None]


def heads(site: Site) -> Heads:
    return site.head("stable"), site.head("candidate")


@contextmanager
def snapshots(site: Site, copies: Path) -> Iterator[list[Path]]:
    """Copies of the site before and after each change of a name, without what is as before."""
    found: list[Path] = []
    states: list[object] = []

    def take() -> None:
        # How far something is that has no name yet makes no difference.
        files = {name: data for name, data in site.state.items() if not name.startswith(".")}
        state = (sorted(path.name for path in site.folder.iterdir()), files)
        if state not in states:
            states.append(state)
            found.append(copies / str(len(found)))
            shutil.copytree(site.folder, found[-1])

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            take()
            result = function(*arguments, **options)
            take()
            return result

        return watched

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "touch", "mkdir"):
            patch.setattr(Path, name, around(getattr(Path, name)))
        patch.setattr("tools.publish.folder.remove", around(remove))
        yield found


ACTIONS: list[tuple[str, Callable[[Site], object], Heads]] = [
    ("candidate", lambda site: site.publish("1.2.0", keep=2), ("1.0.0", "1.2.0")),
    ("stable", lambda site: site.publish("1.2.0", "stable", keep=2), ("1.2.0", "1.2.0")),
    ("promote", lambda site: site.promote("1.1.0", keep=2), ("1.1.0", "1.1.0")),
]


@pytest.mark.parametrize(("name", "action", "after"), ACTIONS, ids=[row[0] for row in ACTIONS])
def test_a_cut_at_any_instant(
    site: Site, tmp_path: Path, *, name: str, action: Callable[[Site], object], after: Heads
) -> None:
    site.publish("0.9.0", "stable", minimum_version="0.9.0")
    site.publish("1.0.0", "stable", minimum_version="1.0.0")
    site.publish("1.1.0", minimum_version="1.0.0")
    before = heads(site)
    with snapshots(site, tmp_path / "copies") as copies:
        action(site)
    assert heads(site) == after
    expected = site.versions
    assert len(copies) >= (8 if name != "promote" else 4)
    for copy in copies:
        cut = Site(copy, site.slots, site.keys)
        stable, candidate = heads(cut)
        assert stable in {before[0], after[0]}
        assert candidate in {before[1], after[1]}
        cut.versions  # noqa: B018 - looks whether each is whole
        done = (stable, candidate) == after or stable == after[0] != before[0]
        if done and name != "promote":
            # Only the tidying up is left, which any next run does.
            published_folder.mend(copy)
            published_folder.prune(published_folder.read_published(copy), 2)
        else:
            action(cut)
        assert heads(cut) == after
        assert cut.versions == expected
        assert [path for path in cut.state if path.startswith(".") or "/." in path] == []


def test_leftovers_go_and_what_is_not_ours_stays(site: Site) -> None:
    site.publish("1.0.0")
    for name in (".1.1.0.new", ".1.1.0.work", ".0.9.0.old"):
        (site.folder / name).mkdir()
        (site.folder / name / "root.zst").write_text("half")
    (site.folder / ".candidate.json.new").write_text("half")
    (site.folder / "1.0.0/.release.json.new").write_text("half")
    for name in (".htaccess", "index.html"):
        (site.folder / name).write_text("somebody's")
    published_folder.mend(site.folder)
    files = {name for name in site.state if not name.startswith("1.0.0/")}
    assert files == {".htaccess", "candidate.json", "index.html"}
    assert "1.0.0/.release.json.new" not in site.state
    assert site.versions == ["1.0.0"]


def test_a_lost_channel_file_takes_no_release_with_it(site: Site) -> None:
    site.publish("1.0.0")
    (site.folder / "candidate.json").unlink()
    site.publish("1.1.0")
    assert site.versions == ["1.0.0", "1.1.0"]


def test_an_interrupted_run_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("1.0.0")
    before = site.state

    def interrupt(_text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keys, "sign", lambda *_: interrupt(""))
    with pytest.raises(KeyboardInterrupt):
        site.publish("1.1.0")
    assert site.state == before
    assert site.versions == ["1.0.0"]
