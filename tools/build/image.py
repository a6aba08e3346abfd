"""`build_image`: everything from the checkout to one bootable image, rebuilding what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from firstboot.base.release import Release, read_release
from firstboot.base.run import run
from tools.build.appliance import ApplianceBuild, Parts, Variant
from tools.build.base import AUTO, UBUNTU, choose_base
from tools.build.fingerprint import fingerprint
from tools.build.mkosi import Workshop
from tools.build.source import CHECKOUT, read_source
from tools.build.steps import Steps
from tools.host.archive import image_sources
from tools.host.cache import cache_folder, lock, prune, require_space
from tools.host.mkosi import ensure_debian_keyring, ensure_ubuntu_keyring, obtain_mkosi
from tools.keys.keyset import SigningKeys, opened_test_keys

_IMAGES = CHECKOUT / "images"
_GIB = 1 << 30
_MAXIMUM_PACKAGES = 3 * _GIB
_SPACE_NEEDED = 6 * _GIB

Report = Callable[[str], None]


RELEASE = Variant()
TESTING = Variant(testing=True)


@dataclass(frozen=True)
class Built:
    """An image and its parts. Sizes are in bytes, `seconds` is how long this build took."""

    release: Release
    folder: Path
    image: Path
    uki: Path
    tools: Path
    testing: bool
    seconds: float


def build_image(
    base: str,
    *,
    report: Report,
    variant: Variant = RELEASE,
    version: str | None = None,
    keys: AbstractContextManager[SigningKeys] | None = None,
    mirror: str | None = None,
) -> Built:
    """Build the image for the checkout on `base` ("ubuntu", "debian" or "auto").

    `version` stands in for the checkout's own; `keys` sign it, by default the checkout's test
    keys. Results of earlier builds are used where what went into them is the same. Raises
    BuildError, ArchiveError or SpaceError; a failed or interrupted build leaves earlier results as
    they were.
    """
    started = time.monotonic()
    with _build(base, report, mirror, keys=keys, version=version) as build:
        parts = build.parts()
        folder = build.run(parts, variant)
    name = f"mailstead_{parts.release.version}"
    return Built(
        release=read_release(folder / "release.json"),
        folder=folder,
        image=folder / f"{name}.raw",
        uki=folder / f"{name}.efi",
        tools=parts.tools,
        testing=variant.testing,
        seconds=time.monotonic() - started,
    )


def compressed(image: Path) -> Path:
    """The image as a .zst beside it, made when somebody wants to take it away."""
    target = image.with_name(f"{image.name}.zst")
    if not target.exists():
        unfinished = image.with_name(f".{target.name}.new")
        run(["zstd", "--quiet", "--force", "-T0", "-3", "-o", unfinished, image])
        unfinished.replace(target)
    return target


def build_parts(base: str, *, report: Report, mirror: str | None = None) -> Parts:
    """Like `build_image`, but only what `tools/forge stack` needs: tools tree and containers."""
    with _build(base, report, mirror) as build:
        return build.parts()


def build_other(folder: Path, base: str, *, report: Report, mirror: str | None = None) -> Path:
    """Build the mkosi configuration in a folder outside images/, for benchmarks, with our tools.

    Returns the directory with mkosi's output.
    """
    with _build(base, report, mirror) as build:
        return build.other(folder)


@contextmanager
def _build(
    base: str,
    report: Report,
    mirror: str | None,
    *,
    keys: AbstractContextManager[SigningKeys] | None = None,
    version: str | None = None,
) -> Iterator[ApplianceBuild]:
    """Everything that a build needs to start, and the cache to itself."""
    mkosi = obtain_mkosi(report=report)
    chosen = choose_base(base, mkosi=mkosi, mirror=mirror, report=report)
    if base == AUTO and chosen is not UBUNTU:
        # A mirror of Ubuntu is none of Debian.
        mirror = None
    if chosen.distribution == "ubuntu":
        ensure_ubuntu_keyring(report=report)
    else:
        ensure_debian_keyring(report=report)
    folder = cache_folder("build", chosen.distribution)
    require_space(folder, _SPACE_NEEDED, "building the image")
    source = read_source()
    if version is not None:
        source = replace(source, version=version)
    with keys or opened_test_keys() as signing, lock("build", "building an image", report):
        log = cache_folder("logs") / f"build-{chosen.distribution}.log"
        log.unlink(missing_ok=True)
        sources = image_sources(chosen.distribution, chosen.components, mkosi=mkosi, mirror=mirror)
        common = CHECKOUT / "mkosi.conf"
        yield ApplianceBuild(
            steps=Steps(folder, report),
            workshop=Workshop(
                mkosi=mkosi,
                base=chosen,
                images=_IMAGES,
                log=log,
                sources=_write_sources(folder, sources),
                tools=None,
            ),
            source=source,
            keys=signing,
            inputs=fingerprint(mkosi.version, chosen.distribution, sources or "", common),
        )
        prune(
            cache_folder("packages", "cache", "apt", "archives"),
            keep=(),
            maximum_bytes=_MAXIMUM_PACKAGES,
        )


def _write_sources(folder: Path, sources: str | None) -> Path | None:
    """A sandbox tree in which mkosi finds `sources` instead of making its own list."""
    if sources is None:
        return None
    tree = folder / "sources"
    file = tree / "etc/apt/sources.list.d/mkosi.sources"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(sources, encoding="utf-8")
    return tree
