"""The verb `build`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from firstboot.base.run import run
from tools.build.image import RELEASE, TESTING, Built, build_image, compressed
from tools.build.source import CHECKOUT
from tools.host.cache import readable
from tools.host.packages import ensure_for
from tools.keys.commands import keys_option, passphrase_option
from tools.keys.opening import opened_release_keys
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress


@click.command()
@base_option("ubuntu")
@mirror_option
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=CHECKOUT / "build",
    help="Where the image goes.  [default: build/ in the checkout]",
)
@click.option("--testing", is_flag=True, help="With a way in for tests. Never give it to people.")
@click.option("--release", is_flag=True, help="Signed with your own keys; see `forge keys`.")
@keys_option
@passphrase_option
@json_option
def build(
    *,
    base: str,
    mirror: str | None,
    output: Path,
    testing: bool,
    release: bool,
    keys: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Build the image and put it into a directory.

    There it is as mailstead_VERSION.raw, and compressed beside it; write it to a disk, or import it
    into a cloud. Only what has changed since the last build is built again.

    Without --release it is signed with test keys of this checkout. Such an image is for trying
    Mailstead out: its machines take no upgrades but those that this checkout publishes.
    """
    if release and testing:
        raise click.UsageError("--release and --testing exclude each other")
    if (keys or passphrase_file) and not release:
        raise click.UsageError("--keys and --passphrase-file are for --release")
    # A passphrase is asked for before the progress line begins.
    opened = opened_release_keys(keys, passphrase_file) if release else None
    with progress() as report:
        ensure_for("build", report)
        built = build_image(
            base,
            report=report,
            variant=TESTING if testing else RELEASE,
            keys=opened,
            mirror=mirror,
        )
        report("Compressing the image …")
        compressed(built.image)
        files = _copy(built, output)
    if as_json:
        click.echo(json.dumps(describe(built) | {"files": [str(file) for file in files]}, indent=2))
        return
    for file in files:
        click.echo(f"{readable(file.stat().st_blocks * 512):>10}  {file}")


def describe(built: Built) -> dict[str, object]:
    """What was built, for --json; sizes in bytes."""
    return {
        "version": built.release.version,
        "base": built.release.base,
        "testing": built.testing,
        "image": sizes(built),
        "release": asdict(built.release),
        "seconds": round(built.seconds, 1),
    }


def sizes(built: Built) -> dict[str, object]:
    """The image's path and the sizes that people ask for, in bytes."""
    return {
        "path": str(built.image),
        "bytes": built.image.stat().st_size,
        "zstd_bytes": compressed(built.image).stat().st_size,
        "uki_bytes": built.uki.stat().st_size,
    }


def _copy(built: Built, output: Path) -> list[Path]:
    """Copy the result out of the cache, whose files must not change under later builds."""
    output.mkdir(parents=True, exist_ok=True)
    files = []
    for path in sorted(built.folder.iterdir()):
        target = output / path.name
        unfinished = output / f".{path.name}.new"
        if not _same(path, target):
            run(
                [
                    "cp",
                    "--sparse=always",
                    "--reflink=auto",
                    "--preserve=timestamps",
                    path,
                    unfinished,
                ]
            )
            unfinished.replace(target)
        files.append(target)
    return files


def _same(path: Path, target: Path) -> bool:
    if not target.exists():
        return False
    new, old = path.stat(), target.stat()
    return (new.st_size, new.st_mtime_ns) == (old.st_size, old.st_mtime_ns)
