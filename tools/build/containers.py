"""Builds the container images: one base, one layer on it for each service, one archive.

What several services need besides is a layer between. Our own code is one more, made without
mkosi: it changes more often than all the rest.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from firstboot.base.release import Image
from tools.build.dependencies import compile_python, install_dependencies
from tools.build.fingerprint import fingerprint, walk
from tools.build.layer import write_layer
from tools.build.mkosi import Workshop
from tools.build.oci import Layer, write_archive
from tools.build.source import CHECKOUT, rfc3339
from tools.build.steps import Steps

_IMAGES = CHECKOUT / "images/containers"
_POSTMASTER = CHECKOUT / "compose/postmaster"
_LOCK = _POSTMASTER / "requirements.txt"
# Code, and the templates, styles, scripts and texts of web pages.
_PACKAGE_FILES = frozenset({".css", ".j2", ".js", ".py", ".yaml"})
_LIBRARY = Path("usr/lib/postmaster")
_BASE = "base"
# What stands on something else than the base.
_GROUND = {"postmaster": "python", "resolver": "python", "sts": "python"}
# How the layers are made is an input of theirs, too.
_CODE = tuple(
    Path(__file__).with_name(f"{module}.py")
    for module in ("containers", "dependencies", "layer", "mkosi", "oci")
)


@dataclass(frozen=True)
class Containers:
    """The archive of all container images, what the release says of them, and their fingerprint."""

    archive: Path
    images: Mapping[str, Image]
    inputs: str


@dataclass(frozen=True)
class ContainerBuild:
    """One build of all container images.

    `time` is given to all their files, `inputs` is the fingerprint of what they share.
    """

    steps: Steps
    workshop: Workshop
    time: int
    inputs: str

    def run(self) -> Containers:
        """Build what has changed since the results that are kept."""
        common = fingerprint(
            self.inputs, str(self.time), *_CODE, _IMAGES / "container.conf", _IMAGES / "base"
        )
        marks = {_BASE: common}
        results = {_BASE: [self.steps.run("container base", common, self._make_base)]}
        for name in (*sorted(set(_GROUND.values())), *services()):
            ground = _GROUND.get(name, _BASE)
            mark, extra = fingerprint(marks[ground], _IMAGES / name), None
            if name == "postmaster":
                dependencies = self._dependencies()
                mark = fingerprint(mark, dependencies.name)
                extra = partial(shutil.copytree, dependencies, symlinks=True)
            make = partial(self._make_image, name, results[ground][-1] / ground, extra)
            results[name] = [*results[ground], self.steps.run(f"container {name}", mark, make)]
            marks[name] = mark
        code = fingerprint(common, _POSTMASTER)
        results["postmaster"].append(self.steps.run("own code", code, self._make_code))
        mark = fingerprint(*(f"{name} {marks[name]}" for name in marks), code)
        layers = {service: results[service] for service in services()}
        archive = self.steps.run("container archive", mark, partial(self._archive, layers))
        described = json.loads((archive / "images.json").read_text(encoding="utf-8"))
        images = {name: Image(**found) for name, found in described.items()}
        return Containers(archive / "containers.tar", images, mark)

    def _dependencies(self) -> Path:
        base = self.workshop.base
        mark = fingerprint(base.python, _LOCK)
        make = partial(install_dependencies, _LOCK, base)
        return self.steps.run("python dependencies", mark, make)

    def _make_base(self, result: Path) -> None:
        self.workshop.build(f"containers/{_BASE}", result)
        write_layer(result / _BASE, None, result / "layer.tar", mtime=self.time)

    def _make_image(
        self, name: str, below: Path, stage: Callable[[Path], object] | None, result: Path
    ) -> None:
        extra = []
        if stage:
            (result / "extra" / _LIBRARY).parent.mkdir(parents=True)
            stage(result / "extra" / _LIBRARY)
            extra.append(result / "extra")
        self.workshop.build(f"containers/{name}", result, base_tree=below, extra=extra)
        tree = result / name
        write_layer(tree, below, result / "layer.tar", mtime=self.time)
        # The tree below others is needed for their layers; a service's is in its layer.
        for done in (*([] if name in _GROUND.values() else [tree]), *extra):
            shutil.rmtree(done)

    def _make_code(self, result: Path) -> None:
        package = result / "tree" / _LIBRARY / "postmaster"
        copy_python(_POSTMASTER, package)
        compile_python(package, below=result / "tree", tools=self.workshop.tools)
        for folder in (path for path in (result / "tree").rglob("*") if path.is_dir()):
            folder.chmod(0o755)
        write_layer(result / "tree", None, result / "layer.tar", mtime=self.time)
        shutil.rmtree(result / "tree")

    def _archive(self, results: Mapping[str, Sequence[Path]], result: Path) -> None:
        read = functools.cache(Layer.read)
        layers = {
            name: [read(folder / "layer.tar") for folder in folders]
            for name, folders in results.items()
        }
        images = write_archive(
            result / "containers.tar", layers, created=rfc3339(self.time), mtime=self.time
        )
        described = {name: asdict(image) for name, image in images.items()}
        (result / "images.json").write_text(json.dumps(described, indent=2), encoding="utf-8")


def services() -> tuple[str, ...]:
    """The container images there are: folders of images/containers but what is below others."""
    folders = sorted(path.parent.name for path in _IMAGES.glob("*/mkosi.conf"))
    return tuple(name for name in folders if name not in {_BASE, *_GROUND.values()})


def copy_python(package: Path, target: Path) -> None:
    """Copy a package's sources and data, and nothing that running it has left beside them."""
    for path in walk(package):
        if path.suffix in _PACKAGE_FILES or path.name == "py.typed":
            copy = target / path.relative_to(package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
            copy.chmod(0o644)
