"""How mkosi is started, and what is told and kept when it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.tools.build.conftest import FakeMkosi, options
from tools.build import mkosi
from tools.build.base import DEBIAN
from tools.build.errors import BuildError
from tools.build.mkosi import Workshop


@pytest.fixture
def output(tmp_path: Path) -> Path:
    output = tmp_path / "output"
    output.mkdir()
    return output


def test_mkosi_is_told_what_to_build_and_where(
    workshop: Workshop, fake: FakeMkosi, output: Path, cache: Path
) -> None:
    workshop.build("containers/base", output)
    (call,) = fake.calls()
    assert options(call, "--directory") == [f"{workshop.images}/containers/base"]
    assert options(call, "--distribution") == ["ubuntu"]
    assert options(call, "--release") == ["resolute"]
    assert options(call, "--output-directory") == [str(output)]
    # What it works with goes with the result when the build is interrupted.
    assert options(call, "--workspace-directory") == [str(output)]
    assert options(call, "--cache-directory") == [str(cache / "mkosi" / "ubuntu")]
    assert "--force" in call
    assert call[-1] == "build"
    for absent in ("--sandbox-tree", "--tools-tree", "--base-tree", "--extra-tree"):
        assert absent not in call


def test_mkosi_works_in_memory_where_there_is_plenty(
    workshop: Workshop,
    fake: FakeMkosi,
    output: Path,
    memory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mkosi, "room_in_memory", lambda: 8 << 30)
    workshop.build("containers/base", output)
    fake.behave("containers/redis", "fail")
    with pytest.raises(BuildError):
        workshop.build("containers/redis", output)
    for call in fake.calls():
        (workspace,) = options(call, "--workspace-directory")
        assert Path(workspace).parent == memory
    assert list(memory.iterdir()) == []


def test_trees_and_options_are_handed_on(
    workshop: Workshop, fake: FakeMkosi, output: Path, tmp_path: Path
) -> None:
    sources, tools, base, extra = (tmp_path / name for name in ("s", "t", "b", "e"))
    for tree in (base, extra):
        tree.mkdir()
    workshop = replace(workshop, base=DEBIAN, sources=sources, tools=tools)
    workshop.build("containers/redis", output, base_tree=base, extra=[extra], options=["--x", "y"])
    (call,) = fake.calls()
    assert options(call, "--release") == ["trixie"]
    assert options(call, "--sandbox-tree") == [str(sources)]
    assert options(call, "--tools-tree") == [str(tools)]
    assert options(call, "--base-tree") == [str(base)]
    assert options(call, "--extra-tree") == [str(extra)]
    assert call[-3:] == ["--x", "y", "build"]


def test_a_failure_shows_the_end_and_keeps_everything(
    workshop: Workshop, fake: FakeMkosi, output: Path
) -> None:
    workshop.build("containers/base", output)
    fake.behave("containers/redis", "fail")
    with pytest.raises(BuildError) as caught:
        workshop.build("containers/redis", output)
    message = caught.value.message
    assert "containers/redis (exit code 7)" in message
    assert message.endswith("E: Unable to locate package nonesuch")
    assert "line 39" in message
    assert "line 3\n" not in message
    assert str(workshop.log) in caught.value.hint
    log = workshop.log.read_text()
    assert "=== containers/base\nbuilt containers/base" in log
    assert "line 3\n" in log
