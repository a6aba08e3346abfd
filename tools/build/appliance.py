"""Builds the appliance: tools tree, containers, and the disk image that carries both our parts."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

from firstboot.base.manifest import MAX_VERSION, Role, dump_keys
from firstboot.base.release import Release, write_release
from tools.build.containers import ContainerBuild, Containers, copy_python
from tools.build.errors import BuildError
from tools.build.fingerprint import fingerprint, walk
from tools.build.mkosi import Workshop
from tools.build.slot import Slot, SlotPart, write_slot
from tools.build.source import CHECKOUT, Source, rfc3339
from tools.build.steps import Steps
from tools.host.cache import remove
from tools.inspect.partitions import read_partitions
from tools.inspect.uki import read_uki
from tools.keys.enrolment import enrolment_files
from tools.keys.keyset import SigningKeys

_IMAGES = CHECKOUT / "images"
_FIRSTBOOT = CHECKOUT / "firstboot"
_COMPOSE = CHECKOUT / "compose"
# How the image is made is an input of it, too.
_CODE = CHECKOUT / "tools/build"
_ENROLMENT = CHECKOUT / "tools/keys/enrolment.py"
_LIBRARIES = "usr/lib/python3/dist-packages"
# Code of its own container, which the OS slot only carries inside the archive.
_NOT_TEMPLATES = "postmaster"


@dataclass(frozen=True)
class Parts:
    """What an image is made with and of: tools tree, containers, and the release they are.

    `inputs` is the fingerprint of the tools tree and of what every image has in common.
    """

    tools: Path
    containers: Containers
    release: Release
    inputs: str


@dataclass(frozen=True)
class Variant:
    """What one image has that others of the same checkout have not.

    `testing`: a way in for tests. `extra`: trees laid over it, and `options` for mkosi, with which
    tests make releases that do not work.
    """

    testing: bool = False
    extra: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the build step; a few results are kept by each name."""
        changed = "changed " if self.extra or self.options else ""
        return f"{changed}testing image" if self.testing else f"{changed}image"


@dataclass(frozen=True)
class ApplianceBuild:
    """One build; `inputs` is the fingerprint of what every image has in common."""

    steps: Steps
    workshop: Workshop
    source: Source
    keys: SigningKeys
    inputs: str

    def run(self, parts: Parts, variant: Variant) -> Path:
        """The directory with the image that carries `parts`; built if what goes in has changed."""
        early = self._early(parts)
        own = (_IMAGES / "appliance", _IMAGES / "shared", _FIRSTBOOT, _ENROLMENT)
        inputs: list[str | Path] = [early.parent.name, *own, *_templates(), *variant.extra]
        if variant.testing:
            inputs.append(_IMAGES / "testing")
        if self._needs_zxcvbn:
            inputs.append(_zxcvbn())
        source = f"{self.source.version} {self.source.commit} {self.source.time}"
        mark = fingerprint(
            parts.inputs,
            parts.containers.inputs,
            source,
            self.keys.fingerprint,
            json.dumps(variant.options),
            *inputs,
        )
        return self.steps.run(variant.name, mark, partial(self._make, parts, variant, early))

    @property
    def _needs_zxcvbn(self) -> bool:
        """Debian 13 has no package of it."""
        return self.workshop.base.distribution == "debian"

    def parts(self) -> Parts:
        """The tools tree and the containers; built if what goes into them has changed."""
        mark = fingerprint(self.inputs, _IMAGES / "tools")
        tools = self.steps.run("tools tree", mark, partial(self.workshop.build, "tools")) / "tools"
        workshop = replace(self.workshop, tools=tools)
        containers = ContainerBuild(self.steps, workshop, self.source.content_time, mark).run()
        release = Release(
            version=self.source.version,
            base=workshop.base.distribution,
            commit=self.source.commit,
            built=rfc3339(self.source.time),
            keys=self.keys.kind,
            images=containers.images,
        )
        return Parts(tools, containers, release, fingerprint(mark, _CODE))

    def other(self, folder: Path) -> Path:
        """The output of the mkosi configuration in `folder`, which carries nothing of ours."""
        parts = self.parts()
        workshop = replace(self.workshop, tools=parts.tools)
        mark = fingerprint(parts.inputs, _IMAGES / "appliance/mkosi.conf.d", folder)
        return self.steps.run(f"{folder.name} image", mark, partial(workshop.build, folder))

    def _early(self, parts: Parts) -> Path:
        """The early stage, which carries the certificate that a root has to be signed for."""
        certificate = self.keys.verity_certificate
        inputs = (_IMAGES / "early", _IMAGES / "shared")
        mark = fingerprint(parts.inputs, certificate.read_text(), *inputs)
        workshop = replace(self.workshop, tools=parts.tools)
        options = ("--verity-certificate", certificate)
        make = partial(workshop.build, "early", options=options)
        return self.steps.run("early stage", mark, make) / "early.cpio.zst"

    def _make(self, parts: Parts, variant: Variant, early: Path, result: Path) -> None:
        release, keys = parts.release, self.keys
        if len(release.version) > MAX_VERSION:
            raise BuildError(f"the version {release.version} does not fit into a partition's label")
        write_release(result / "release.json", release)
        extra = result / "extra"
        _stage(extra, parts.containers.archive, result / "release.json", keys)
        if self._needs_zxcvbn:
            copy_python(_zxcvbn(), extra / _LIBRARIES / "zxcvbn")
        options: list[str | Path] = [
            *("--image-version", release.version),
            *("--initrd", early),
            *("--secure-boot-key", keys.secure_boot_key),
            *("--secure-boot-certificate", keys.secure_boot_certificate),
            *("--verity-key", keys.verity_key),
            *("--verity-certificate", keys.verity_certificate),
            *("--sign-expected-pcr-key", keys.pcr_key),
            *("--sign-expected-pcr-certificate", keys.pcr_certificate),
            *variant.options,
        ]
        if variant.testing:
            options += ["--include", _IMAGES / "testing"]
        workshop = replace(self.workshop, tools=parts.tools)
        workshop.build("appliance", result, extra=[extra, *variant.extra], options=options)
        shutil.rmtree(extra)
        _collect(result, release.version)


