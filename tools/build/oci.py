"""Puts layers together into one archive of container images that every Docker can load.

The archive is an OCI image layout (index.json, blobs/) with a manifest.json beside it, which is
what Docker before 25 reads. Layers are shared between images and are not compressed: the file
system that carries the archive compresses, and digests of layers and of their contents agree.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.release import Image, reference

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Layer:
    """A layer's tar file, its digest (`sha256:` and 64 digits) and its size in bytes."""

    path: Path
    digest: str
    size: int

    @classmethod
    def read(cls, path: Path) -> Layer:
        """Measure the layer in a file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path, f"sha256:{digest}", path.stat().st_size)


def write_archive(
    output: Path, images: Mapping[str, Sequence[Layer]], *, created: str, mtime: int
) -> dict[str, Image]:
    """Write the images (name → layers from the bottom up) and return what the release says of them.

    `created` is RFC 3339 and `mtime` seconds since 1970; the same input gives the same bytes.
    """
    blobs: dict[str, Layer | bytes] = {}
    index: list[dict[str, Any]] = []
    docker: list[dict[str, Any]] = []
    release: dict[str, Image] = {}
    for name, layers in sorted(images.items()):
        config = _blob(blobs, _config(layers, created))
        manifest_bytes = _manifest(config, layers)
        manifest = _blob(blobs, manifest_bytes)
        tag = reference(name, manifest["digest"])
        blobs.update({layer.digest: layer for layer in layers})
        index.append(_index_entry(manifest, tag))
        docker.append(_docker_entry(config, layers, tag))
        release[name] = Image(
            reference=tag,
            manifest=manifest["digest"],
            config=config["digest"],
            bytes=sum(layer.size for layer in layers),
        )
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), mtime)
        _add(archive, "index.json", _json({"schemaVersion": 2, "manifests": index}), mtime)
        _add(archive, "manifest.json", _json(docker), mtime)
        for digest, content in sorted(blobs.items()):
            _add(archive, _blob_path(digest), content, mtime)
    return release


def _config(layers: Sequence[Layer], created: str) -> bytes:
    return _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Env": [f"PATH={_PATH}"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created": created, "created_by": "mkosi"} for _ in layers],
        }
    )


def _manifest(config: dict[str, Any], layers: Sequence[Layer]) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **config},
            "layers": [
                {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size}
                for layer in layers
            ],
        }
    )


def _index_entry(manifest: dict[str, Any], tag: str) -> dict[str, Any]:
    annotations = {
        # The first is containerd's name for what is loaded, the second the OCI layout's own.
        "io.containerd.image.name": f"docker.io/{tag}",
        "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
    }
    return {"mediaType": _MANIFEST, **manifest, "annotations": annotations}


def _docker_entry(config: dict[str, Any], layers: Sequence[Layer], tag: str) -> dict[str, Any]:
    return {
        "Config": _blob_path(config["digest"]),
        "RepoTags": [tag],
        "Layers": [_blob_path(layer.digest) for layer in layers],
    }


def _blob(blobs: dict[str, Layer | bytes], content: bytes) -> dict[str, Any]:
    """Note a blob and return its descriptor (without the media type)."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blobs[digest] = content
    return {"digest": digest, "size": len(content)}


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(archive: tarfile.TarFile, name: str, content: Layer | bytes, mtime: int) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = mtime
    if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    else:
        info.size = content.size
        with content.path.open("rb") as file:
            archive.addfile(info, file)
