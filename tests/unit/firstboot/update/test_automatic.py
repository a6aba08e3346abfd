"""Upgrades that nobody asked for: when they happen, and when not."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from firstboot.base.errors import CommandError, UpdateRefusedError
from firstboot.base.window import DAY
from firstboot.system.http import TransferError
from firstboot.update.automatic import (
    Schedule,
    automatic,
    read_schedule,
    refuse_now,
    write_schedule,
)
from firstboot.update.fetch import assemble
from firstboot.update.source import Server
from tests.unit.firstboot.update.conftest import NOW, Appliance, serve
from tests.unit.firstboot.update.published import Publisher
from tests.unit.firstboot.webserver import WebServer

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def source(appliance: Appliance, web: WebServer, publisher: Publisher) -> Server:
    """2.0.0 is published, and the machine knows where."""
    publisher.publish("2.0.0")
    url = serve(web, publisher)
    appliance.change(url=url)
    return Server(url, "stable")


def run(appliance: Appliance, source: Server) -> bool:
    return automatic(appliance.machine, source, appliance.report)


def planned(appliance: Appliance) -> Schedule:
    schedule = read_schedule(appliance.paths.update_schedule)
    assert schedule is not None
    return schedule


def plan(appliance: Appliance, at: datetime.datetime, version: str = "2.0.0") -> None:
    write_schedule(appliance.paths.update_schedule, Schedule(version, at))


def test_a_moment_is_drawn_once(appliance: Appliance, source: Server, web: WebServer) -> None:
    assert not run(appliance, source)
    first = planned(appliance)
    assert first.version == "2.0.0"
    assert NOW <= first.at < NOW + 2 * HOUR
    if first.at > NOW:
        web.requests.clear()
        appliance.change(now=first.at - datetime.timedelta(seconds=1))
        assert not run(appliance, source)
        assert web.requests == []
        assert appliance.lines[-1].startswith("2.0.0 is due at 2026-12-01 0")
        assert planned(appliance) == first
    appliance.change(now=first.at)
    assert run(appliance, source)
    assert appliance.written("2.0.0")


def test_next_attempt_is_a_night_later(appliance: Appliance, source: Server) -> None:
    plan(appliance, NOW)
    appliance.programs.add("systemd-sysupdate", "exit 1")
    with pytest.raises(CommandError):
        run(appliance, source)
    later = planned(appliance).at
    assert datetime.timedelta(hours=23) <= later - NOW < DAY + 2 * HOUR
    assert not run(appliance, source)


def test_moment_that_passed_in_another_night_is_drawn_anew(
    appliance: Appliance, source: Server
) -> None:
    plan(appliance, NOW - DAY)
    appliance.change(now=NOW - HOUR)
    run(appliance, source)
    assert planned(appliance).at >= NOW - HOUR


def test_moment_set_by_a_wrong_clock_is_drawn_anew(appliance: Appliance, source: Server) -> None:
    plan(appliance, NOW + 365 * DAY)
    run(appliance, source)
    assert planned(appliance).at < NOW + 2 * HOUR


def test_newest_version(appliance: Appliance, source: Server) -> None:
    appliance.restart_into("2.0.0")
    assert not run(appliance, source)
    assert appliance.lines == ["2.0.0 is the newest version"]


def test_download_that_takes_too_long(
    appliance: Appliance, source: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(appliance, NOW)
    late = "it is 2026-12-01 05:01 UTC, outside of the window 02:00-05:00"

    def too_late(_facts: object) -> None:
        raise UpdateRefusedError(late)

    def fetch_for_hours(*arguments: Any) -> bool:
        monkeypatch.setattr("firstboot.update.automatic.refuse_outside_window", too_late)
        return assemble(*arguments)

    monkeypatch.setattr("firstboot.update.apply.assemble", fetch_for_hours)
    with pytest.raises(UpdateRefusedError, match="outside of the window"):
        run(appliance, source)
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    assert len(list(appliance.paths.ready.iterdir())) == 4


@pytest.mark.parametrize(
    ("updates", "now", "message"),
    [
        ({"automatic": False}, NOW, "are off"),
        ({"url": None}, NOW, "no updates.url"),
        ({"metered": True}, NOW, "metered"),
        ({}, NOW + 2 * HOUR, "outside of the window"),
        ({}, NOW - 365 * DAY, "the clock is wrong"),
    ],
)
def test_not_now(
    *,
    appliance: Appliance,
    source: Server,
    web: WebServer,
    updates: dict[str, object],
    now: datetime.datetime,
    message: str,
) -> None:
    appliance.change(now=now, **updates)
    with pytest.raises(UpdateRefusedError, match=message):
        refuse_now(appliance.machine.facts())
    with pytest.raises(UpdateRefusedError, match=message):
        run(appliance, source)
    assert web.requests == []


def test_nobody_is_there_to_type_the_passphrase(appliance: Appliance) -> None:
    facts = dataclasses.replace(appliance.machine.facts(), attended=True)
    updates = facts.updates.model_copy(update={"url": "https://releases.example.com/"})
    with pytest.raises(UpdateRefusedError, match="passphrase"):
        refuse_now(dataclasses.replace(facts, updates=updates))


def test_release_that_is_not_for_everybody_yet(
    appliance: Appliance, web: WebServer, publisher: Publisher
) -> None:
    publisher.publish("2.0.0", not_before=(NOW + HOUR).isoformat())
    source = Server(serve(web, publisher), "stable")
    appliance.change(url=source.url)
    with pytest.raises(UpdateRefusedError, match="not for automatic upgrades before"):
        run(appliance, source)
    assert read_schedule(appliance.paths.update_schedule) is None


def test_server_that_is_away(appliance: Appliance, source: Server, web: WebServer) -> None:
    web.status = 500
    with pytest.raises(TransferError):
        run(appliance, source)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "null", '{"format": 1, "version": "x", "at": "2026-12-01T03:00:00+00:00"}',
     '{"format": 1, "version": "2.0.0", "at": "2026-12-01T03:00:00"}',
     '{"format": 1, "version": 2, "at": "2026-12-01T03:00:00+00:00"}',
     '{"format": 9, "version": "2.0.0", "at": "2026-12-01T03:00:00+00:00"}'],
)  # fmt: skip
def test_schedule_that_cannot_be_read(appliance: Appliance, text: str) -> None:
    appliance.paths.updates.mkdir()
    appliance.paths.update_schedule.write_text(text)
    assert read_schedule(appliance.paths.update_schedule) is None
