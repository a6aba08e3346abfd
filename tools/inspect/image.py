"""`inspect_image`: everything that can be told about an image from the image alone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from firstboot.base.release import Release
from tools.host.cache import readable
from tools.host.report import Say
from tools.inspect.errors import InspectError
from tools.inspect.partitions import ESP, ROOT, ROOT_VERITY, Partition, find, read_partitions
from tools.inspect.programs import Programs, find_programs
from tools.inspect.root import Root
from tools.inspect.uki import Uki, read_uki
from tools.inspect.unpack import is_compressed, unpacked
from tools.inspect.verity import find_damage

# images/testing installs it: whoever runs the machine's hypervisor is root through it.
TESTING_PACKAGE = "qemu-guest-agent"


@dataclass(frozen=True)
class Inspection:
    """What an image is. Sizes are in bytes.

    `compressed_bytes` is None where there is no .zst; `damage` says what is wrong with the root
    partition, "" that nothing is, None that nobody looked.
    """

    path: Path
    bytes: int
    compressed_bytes: int | None
    distribution: str
    partitions: tuple[Partition, ...]
    uki: Uki
    release: Release
    packages: Mapping[str, str]
    damage: str | None

    @property
    def testing(self) -> bool:
        """Whether the image has the way in that tests use."""
        return TESTING_PACKAGE in self.packages

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "compressed_bytes": self.compressed_bytes,
            "version": self.release.version,
            "base": self.release.base,
            "distribution": self.distribution,
            "commit": self.release.commit,
            "built": self.release.built,
            "testing": self.testing,
            "keys": self.release.keys,
            "root_hash": self.uki.root_hash,
            "verified": None if self.damage is None else not self.damage,
            "damage": self.damage or None,
            "partitions": [asdict(partition) for partition in self.partitions],
            "uki": asdict(self.uki),
            "packages": dict(self.packages),
            "containers": {name: asdict(image) for name, image in self.release.images.items()},
        }


def inspect_image(path: Path, *, verify: bool, report: Say) -> Inspection:
    """Look into a raw image, or one that zstd has compressed.

    With `verify` the root partition is read as a whole and checked against its root hash. Raises
    InspectError when it is not an image of ours, SpaceError without room to unpack it.
    """
    if not path.is_file() and not path.is_block_device():
        what = "is not a file" if path.exists() else "does not exist"
        raise InspectError(f"{path} {what}", "Name an image that `tools/forge build` made.")
    programs = find_programs()
    if not is_compressed(path):
        compressed = path.with_name(f"{path.name}.zst")
        found = _inspect(path, path, programs, verify=verify, report=report)
        return replace(found, compressed_bytes=_file_size(compressed))
    with unpacked(path, programs, report) as raw:
        found = _inspect(path, raw, programs, verify=verify, report=report)
        return replace(found, compressed_bytes=_file_size(path))


def _inspect(path: Path, raw: Path, programs: Programs, *, verify: bool, report: Say) -> Inspection:
    """Look into the image `raw`, which people know as `path`."""
    partitions = read_partitions(raw)
    with tempfile.TemporaryDirectory(prefix="mailstead-inspect-") as folder:
        scratch = Path(folder)
        uki = _copy_uki(raw, find(partitions, ESP, path), programs, scratch)
        data = _pair(partitions, ROOT, uki.root_hash[:32], path)
        hashes = _pair(partitions, ROOT_VERITY, uki.root_hash[32:], path)
        damage = None
        if verify:
            report(f"Checking {readable(data.bytes)} against the root hash …")
            damage = find_damage(raw, data, hashes, uki.root_hash)
        root = Root(programs, raw, data)
        system = root.os_release()
        release = root.release(scratch)
    _agree(path, system.get("IMAGE_VERSION", ""), release)
    return Inspection(
        path=path,
        bytes=_size(raw),
        compressed_bytes=None,
        distribution=system.get("PRETTY_NAME", release.base),
        partitions=partitions,
        uki=uki,
        release=release,
        packages=root.packages(),
        damage=damage,
    )


def _size(path: Path) -> int:
    """The size of a file or of a disk."""
    with path.open("rb") as file:
        return file.seek(0, 2)


def _file_size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _agree(path: Path, version: str, release: Release) -> None:
    """os-release decides about upgrades, release.json about containers: they may not disagree."""
    if version != release.version:
        raise InspectError(
            f"{path} contradicts itself: os-release has IMAGE_VERSION {version or 'nowhere'}, "
            f"release.json has version {release.version}",
            "Build the image anew.",
        )


def _copy_uki(raw: Path, esp: Partition, programs: Programs, scratch: Path) -> Uki:
    """The one UKI on the ESP."""
    done = programs.run(
        "mcopy",
        *("-n", "-i", f"{raw}@@{esp.start}", "::/EFI/Linux/*.efi", scratch),
        # mtools' own check refuses partitions whose geometry it does not like.
        env={"MTOOLS_SKIP_CHECK": "1"},
    )
    found = sorted(scratch.glob("*.efi"))
    if done.returncode != 0 or len(found) != 1:
        names = ", ".join(path.name for path in found) or done.stderr.strip() or "none"
        raise InspectError(
            f"the ESP must have one UKI in EFI/Linux, and has: {names}",
            "Only images as they were built can be inspected, not the disk of a running machine.",
        )
    return read_uki(found[0])


def _pair(partitions: tuple[Partition, ...], kind: str, half: str, image: Path) -> Partition:
    """The partition that belongs to the UKI.

    Half of the root hash is the UUID of the root partition, the other half that of its hash tree
    (Discoverable Partitions Specification, "Partition Names").
    """
    for partition in partitions:
        if partition.type == kind and partition.uuid.replace("-", "") == half:
            return partition
    raise InspectError(
        f"{image} has no {kind} partition that belongs to the root hash in its UKI: none has the "
        f"UUID {half or '(no root hash)'}",
        "UKI and partition are from different builds: build the image anew.",
    )
