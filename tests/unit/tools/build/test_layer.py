"""Layers: put on the tree below they give the tree itself, and the same bytes every time."""

from __future__ import annotations

import os
import socket
import tarfile
from pathlib import Path

import pytest

from tools.build.layer import write_layer

MTIME = 1767225600
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices or give away")


@pytest.fixture
def below(tmp_path: Path) -> Path:
    return _tree(tmp_path / "below")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return _tree(tmp_path / "tree")


def _tree(root: Path) -> Path:
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "kept").write_text("kept")
    (root / "etc" / "deep" / "file").write_text("deep")
    (root / "link").symlink_to("etc/kept")
    return root


def _layer(tree: Path, below: Path | None = None) -> dict[str, tarfile.TarInfo]:
    output = tree.parent / "layer.tar"
    write_layer(tree, below, output, mtime=MTIME)
    with tarfile.open(output) as layer:
        return {member.name: member for member in layer.getmembers()}


def test_the_lowest_layer_has_everything(tree: Path) -> None:
    members = _layer(tree)
    assert list(members) == ["etc", "etc/deep", "etc/deep/file", "etc/kept", "link"]
    assert members["link"].issym()
    assert members["link"].linkname == "etc/kept"
    assert {member.mtime for member in members.values()} == {MTIME}
    assert {(member.uname, member.gname) for member in members.values()} == {("", "")}


def test_a_tree_like_the_one_below_gives_an_empty_layer(tree: Path, below: Path) -> None:
    os.utime(tree / "etc" / "kept", (1, 1))
    assert _layer(tree, below) == {}


def test_only_what_changed_is_in_a_layer(tree: Path, below: Path) -> None:
    (tree / "etc" / "kept").write_text("tpek")
    (tree / "etc" / "new").write_text("new")
    (tree / "link").unlink()
    (tree / "link").symlink_to("etc/new")
    assert set(_layer(tree, below)) == {"etc/kept", "etc/new", "link"}


def test_what_is_gone_is_whited_out(tree: Path, below: Path) -> None:
    (tree / "link").unlink()
    (tree / "etc" / "deep" / "file").unlink()
    (tree / "etc" / "deep").rmdir()
    members = _layer(tree, below)
    assert set(members) == {".wh.link", "etc/.wh.deep"}
    assert all(member.isreg() and member.size == 0 for member in members.values())


def test_a_folder_may_become_a_file_and_a_file_a_folder(tree: Path, below: Path) -> None:
    (tree / "etc" / "deep" / "file").unlink()
    (tree / "etc" / "deep").rmdir()
    (tree / "etc" / "deep").write_text("now a file")
    (tree / "etc" / "kept").unlink()
    (tree / "etc" / "kept").mkdir()
    (tree / "etc" / "kept" / "inside").touch()
    members = _layer(tree, below)
    assert set(members) == {"etc/deep", "etc/kept", "etc/kept/inside"}
    assert members["etc/deep"].isreg()
    assert members["etc/kept"].isdir()


def test_a_link_to_a_folder_is_not_followed(tree: Path, below: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("etc")
    assert set(_layer(tree, below)) == {"link"}


def test_modes_count_and_setuid_is_kept(tree: Path, below: Path) -> None:
    (tree / "etc" / "kept").chmod(0o4755)
    (tree / "etc" / "deep").chmod(0o1777)
    members = _layer(tree, below)
    assert set(members) == {"etc/kept", "etc/deep"}
    assert members["etc/kept"].mode == 0o4755
    assert members["etc/deep"].mode == 0o1777


def test_hard_links_are_stored_once(tree: Path) -> None:
    (tree / "etc" / "again").hardlink_to(tree / "etc" / "kept")
    members = _layer(tree)
    assert members["etc/again"].isreg()
    assert members["etc/again"].size == 4
    assert members["etc/kept"].islnk()
    assert members["etc/kept"].linkname == "etc/again"
    with tarfile.open(tree.parent / "layer.tar") as layer:
        content = layer.extractfile("etc/kept")
        assert content is not None
        assert content.read() == b"kept"


def test_a_hard_link_to_what_is_below_is_a_file_of_its_own(tree: Path, below: Path) -> None:
    (tree / "etc" / "zz").hardlink_to(tree / "etc" / "kept")
    members = _layer(tree, below)
    assert set(members) == {"etc/zz"}
    assert members["etc/zz"].isreg()
    assert members["etc/zz"].size == 4


def test_sockets_are_left_out(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    assert "socket" not in _layer(tree)


def test_long_and_foreign_names_are_kept(tree: Path) -> None:
    long = "x" * 200
    (tree / long).touch()
    (tree / "größe").touch()
    raw = os.fsdecode(b"latin\xe9")
    (tree / raw).touch()
    assert {long, "größe", raw} <= set(_layer(tree))


@as_root
def test_owners_are_kept_as_numbers(tree: Path, below: Path) -> None:
    os.chown(tree / "etc" / "kept", 10001, 10002)
    members = _layer(tree, below)
    assert (members["etc/kept"].uid, members["etc/kept"].gid) == (10001, 10002)


@as_root
def test_devices_are_kept(tree: Path, below: Path) -> None:
    try:
        os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this machine lets nobody make devices")
    members = _layer(tree, below)
    assert members["null"].ischr()
    assert (members["null"].devmajor, members["null"].devminor) == (1, 3)


def test_file_capabilities_are_kept(tree: Path, below: Path) -> None:
    # cap_net_bind_service+ep, as the kernel stores it (VFS_CAP_REVISION_2, capability.h).
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    try:
        os.setxattr(tree / "etc" / "kept", "security.capability", capability)
    except OSError:
        pytest.skip("only root on a file system with extended attributes can set capabilities")
    members = _layer(tree, below)
    stored = members["etc/kept"].pax_headers["SCHILY.xattr.security.capability"]
    assert stored.encode("utf-8", "surrogateescape") == capability


def test_the_same_trees_give_the_same_bytes(tmp_path: Path) -> None:
    layers = []
    for name, order in (("one", ("a", "b", "c")), ("two", ("c", "b", "a"))):
        root = tmp_path / name
        root.mkdir()
        for file in order:
            (root / file).write_text(file)
        (root / "d").hardlink_to(root / "b")
        os.utime(root / "a", (len(name), 1))
        output = tmp_path / f"{name}.tar"
        write_layer(root, None, output, mtime=MTIME)
        layers.append(output.read_bytes())
    assert layers[0] == layers[1]
