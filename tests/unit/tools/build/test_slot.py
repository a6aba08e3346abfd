"""The pieces of a slot are found again, and a folder without them is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.manifest import ROLES
from tools.build.errors import BuildError
from tools.build.slot import FILE, Slot, SlotPart, read_slot, write_slot

UUID = "00000000-0000-0000-0000-000000000001"


def _slot(folder: Path) -> Slot:
    parts = {
        role: SlotPart(folder / f"mailstead_1.2.3.{role}", None if role == "uki" else UUID)
        for role in ROLES
    }
    return Slot("1.2.3", "ab" * 32, parts)


def test_a_slot_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_slot(tmp_path, _slot(tmp_path))
    assert read_slot(tmp_path) == _slot(tmp_path)


def test_a_slot_may_be_moved_with_its_folder(tmp_path: Path) -> None:
    """A build's result is filled under another name."""
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    write_slot(before, _slot(before))
    before.rename(after)
    assert read_slot(after) == _slot(after)


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_piece_is_told(tmp_path: Path, role: str) -> None:
    _change(tmp_path, lambda data: data["parts"].pop(role))
    with pytest.raises(BuildError, match=f"no build that can be published.*{role}") as caught:
        read_slot(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("version"),
        lambda data: data.pop("root_hash"),
        lambda data: data.update(parts=["root"]),
        lambda data: data["parts"].update(root="mailstead_1.2.3.root"),
        lambda data: data["parts"]["root"].update(file=7),
        lambda data: data["parts"]["root"].pop("uuid"),
    ],
)
def test_a_description_that_is_wrong_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    _change(tmp_path, change)
    with pytest.raises(BuildError, match="no build that can be published"):
        read_slot(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_description_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BuildError, match="no build that can be published"):
        read_slot(tmp_path)


def test_a_folder_without_a_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=f"{tmp_path} holds no build"):
        read_slot(tmp_path)


def _change(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    write_slot(folder, _slot(folder))
    data = json.loads((folder / FILE).read_text())
    change(data)
    (folder / FILE).write_text(json.dumps(data))
