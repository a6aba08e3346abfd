"""Calendars and contacts with what others wrote: vdirsyncer, Python's caldav, and a tester."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmaster.dav.link import Address
from postmaster.dav.server import DavOptions, serving_dav
from tests.interop.conftest import Home
from tests.unit.postmaster.davclient import DavClient, contact, event
from tests.unit.postmaster.harness import PASSWORD, Stack
from tools.host.judges import judges_folder

Make = Callable[[str, str], str]  # of UID and title

SYNCHRONISED = """
[general]
status_path = "{folder}/status"
[pair {name}]
a = "near_{name}"
b = "far_{name}"
collections = ["from a", "from b"]
conflict_resolution = "b wins"
metadata = ["displayname"]
[storage near_{name}]
type = "filesystem"
path = "{folder}/{name}"
fileext = "{suffix}"
[storage far_{name}]
type = "{kind}"
url = "http://127.0.0.1:{port}/"
username = "{person}"
password.fetch = ["command", "cat", "{password}"]
"""

CALDAV = """
import datetime, sys
import caldav
url, person, password = sys.argv[1], sys.argv[2], open(sys.argv[3]).read().strip()
principal = caldav.DAVClient(url, username=person, password=password).principal()
made = principal.make_calendar(name="Work")
assert {str(found.name) for found in principal.calendars()} == {"Calendar", "Work"}
start = datetime.datetime(2026, 5, 1, 10, tzinfo=datetime.timezone.utc)
event = made.save_event(
    dtstart=start, dtend=start + datetime.timedelta(hours=1), summary="Standup",
    rrule={"FREQ": "WEEKLY"},
)
made.save_todo(summary="Order tea")
found = made.date_search(
    start=start + datetime.timedelta(days=13), end=start + datetime.timedelta(days=15), expand=True
)
assert len(found) == 1 and "20260515T100000Z" in found[0].data, found
changes = made.objects(load_objects=True)
assert len(list(changes)) == 2
event.data = event.data.replace("Standup", "Sitdown")
event.save()
changes.sync()
assert sum("Sitdown" in found.data for found in changes) == 1
assert [str(todo.icalendar_component["summary"]) for todo in made.todos()] == ["Order tea"]
event.delete()
assert made.events() == []
made.delete()
assert [str(found.name) for found in principal.calendars()] == ["Calendar"]
"""

JUDGE = """
from caldav_server_tester.caldav_server_tester import check_server_compatibility
check_server_compatibility()
"""
# What caldav-server-tester asks for, by groups: all works that is not named in ABSENT.
ADVERTISED = {
    *("auth", "calendar-color", "calendar-order", "create-calendar", "delete-calendar"),
    *("freebusy-query", "get-current-user-principal", "non-existing-raises-not-found", "propfind"),
    *("save", "save-load", "search", "sync-token", "synchronous-write", "url"),
}
ABSENT = {
    "create-calendar.auto": "a calendar is made by whoever wants it, not by looking for it",
    "principal-search": "there is nobody to find, since nothing is shared; Radicale finds none",
    "principal-search.by-name.self": "the same",
    "principal-search.list-all": "the same",
    "scheduling": "not announced: invitations go by mail",
    "search.recurrences.expanded.todo": "Radicale expands events only",
    "search.text.comp-type-optional": "Radicale wants to be told in which component to look",
    "sync-token.limit": "Radicale sends all changes at once",
    "sync-token.limit.initial-sync": "the same",
    "url.encode-at.identity": "an address with @ and with %40 is the same person",
    "well-known": "not asked for on the loopback; tests/stack/test_web.py does",
}
# Said to come and go with Radicale, by the list of servers that caldav has.
UNSETTLED = {"search.recurrences.includes-implicit.todo.pending"}


@pytest.fixture
def dav(shared_stack: Stack, person: str) -> Iterator[DavClient]:
    """Somebody's calendars and contacts, seen past the client."""
    mailstore = Address("127.0.0.1", shared_stack.ports.mailstore.dav)
    with serving_dav(DavOptions("127.0.0.1", 0, mailstore)) as port:
        yield DavClient(port, person, PASSWORD)


@pytest.mark.parametrize(
    ("name", "kind", "suffix", "make"),
    [("calendar", "caldav", ".ics", event), ("contacts", "carddav", ".vcf", contact)],
)
def test_vdirsyncer_both_ways(
    home: Home, dav: DavClient, *, name: str, kind: str, suffix: str, make: Make
) -> None:
    for uid in ("one", "two", "three"):
        assert dav.put(f"{name}/{uid}{suffix}", make(uid, f"First {uid}")).status == 201
    config = home.write(
        "vdirsyncer.conf",
        SYNCHRONISED.format(
            folder=home.folder,
            name=name,
            suffix=suffix,
            kind=kind,
            port=dav.port,
            person=dav.person,
            password=home.password_file,
        ),
    )

    def synchronise() -> dict[str, Path]:
        home.run("vdirsyncer", "-c", config, "sync")
        found = (home.folder / name / name).glob(f"*{suffix}")
        return {_uid(path): path for path in found}

    home.run("sh", "-c", f"yes | vdirsyncer -c {config} discover")
    local = synchronise()
    assert set(local) == {"one", "two", "three"}
    # Changed, new and gone, here and there.
    local["one"].write_text(make("one", "Changed here"), newline="")
    local["two"].unlink()
    (home.folder / name / name / f"here{suffix}").write_text(make("here", "New"), newline="")
    dav.put(f"{name}/three{suffix}", make("three", "Changed there"))
    dav.put(f"{name}/there{suffix}", make("there", "New there"))
    local = synchronise()
    assert set(local) == {"one", "three", "here", "there"}
    assert "Changed there" in local["three"].read_text()
    assert "Changed here" in dav.get(f"{name}/one{suffix}").text
    assert dav.get(f"{name}/two{suffix}").status == 404
    assert dav.get(f"{name}/").text.count("UID:") == 4
    token = dav.sync(name).token
    assert set(synchronise()) == set(local)
    assert dav.sync(name, token).hrefs() == set()


def _uid(path: Path) -> str:
    lines = path.read_text().splitlines()
    return next(line.removeprefix("UID:") for line in lines if line.startswith("UID:"))


def test_caldav_of_python(home: Home, dav: DavClient) -> None:
    script = home.write("client.py", CALDAV)
    url = f"http://127.0.0.1:{dav.port}/"
    home.run("/usr/bin/python3", script, url, dav.person, home.password_file)


def test_caldav_server_tester_finds_what_is_advertised(home: Home, dav: DavClient) -> None:
    options = {"url": f"http://127.0.0.1:{dav.port}/", "username": dav.person, "password": PASSWORD}
    said = home.run(
        *("env", f"PYTHONPATH={judges_folder()}", sys.executable, "-P", "-c", JUDGE),
        *(f"--caldav-{name}={value}" for name, value in options.items()),
        "--format=hints",
    )
    found = ast.literal_eval(said.stdout)
    assert found.pop("get-current-user-principal.has-calendar") == {"value": True}
    works = {name for name, verdict in found.items() if verdict["support"] == "full"}
    assert set(found) - works - UNSETTLED == set(ABSENT)
    assert {name.partition(".")[0] for name in works} == ADVERTISED
    assert len(works - UNSETTLED) == 88
