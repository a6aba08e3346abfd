"""Automatic upgrades of a machine whose clock is wrong."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager

from firstboot.base.sections import Updates
from tests.boot.life.conftest import Life


@contextmanager
def upgrading_by_itself(life: Life) -> Iterator[None]:
    """Automatic upgrades are on, and it is in their window; only the test asks for one.

    No timer runs meanwhile: a clock that is set goes past the times of all.
    """
    run, settings = life.machine.guest.run, ["mailstead", "settings", "set"]
    listed = run(["systemctl", "list-units", "--plain", "--no-legend", "mailstead-*.timer"])
    timers = [line.split()[0] for line in listed.stdout.splitlines()]
    assert "mailstead-update.timer" in timers
    # The machine's own time: an emulated clock falls behind the host's, by hours in the end.
    own = int(run(["date", "+%s"]).stdout)
    now, hour = datetime.datetime.fromtimestamp(own, datetime.UTC), datetime.timedelta(hours=1)
    window = f"{now - hour:%H:%M}-{now + 12 * hour:%H:%M}"
    run(["systemctl", "stop", *timers])
    run([*settings, "updates.automatic", "true", "updates.window", window])
    try:
        yield
    finally:
        run([*settings, "updates.automatic", "false", "updates.window", Updates().window])
        run(["systemctl", "start", *timers])


@contextmanager
def clock_set(life: Life, *, days: int) -> Iterator[None]:
    """The clock is wrong by whole days, so that the time of day is right."""

    def move(days: int) -> None:
        script = f'date --set "@$(($(date +%s) + {days * 24 * 3600}))"'
        life.machine.guest.run(["sh", "-c", script])

    move(days)
    try:
        yield
    finally:
        move(-days)


def time_until_due(life: Life, version: str) -> datetime.timedelta:
    """From now, by a clock that is right, until the moment that the machine draws for it."""
    found, due = f"{version} found, due at ", "%Y-%m-%d %H:%M UTC"
    decision = life.update("automatic")["decision"]
    # A module that pytest does not rewrite: the words have to be here.
    assert decision.startswith(found), decision
    moment = datetime.datetime.strptime(decision.removeprefix(found), due)
    return moment.replace(tzinfo=datetime.UTC) - datetime.datetime.now(datetime.UTC)
