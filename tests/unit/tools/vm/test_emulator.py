"""Which QEMU is taken: the newest of the tools trees, or the host's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firstboot.base.run import run
from tools.vm.emulator import HOST, find_emulator


def make_tree(trees: Path, name: str, built: int) -> Path:
    """A tools tree whose QEMU prints its arguments and where it looks for modules."""
    tree = trees / "ubuntu" / f"tools-tree-{name}" / "tools"
    for folder in ("usr/bin", "lib64", "usr/share/qemu"):
        (tree / folder).mkdir(parents=True)
    program = tree / "usr/bin/qemu-system-x86_64"
    program.write_text('#!/bin/sh\necho "$QEMU_MODULE_DIR" "$@"\n')
    os.utime(program, (built, built))
    # In the place of a loader: what takes the path of libraries and starts the program.
    loader = tree / "lib64/ld-linux-x86-64.so.2"
    loader.write_text('#!/bin/sh\n[ "$1" = --library-path ] && shift 2\nexec sh "$@"\n')
    loader.chmod(0o755)
    return tree


def test_the_newest_tree_counts_and_is_told_where_its_parts_are(tmp_path: Path) -> None:
    make_tree(tmp_path, "1111", built=100)
    newest = make_tree(tmp_path, "2222", built=200)
    found = find_emulator(tmp_path)
    assert "+sha-ni" in found.processor.split(",")
    modules, *arguments = run([*found.command, "-m", "256"]).stdout.split()
    assert modules == str(newest / "usr/lib/x86_64-linux-gnu/qemu")
    assert arguments[:2] == ["-L", str(newest / "usr/share/qemu")]
    assert arguments[-2:] == ["-m", "256"]


def test_without_a_tree_it_is_the_hosts(tmp_path: Path) -> None:
    make_tree(tmp_path, "1111", built=100)
    shutil.rmtree(tmp_path / "ubuntu/tools-tree-1111/tools/usr")
    assert find_emulator(tmp_path) == HOST
    assert "+sha-ni" not in HOST.processor