def _collect(result: Path, version: str) -> None:
    """Keep what there is a use for, and describe the slot."""
    name = f"mailstead_{version}"
    image, uki = result / f"{name}.raw", result / f"{name}.efi"
    partitions = {partition.label: partition for partition in read_partitions(image)}
    parts: dict[Role, SlotPart] = {"uki": SlotPart(uki, None)}
    labels: dict[Role, str] = {"root": name, "verity": f"{name}_verity", "signature": f"{name}_sig"}
    for role, label in labels.items():
        path = result / f"{name}.{role}"
        (result / f"{name}.{role}.raw").rename(path)
        parts[role] = SlotPart(path, partitions[label].uuid)
    write_slot(result, Slot(version, read_uki(uki).root_hash, parts))
    kept = {path.name for path in (image, *(part.path for part in parts.values()))}
    kept |= {f"{name}.manifest", "release.json", "slot.json"}
    for path in result.iterdir():
        if path.name not in kept:
            remove(path)


def _zxcvbn() -> Path:
    """What judges passwords, out of tools/forge's own environment, which is locked with hashes."""
    return Path(str(distribution("zxcvbn").locate_file("zxcvbn")))


def _templates() -> list[Path]:
    return sorted(path for path in _COMPOSE.iterdir() if path.name != _NOT_TEMPLATES)


def _stage(tree: Path, archive: Path, release: Path, keys: SigningKeys) -> None:
    """Lay out our own part of the OS slot: agent, templates, containers, and whom it trusts."""
    share = tree / "usr/share/mailstead"
    share.mkdir(parents=True)
    copy_python(_FIRSTBOOT, tree / _LIBRARIES / "firstboot")
    shutil.copy(release, share / "release.json")
    (share / "release-keys.json").write_text(dump_keys(keys.trusted), encoding="utf-8")
    enrolment = tree / "efi/loader/keys/auto"
    enrolment.mkdir(parents=True)
    for name, content in enrolment_files(keys).items():
        (enrolment / name).write_bytes(content)
    os.link(archive, share / "containers.tar")
    for top in _templates():
        for path in walk(top):
            if path.is_file():
                copy = share / "compose" / path.relative_to(_COMPOSE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
                copy.chmod(0o644)
