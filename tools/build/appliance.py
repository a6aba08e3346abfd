"""Builds the appliance: tools tree, containers, and the disk image that carries both our parts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from firstboot.base.release import Release, write_release
from firstboot.base.run import run
from tools.build.containers import ContainerBuild, Containers, copy_python
from tools.build.fingerprint import fingerprint, walk
from tools.build.mkosi import Workshop
from tools.build.source import CHECKOUT, Source, rfc3339
from tools.build.steps import Steps
from tools.host.cache import remove

_IMAGES = CHECKOUT / "images"
_FIRSTBOOT = CHECKOUT / "firstboot"
_COMPOSE = CHECKOUT / "compose"
# How images are made is an input of theirs, too.
_CODE = CHECKOUT / "tools/build"
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
class ApplianceBuild:
    """One build; `inputs` is the fingerprint of what every image has in common."""

    steps: Steps
    workshop: Workshop
    source: Source
    inputs: str

    def run(self, parts: Parts, *, testing: bool) -> Path:
        """The directory with the image that carries `parts`; built if what goes in has changed.

        With `testing` the image has a way in for tests.
        """
        inputs = [_IMAGES / "appliance", _FIRSTBOOT, *_templates()]
        if testing:
            inputs.append(_IMAGES / "testing")
        source = f"{self.source.version} {self.source.commit} {self.source.time}"
        mark = fingerprint(parts.inputs, parts.containers.inputs, source, *inputs)
        name = "testing image" if testing else "image"
        return self.steps.run(name, mark, partial(self._make, parts, testing))

    def parts(self) -> Parts:
        """The tools tree and the containers; built if what goes into them has changed."""
        mark = fingerprint(self.inputs, _IMAGES / "tools")
        tools = self.steps.run("tools tree", mark, partial(self.workshop.build, "tools")) / "tools"
        workshop = replace(self.workshop, tools=tools)
        mark = fingerprint(mark, _CODE)
        containers = ContainerBuild(self.steps, workshop, self.source.content_time, mark).run()
        release = Release(
            version=self.source.version,
            base=workshop.base.distribution,
            commit=self.source.commit,
            built=rfc3339(self.source.time),
            images=containers.images,
        )
        return Parts(tools, containers, release, mark)

    def other(self, folder: Path) -> Path:
        """The output of the mkosi configuration in `folder`, which carries nothing of ours."""
        parts = self.parts()
        workshop = replace(self.workshop, tools=parts.tools)
        mark = fingerprint(parts.inputs, _IMAGES / "appliance/mkosi.conf.d", folder)
        return self.steps.run(f"{folder.name} image", mark, partial(workshop.build, folder))

    def _make(self, parts: Parts, testing: bool, result: Path) -> None:
        release = parts.release
        write_release(result / "release.json", release)
        extra = result / "extra"
        _stage(extra, parts.containers.archive, result / "release.json")
        options: list[str | Path] = ["--image-version", release.version]
        if testing:
            options += ["--include", _IMAGES / "testing"]
        workshop = replace(self.workshop, tools=parts.tools)
        workshop.build("appliance", result, extra=[extra], options=options)
        shutil.rmtree(extra)
        self._tidy(result, f"mailstead_{release.version}")

    def _tidy(self, result: Path, name: str) -> None:
        """Keep what there is a use for, and compress what is flashed."""
        kept = {f"{name}.raw", f"{name}.efi", f"{name}.manifest", "release.json"}
        for path in result.iterdir():
            if path.name not in kept:
                remove(path)
        run(["zstd", "--quiet", "-T0", "-3", result / f"{name}.raw"])


def _templates() -> list[Path]:
    return sorted(path for path in _COMPOSE.iterdir() if path.name != _NOT_TEMPLATES)


def _stage(tree: Path, archive: Path, release: Path) -> None:
    """Lay out our own part of the OS slot: the agent, the templates, the containers."""
    share = tree / "usr/share/mailstead"
    share.mkdir(parents=True)
    copy_python(_FIRSTBOOT, tree / "usr/lib/python3/dist-packages/firstboot")
    shutil.copy(release, share / "release.json")
    os.link(archive, share / "containers.tar")
    for top in _templates():
        for path in walk(top):
            if path.is_file():
                copy = share / "compose" / path.relative_to(_COMPOSE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
                copy.chmod(0o644)
