"""The hidden command `administration`: serves the container `admin` what its pages need."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Container, Engine
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.administration.desk import Desk
    from firstboot.queue.maillog import MailLog


class ProjectEngine(Engine):
    """An engine on which the appliance's Compose project has another name."""

    project = PROJECT

    def containers(self, project: str | None = None) -> tuple[Container, ...]:
        """See `Engine.containers`."""
        return super().containers(self.project if project == PROJECT else project)


@click.command(hidden=True)
@click.option("--home", type=click.Path(path_type=Path), help="Of a stack without a machine.")
@click.option("--engine", help="Where its Docker engine answers, as in DOCKER_HOST.")
@click.option("--project", default=PROJECT, help="Its Compose project.")
def administration(home: Path | None, engine: str | None, project: str) -> None:
    """Answer the container admin; ends when nobody has asked for a while.

    On the appliance systemd gives it the socket. With --home it makes the socket itself, and stays.
    """
    from firstboot.administration.server import Server, inherited, listen
    from firstboot.queue.maillog import EngineLog

    paths = Paths.of_stack(home) if home else Paths()
    docker = ProjectEngine(engine)
    docker.project = project
    if home is None:
        Server(make_desk(paths, docker)).serve(inherited())
    else:
        desk = make_desk(paths, docker, log=EngineLog(docker))
        Server(desk, idle=None).serve(listen(paths.administration))


def make_desk(
    paths: Paths,
    engine: Engine,
    now: Callable[[], float] = time.monotonic,
    log: MailLog | None = None,
) -> Desk:
    """What answers, with all its verbs; `now` is CLOCK_MONOTONIC, `log` by default the journal."""
    from firstboot.administration.desk import Desk
    from firstboot.administration.protocol import Refusals
    from firstboot.administration.sessions import Sessions
    from firstboot.administration.tokens import NoTokenError, TokenError, Tokens
    from firstboot.cli.reporting import unexpected
    from firstboot.cli.verbs import all_verbs
    from firstboot.people.desk import NobodyError, PersonError
    from firstboot.queue.maillog import JournalLog
    from firstboot.queue.messages import QueueError

    sessions, tokens = Sessions(paths, now), Tokens(paths, now)
    verbs = all_verbs(paths, engine, sessions, tokens, log or JournalLog())
    refusals = Refusals((NobodyError, NoTokenError), (PersonError, QueueError, TokenError))
    return Desk(verbs, sessions, tokens, refusals, unexpected)
