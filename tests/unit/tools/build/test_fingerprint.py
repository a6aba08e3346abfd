"""Fingerprints change with everything that ends up in an image, and with nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.build.fingerprint import fingerprint, walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "file").write_text("content")
    (tree / "link").symlink_to("folder/file")
    (tree / "program").write_text("#!/bin/sh\n")
    return tree


def test_a_copy_has_the_fingerprint_of_the_original(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    os.utime(copy / "program", (1, 1))
    assert fingerprint(copy) == fingerprint(tree)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "folder" / "file").write_text("other"),
        lambda tree: (tree / "folder" / "file").rename(tree / "folder" / "renamed"),
        lambda tree: (tree / "program").chmod(0o755),
        lambda tree: (tree / "empty").mkdir(),
        lambda tree: (tree / "link").unlink(),
        lambda tree: (tree / "link").rename(tree / "link2"),
        lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to("program")),
        lambda tree: ((tree / "link").unlink(), (tree / "link").write_text("folder/file")),
        lambda tree: shutil.move(tree / "program", tree / "folder"),
    ],
)
def test_every_change_to_a_tree_counts(tree: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(tree)
    change(tree)
    assert fingerprint(tree) != before


def test_what_python_leaves_beside_its_sources_does_not_count(tree: Path) -> None:
    before = fingerprint(tree)
    (tree / "folder" / "__pycache__").mkdir()
    (tree / "folder" / "__pycache__" / "file.pyc").touch()
    assert fingerprint(tree) == before
    assert "__pycache__" not in {path.name for path in walk(tree)}


def test_inputs_do_not_run_together(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")
    marks = {
        fingerprint("ab", "c"),
        fingerprint("a", "bc"),
        fingerprint("abc"),
        fingerprint(a, b),
        fingerprint(b, a),
        fingerprint("one", "two"),
    }
    assert len(marks) == 6


def test_the_name_of_an_input_counts(tree: Path) -> None:
    before = fingerprint(tree / "folder", tree / "program")
    (tree / "program").rename(tree / "renamed")
    assert fingerprint(tree / "folder", tree / "renamed") != before
