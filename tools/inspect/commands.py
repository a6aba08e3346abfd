"""The verb `forge inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tools.inspect.difference import compare
from tools.inspect.errors import InspectError
from tools.inspect.image import inspect_image
from tools.inspect.show import show
from tools.options import json_option
from tools.progress import progress


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="OTHER",
    type=click.Path(path_type=Path),
    help="Show what IMAGE has that this older image has not, and the other way round.",
)
@click.option("--verify", is_flag=True, help="Read the whole root and check it with its root hash.")
@json_option
@click.pass_context
def inspect(
    context: click.Context,
    *,
    image: Path,
    against: Path | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Show what is in IMAGE: partitions, version, root hash, packages, containers.

    IMAGE is a raw disk image as `build` makes it, or one compressed with zstd (.raw.zst). It is
    only read. With --verify the exit code is 40 when the root partition is damaged.
    """
    with progress() as report:
        found = inspect_image(image, verify=verify, report=report)
        other = inspect_image(against, verify=False, report=report) if against else None
    difference = compare(other, found) if other else None
    if as_json:
        described = found.to_json()
        if difference:
            described["difference"] = difference.to_json()
        click.echo(json.dumps(described, indent=2))
    else:
        show(found, difference)
    if found.damage:
        # Found, not failed: the report above tells it, and standard output stays one object.
        context.exit(InspectError.exit_code)
