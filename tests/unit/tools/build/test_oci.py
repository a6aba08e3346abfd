"""The archive: an OCI image layout that older Dockers can read, too, with honest digests."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.release import Image
from tools.build.oci import Layer, write_archive

CREATED = "2026-01-01T00:00:00Z"
MTIME = 1767225600


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, list[Layer]]:
    found = []
    for name in ("base", "redis", "mta"):
        path = tmp_path / f"{name}.tar"
        path.write_bytes(name.encode() * 1000)
        found.append(Layer.read(path))
    base, redis, mta = found
    return {"redis": [base, redis], "mta": [base, mta]}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "containers.tar"


def _write(archive: Path, layers: dict[str, list[Layer]]) -> dict[str, Image]:
    return write_archive(archive, layers, created=CREATED, mtime=MTIME)


def _members(archive: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            assert member.mtime == MTIME
            assert (member.uid, member.gid) == (0, 0)
            found[member.name] = content.read()
    return found


def _blob(members: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """What a descriptor points to, of the size that it says (OCI, "Content Descriptors")."""
    content = members["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(content) == descriptor["size"]
    return content


def test_every_blob_has_the_name_of_its_digest(
    archive: Path, layers: dict[str, list[Layer]]
) -> None:
    _write(archive, layers)
    members = _members(archive)
    blobs = {name: content for name, content in members.items() if name.startswith("blobs/")}
    # Two manifests, two configurations, three layers of which one is shared.
    assert len(blobs) == 7
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_it_is_an_oci_image_layout(archive: Path, layers: dict[str, list[Layer]]) -> None:
    release = _write(archive, layers)
    members = _members(archive)
    assert json.loads(members["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(members["index.json"])
    assert index["schemaVersion"] == 2
    for name, entry in zip(sorted(layers), index["manifests"], strict=True):
        assert entry["digest"] == release[name].manifest
        tag = release[name].reference
        assert entry["annotations"]["io.containerd.image.name"].endswith(f"/{tag}")
        assert tag.endswith(":" + entry["annotations"]["org.opencontainers.image.ref.name"])
        manifest = json.loads(_blob(members, entry))
        assert manifest["mediaType"] == entry["mediaType"]
        assert manifest["config"]["digest"] == release[name].config
        config = json.loads(_blob(members, manifest["config"]))
        digests = [layer.digest for layer in layers[name]]
        assert [layer["digest"] for layer in manifest["layers"]] == digests
        # Nothing is compressed, so that the digest of a layer is that of its content.
        assert config["rootfs"] == {"type": "layers", "diff_ids": digests}
        assert len(config["history"]) == len(digests)
        assert (config["os"], config["architecture"]) == ("linux", "amd64")
        assert all(_blob(members, layer) for layer in manifest["layers"])


def test_docker_before_25_finds_its_manifest(archive: Path, layers: dict[str, list[Layer]]) -> None:
    release = _write(archive, layers)
    members = _members(archive)
    entries = {entry["RepoTags"][0]: entry for entry in json.loads(members["manifest.json"])}
    assert set(entries) == {image.reference for image in release.values()}
    for name, image in release.items():
        entry = entries[image.reference]
        assert hashlib.sha256(members[entry["Config"]]).hexdigest() == image.config[7:]
        contents = [members[layer] for layer in entry["Layers"]]
        assert contents == [layer.path.read_bytes() for layer in layers[name]]


def test_the_release_says_what_is_in_the_archive(
    archive: Path, layers: dict[str, list[Layer]]
) -> None:
    release = _write(archive, layers)
    for name, image in release.items():
        assert image.reference == f"mailstead/{name}:{image.manifest[7:19]}"
        assert image.bytes == sum(layer.size for layer in layers[name])


def test_the_same_input_gives_the_same_bytes(
    archive: Path, layers: dict[str, list[Layer]], tmp_path: Path
) -> None:
    _write(archive, layers)
    again = tmp_path / "again.tar"
    _write(again, dict(reversed(layers.items())))
    assert again.read_bytes() == archive.read_bytes()


def test_another_layer_gives_another_image(archive: Path, layers: dict[str, list[Layer]]) -> None:
    before = _write(archive, layers)
    after = _write(archive, {**layers, "redis": layers["mta"]})
    assert after["redis"].ids.isdisjoint(before["redis"].ids)
    assert after["mta"] == before["mta"]
