"""The release manifest, release.json: which build this is, and its container images by digest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import ReleaseError
from firstboot.base.files import write_atomic

FORMAT = 1
REPOSITORY = "mailstead"

_TEXTS = ("version", "base", "commit", "built", "keys")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Image:
    """A container image. `reference` is its tag in Docker, `bytes` its compressed size.

    Docker's classic store knows it by `config`, its containerd store by `manifest`; both are
    `sha256:` and 64 hexadecimal digits (OCI image specification, "Descriptors").
    """

    reference: str
    manifest: str
    config: str
    bytes: int

    @property
    def ids(self) -> frozenset[str]:
        """The ids under which an engine may show this very image."""
        return frozenset({self.manifest, self.config})


@dataclass(frozen=True)
class Release:
    """`built` is the time of the build (RFC 3339, UTC), `base` the distribution below.

    `keys` says what kind of keys signed it: `release`, or `test` for those that a checkout makes.
    """

    version: str
    base: str
    commit: str
    built: str
    keys: str
    images: Mapping[str, Image]

    def image(self, name: str) -> Image:
        """The image called `name`; ReleaseError when the release has none."""
        try:
            return self.images[name]
        except KeyError:
            known = ", ".join(self.images) or "none"
            raise ReleaseError(f"the release has no image {name!r} (it has: {known})") from None


def reference(name: str, manifest: str) -> str:
    """The tag of an image in Docker: made of its name and the start of its manifest digest."""
    return f"{REPOSITORY}/{name}:{manifest.removeprefix('sha256:')[:12]}"


def read_release(path: Path) -> Release:
    """Read release.json; raises ReleaseError when it is missing, damaged, or of another format.

    Unknown keys are ignored: a later version may add some without changing the format.
    """
    hint = "The image that this system was made from is damaged: build it anew."
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReleaseError(f"release manifest {path}: {error.strerror}", hint) from None
    except ValueError as error:
        raise ReleaseError(f"release manifest {path} is not JSON: {error}", hint) from None
    try:
        if data["format"] != FORMAT:
            raise ReleaseError(
                f"release manifest {path} has format {data['format']}, expected {FORMAT}"
            )
        texts = {key: _text(data[key]) for key in _TEXTS}
        images = {_text(name): _image(name, found) for name, found in data["images"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ReleaseError(f"release manifest {path} is damaged: {error!r}", hint) from None
    return Release(images=images, **texts)


def write_release(path: Path, release: Release) -> None:
    """Write release.json atomically; the same release always gives the same bytes."""
    data = {"format": FORMAT, **asdict(release)}
    write_atomic(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def _image(name: str, data: Any) -> Image:
    image = Image(
        reference=_text(data["reference"]),
        manifest=_text(data["manifest"]),
        config=_text(data["config"]),
        bytes=data["bytes"],
    )
    for digest in (image.manifest, image.config):
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest")
    if image.reference != reference(name, image.manifest):
        raise ValueError(f"{image.reference!r} does not match its digest {image.manifest}")
    if type(image.bytes) is not int or image.bytes < 0:
        raise ValueError(f"{image.bytes!r} is not a size")
    return image


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
