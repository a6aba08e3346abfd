"""The verb `restore-drill`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from tools.boot.appliance import disk_folder, hardware, powered_on
from tools.build.base import AUTO
from tools.build.image import TESTING, build_image
from tools.drill.drill import format_drill, run_drill
from tools.drill.errors import DrillError
from tools.drill.source import DISK_PLACE, make_disk, read_code, require_place, write_seed
from tools.host.cache import cache_folder
from tools.host.packages import ensure_for
from tools.options import Size, base_option, json_option, mirror_option
from tools.progress import progress
from tools.vm import UserNetwork, keep_evidence, reap_leftovers
from tools.vm.hardware import Drive, Hardware

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MIB = 1 << 20


@click.command("restore-drill")
@click.argument("repository")
@click.option("--kit", type=FILE, required=True, help="The kit's text, or a file with the code.")
@click.option("--access", type=FILE, help="File with what it takes to get in there.")
@click.option("--snapshot", default="latest", show_default=True, help="An id, or a time.")
@click.option("--memory", type=Size(), default="2G", show_default=True)
@click.option("--disk", type=Size(), default="20G", show_default=True)
@base_option(AUTO)
@mirror_option
@json_option
@click.pass_context
def restore_drill(
    context: click.Context,
    *,
    repository: str,
    kit: Path,
    access: Path | None,
    snapshot: str,
    memory: int,
    disk: int,
    base: str,
    mirror: str | None,
    as_json: bool,
) -> None:
    """Restore a backup into a fresh machine in QEMU, and report whether it works.

    REPOSITORY is a place as in backup.targets (s3:…, sftp:…, rest:…, rclone:…), or a folder of this
    computer, such as that of a backup disk. It is only read.

    As soon as all is fetched the machine is cut off from the network, so that it sends no mail and
    makes no backup. It is gone afterwards. Ends with exit code 61 when a check fails.
    """
    folder = require_place(repository)
    credentials = access.read_text(encoding="utf-8") if access is not None else ""
    place = repository if folder is None else DISK_PLACE
    seed = write_seed(place, read_code(kit), credentials, snapshot)
    with progress() as report, disk_folder() as work:
        ensure_for("restore-drill", report)
        reap_leftovers()
        built = build_image(base, report=report, variant=TESTING, mirror=mirror)
        parts = hardware(seed=seed, memory_mib=memory // _MIB)
        if folder is not None:
            report("Putting the repository on a disk for the machine …")
            parts = _with_disk(parts, make_disk(folder, work / "repository"))
        # Nothing in it can be reached from here: its people's passwords are not ours.
        with powered_on(built.image, parts, disk_bytes=disk, network=UserNetwork()) as machine:
            try:
                drill = run_drill(machine, report)
            except Exception:
                evidence = cache_folder("evidence", "restore-drill")
                keep_evidence(machine, evidence)
                report(f"What is known of the failure is in {evidence}.")
                raise
        report("Done.")
    click.echo(json.dumps(drill.as_json(), indent=2) if as_json else format_drill(drill))
    if drill.failed:
        context.exit(DrillError.exit_code)


def _with_disk(parts: Hardware, image: Path) -> Hardware:
    return replace(parts, drives=(Drive(image, read_only=True),))
