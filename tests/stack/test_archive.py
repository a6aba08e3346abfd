"""The container archive: missing or damaged, it is told from one that is there and whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.base.errors import EngineError
from firstboot.base.release import Image, Release, reference
from tools.stack.lifecycle import StackUp


def _release_of_another_build(release: Release) -> Release:
    """One whose image no engine has."""
    digest = "sha256:" + "5" * 64
    image = Image(reference("redis", digest), manifest=digest, config=digest, bytes=1)
    return replace(release, images={"redis": image})


def test_what_is_there_is_not_loaded_again(stack: StackUp) -> None:
    assert stack.engine.load(Path("/nowhere"), stack.release, print).references == ()


def test_missing_archive(stack: StackUp, tmp_path: Path) -> None:
    archive = tmp_path / "containers.tar"
    with pytest.raises(EngineError, match=r"container archive .* is missing") as raised:
        stack.engine.load(archive, _release_of_another_build(stack.release), print)
    assert str(archive) in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 10240])
def test_damaged_archive(stack: StackUp, tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "containers.tar"
    archive.write_bytes(content)
    with pytest.raises(EngineError) as raised:
        stack.engine.load(archive, _release_of_another_build(stack.release), print)
    assert raised.value.hint
