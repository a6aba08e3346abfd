"""The command `mailstead logs`.

It imports what it needs when it runs, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json

import click

from firstboot.base.paths import Paths

_ERRORS = 3


@click.command()
@click.option("--services", is_flag=True, help="What the containers said, all of them.")
@click.option("--errors", is_flag=True, help="Errors of the whole system since it started.")
@click.option("--lines", default=200, type=click.IntRange(1, 100_000), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("service", required=False)
def logs(service: str | None, services: bool, errors: bool, lines: int, as_json: bool) -> None:
    """Show what was written down, the newest last.

    Without anything, what the machine's own programs said; with SERVICE, such as mta, what that
    container said. Times are in UTC.
    """
    from dataclasses import asdict

    from firstboot.base.compose import PROJECT
    from firstboot.base.services import read_stack
    from firstboot.system.journal import read_journal

    if sum((service is not None, services, errors)) > 1:
        raise click.UsageError("expected one of SERVICE, --services and --errors")
    if services or service is not None:
        known = [found.name for found in read_stack(Paths().services).services]
        if service is not None and service not in known:
            raise click.UsageError(
                f"no service is called {service!r}; there are {', '.join(known)}"
            )
        wanted = known if services else [service]
        # Compose's name of a service's first container. The same field twice means either.
        matches = [f"CONTAINER_NAME={PROJECT}-{name}-1" for name in wanted]
    elif errors:
        matches = [f"--priority={_ERRORS}"]
    else:
        matches = ["--identifier=mailstead"]
    found = read_journal(matches, lines=lines, this_start=errors)
    if as_json:
        click.echo(json.dumps({"lines": [asdict(line) for line in found]}, indent=2))
        return
    for line in found:
        click.echo(f"{line.time} {line.source}: {line.message}")
    if not found:
        click.echo("nothing was written down")
