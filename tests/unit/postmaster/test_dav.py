"""Calendars and contacts: by HTTP, through `dav` and the mail store, into the encrypted file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from socketserver import BaseServer
from typing import Any

import pytest

from firstboot.base.waiting import wait_for
from postmaster.crypto import DataKey, person_id
from postmaster.dav.link import Address
from postmaster.dav.server import DavOptions, serving_dav
from postmaster.directory.accounts import Accounts
from postmaster.storage import collection_file
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.collection_values import (
    Collection,
    Item,
    NoSuchCollectionError,
    UnknownStateError,
    Wanted,
)
from postmaster.storage.interface import OverQuotaError
from tests.stack.plaintext import files_with, spellings
from tests.unit.postmaster.davclient import DavClient, contact, event
from tests.unit.postmaster.harness import ADA, BOB, DEADLINE, PASSWORD, Files, Stack
from tests.unit.postmaster.test_people import NEW, add_app, person

Serve = Callable[[Stack], int]


@pytest.fixture
def stack(files: Files) -> Iterator[Stack]:
    """Both services; a vault is locked as soon as its session ends."""
    running = Stack(files, grace=0.05)
    yield running
    if running.running:
        running.stop()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start `dav` in front of a mail store; returns its port."""
    # Whether it is to end is looked up twice a second otherwise.
    quick = partialmethod(BaseServer.serve_forever, 0.02)
    monkeypatch.setattr(BaseServer, "serve_forever", quick)
    ends: list[Any] = []

    def begin(stack: Stack) -> int:
        mailstore = Address("127.0.0.1", stack.ports.mailstore.dav)
        ends.append(serving_dav(DavOptions("127.0.0.1", 0, mailstore)))
        port: int = ends[-1].__enter__()
        return port

    yield begin
    for end in ends:
        end.__exit__(None, None, None)


@pytest.fixture
def ada(stack: Stack, serve: Serve) -> DavClient:
    """Ada's calendar program."""
    return DavClient(serve(stack), ADA)


def test_a_first_login_finds_a_calendar_and_contacts(ada: DavClient) -> None:
    answer = ada.ask("PROPFIND", ada.home, Depth="1")
    assert answer.status == 207
    assert answer.hrefs() >= {ada.home, f"{ada.home}calendar/", f"{ada.home}contacts/"}
    principal = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
    home = ada.home.replace("@", "%40")
    assert f"<href>{home}</href>" in ada.ask("PROPFIND", "/", principal, Depth="0").text


def test_only_what_there_is_is_announced(ada: DavClient) -> None:
    options = ada.ask("OPTIONS", ada.home)
    listing = ada.ask("PROPFIND", ada.home, Depth="0")
    for answer in (options, listing):
        announced = set(answer.headers["DAV"].split(", "))
        # Not class 2, which is locks (RFC 4918 18.2).
        assert announced == {"1", "3", "calendar-access", "addressbook", "extended-mkcol"}
    methods = set(options.headers["Allow"].split(", "))
    assert methods >= {"MKCALENDAR", "MKCOL", "MOVE", "PROPPATCH", "REPORT"}
    for method in ("LOCK", "UNLOCK", "COPY"):
        assert method not in methods
        assert ada.ask(method, f"{ada.home}calendar/").status == 405


def test_nothing_but_calendars_and_address_books_is_kept(ada: DavClient) -> None:
    assert ada.ask("MKCOL", f"{ada.home}folder/").status == 403
    assert ada.put("folder", "text").status in {400, 403}
    assert ada.put("calendar/text.ics", "text").status == 400
    found = ada.ask("PROPFIND", ada.home, Depth="1").hrefs()
    assert found == {ada.home, f"{ada.home}calendar/", f"{ada.home}contacts/"}
    calendar = f"{ada.home}calendar/"
    assert ada.ask("PROPFIND", calendar, Depth="1").hrefs() == {calendar}


def test_an_alias_leads_to_the_same_calendars(ada: DavClient) -> None:
    ada.put("calendar/tea.ics", event("tea"))
    alias = DavClient(ada.port, "countess@example.com")
    assert alias.ask("GET", f"{ada.home}calendar/tea.ics").status == 200


def test_what_is_put_comes_back_and_goes(ada: DavClient) -> None:
    assert ada.put("calendar/tea.ics", event("tea"), If_None_Match="*").status == 201
    assert ada.put("contacts/grace.vcf", contact("grace", "Grace Hopper")).status == 201
    found = ada.get("calendar/tea.ics")
    assert (found.status, "SUMMARY:Tea" in found.text) == (200, True)
    assert "FN:Grace Hopper" in ada.get("contacts/grace.vcf").text
    # Nobody overwrites what somebody else has changed meanwhile.
    assert ada.put("calendar/tea.ics", event("tea"), If_None_Match="*").status == 412
    changed = ada.put("calendar/tea.ics", event("tea", "Coffee"), If_Match=found.etag)
    assert changed.status in {201, 204}
    assert ada.put("calendar/tea.ics", event("tea", "Water"), If_Match=found.etag).status == 412
    assert "SUMMARY:Coffee" in ada.get("calendar/tea.ics").text
    assert ada.ask("DELETE", f"{ada.home}calendar/tea.ics").status == 200
    assert ada.get("calendar/tea.ics").status == 404


def test_whoever_asks_for_changes_gets_them_and_no_more(ada: DavClient) -> None:
    for name in ("one", "two", "three"):
        ada.put(f"calendar/{name}.ics", event(name))
    first, ctag = ada.sync("calendar"), ada.ctag("calendar")
    place = f"{ada.home}calendar"
    assert first.hrefs() == {f"{place}/{name}.ics" for name in ("one", "two", "three")}
    assert ada.sync("calendar", first.token).hrefs() == set()
    assert ada.ctag("calendar") == ctag
    ada.put("calendar/two.ics", event("two", "Another"))
    ada.ask("DELETE", f"{place}/three.ics")
    ada.put("contacts/grace.vcf", contact("grace", "Grace"))
    second = ada.sync("calendar", first.token)
    assert second.hrefs() == {f"{place}/two.ics"}
    assert second.hrefs("404") == {f"{place}/three.ics"}
    assert ada.ctag("calendar") != ctag
    assert ada.sync("calendar", second.token).hrefs() == set()
    for token in ("data:,", "data:,999-1", "data:,1-99999", "http://example.com/", "data:,x"):
        assert "valid-sync-token" in ada.sync("calendar", token).text


def test_a_query_by_time_finds_what_is_then(ada: DavClient) -> None:
    ada.put("calendar/may.ics", event("may", start="20260501T100000Z"))
    ada.put("calendar/june.ics", event("june", start="20260601T100000Z"))
    query = (
        '<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/>'
        '</prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">'
        '<C:time-range start="20260520T000000Z" end="20260620T000000Z"/></C:comp-filter>'
        "</C:comp-filter></C:filter></C:calendar-query>"
    )
    answer = ada.ask("REPORT", f"{ada.home}calendar/", query, Depth="1")
    assert answer.hrefs() == {f"{ada.home}calendar/june.ics"}


def test_a_whole_calendar_comes_and_goes_as_one(ada: DavClient) -> None:
    one, two = event("one"), event("two")
    whole = one.replace("END:VCALENDAR\r\n", two.split("EN\r\n", 1)[1])
    assert ada.put("old/", whole).status == 201
    listing = ada.ask("PROPFIND", f"{ada.home}old/", Depth="1")
    assert listing.hrefs() == {
        f"{ada.home}old/",
        *(f"{ada.home}old/{n}.ics" for n in ("one", "two")),
    }
    assert ada.get("old/").text.count("BEGIN:VEVENT") == 2
    target = f"http://127.0.0.1:{ada.port}{ada.home}calendar/moved.ics"
    assert ada.ask("MOVE", f"{ada.home}old/one.ics", Destination=target).status == 201
    assert ada.get("old/one.ics").status == 404
    assert "UID:one" in ada.get("calendar/moved.ics").text
    assert ada.ask("DELETE", f"{ada.home}old/").status == 200
    assert ada.get("old/two.ics").status == 404


def test_nobody_gets_at_what_is_another_persons(ada: DavClient) -> None:
    ada.put("calendar/tea.ics", event("tea"))
    bob = DavClient(ada.port, BOB)
    tea = f"{ada.home}calendar/tea.ics"
    for method, path in (("GET", tea), ("PROPFIND", ada.home), ("DELETE", tea)):
        assert bob.ask(method, path, Depth="1").status in {403, 404}
    assert bob.ask("PUT", tea, event("tea", "Bob was here")).status in {403, 404}
    assert bob.put("../ada@example.com/calendar/tea.ics", event("tea", "Bob")).status != 201
    assert "SUMMARY:Tea" in ada.get("calendar/tea.ics").text
    assert bob.ask("PROPFIND", "/", Depth="1").hrefs() <= {"/", bob.home}


def test_a_wrong_password_opens_nothing(ada: DavClient) -> None:
    for wrong in ("wrong", "", PASSWORD + " "):
        answer = DavClient(ada.port, ADA, wrong).ask("PROPFIND", ada.home)
        assert (answer.status, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")


def test_an_app_password_for_calendars_opens_them_and_no_mail(stack: Stack, ada: DavClient) -> None:
    ada.put("calendar/tea.ics", event("tea"))
    phone = DavClient(ada.port, ADA, add_app(stack, "dav"))
    assert "SUMMARY:Tea" in phone.get("calendar/tea.ics").text
    assert DavClient(ada.port, ADA, add_app(stack, "send")).get("calendar/").status == 401
    assert DavClient(ada.port, ADA, add_app(stack, "mail")).get("calendar/").status == 401
    both = DavClient(ada.port, ADA, add_app(stack, "mail", "dav"))
    assert "SUMMARY:Tea" in both.get("calendar/tea.ics").text
    # With the key that it brings, the file of the mail does not open.
    assert not list(stack.files.vaults.glob(f"{person_id(ADA)}.vault"))


def test_one_login_is_enough_for_many_requests(
    stack: Stack, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argon2id for each request would take a small machine's whole processor."""
    logins: list[str] = []
    real = Accounts.log_in

    def log_in(self: Accounts, *arguments: Any, **more: Any) -> Any:
        logins.append(arguments[1])
        return real(self, *arguments, **more)

    monkeypatch.setattr(Accounts, "log_in", log_in)
    ada = DavClient(serve(stack), ADA)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ada.ask("PROPFIND", ada.home).status))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert statuses == [207] * 12
    assert logins == [PASSWORD]
    # What was right does not make anything else right.
    assert DavClient(ada.port, ADA, "wrong").ask("PROPFIND", ada.home).status == 401
    assert DavClient(ada.port, BOB).ask("PROPFIND", ada.home).status in {403, 404}
    assert logins == [PASSWORD, "wrong", PASSWORD]


def test_everything_is_there_after_a_restart(files: Files, serve: Serve) -> None:
    before = Stack(files)
    ada = DavClient(serve(before), ADA)
    ada.put("calendar/tea.ics", event("tea"))
    state = ada.sync("calendar").token
    before.stop()
    assert ada.get("calendar/tea.ics").status == 503  # and no question for another password
    after = Stack(files)
    try:
        again = DavClient(serve(after), ADA)
        assert "SUMMARY:Tea" in again.get("calendar/tea.ics").text
        assert again.sync("calendar", state).hrefs() == set()
    finally:
        after.stop()


def test_nothing_of_it_can_be_read_on_the_disk(
    stack: Stack, ada: DavClient, tmp_path: Path
) -> None:
    ada.put("calendar/secret.ics", event("uid-gossamer", "Marmalade-conspiracy"))
    ada.put("contacts/secret.vcf", contact("uid-gossamer", "Xylophone Quartz"))
    words = ("uid-gossamer", "Marmalade-conspiracy", "Xylophone Quartz", "secret.ics")
    wanted = {form for word in words for form in spellings(word.encode())}
    files = list(tmp_path.rglob(f"{person_id(ADA)}.dav*"))
    assert len(files) > 1
    assert list(files_with(tmp_path, wanted)) == []
    stack.stop()
    assert list(files_with(tmp_path, wanted)) == []


def test_a_reset_seals_calendars_too_until_the_person_unlocks_them(
    stack: Stack, ada: DavClient, serve: Serve
) -> None:
    ada.put("calendar/tea.ics", event("tea"))
    with stack.imap(ADA):
        pass
    assert person(stack, "password", ADA, "--reset", lines=(NEW,))["sealed"] is True
    after = DavClient(serve(stack), ADA, NEW)
    assert after.get("calendar/tea.ics").status == 404
    after.put("calendar/now.ics", event("now"))
    assert person(stack, "unlock-old", ADA, lines=(PASSWORD,))["opened"] == 1
    with stack.imap(ADA, NEW):
        wait_for(
            lambda: not (stack.files.vaults / f"{person_id(ADA)}.dav").exists(),
            what="the old calendars moved in",
            timeout=DEADLINE,
            interval=0.02,
        )
    assert "SUMMARY:Tea" in after.get("calendar-2/tea.ics").text
    assert "UID:now" in after.get("calendar/now.ics").text


# The file by itself.


def item(href: str, text: str = "text") -> Item:
    return Item(href, f"uid of {href}", "VEVENT", f'"{text}"', 0, 10, text)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[CollectionFile]:
    opened = CollectionFile(tmp_path / "x.dav", DataKey(bytes(32)))
    opened.create("calendar", {"tag": "VCALENDAR"}, [], None)
    yield opened
    opened.close()


def test_who_was_away_too_long_reads_all_anew(
    file: CollectionFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_file, "KEPT_REMOVALS", 2)
    state, _ = file.changes("calendar", "")
    for number in range(4):
        file.put("calendar", item(f"{number}"), None)
    middle, _ = file.changes("calendar", state)
    for number in range(3):
        file.remove("calendar", f"{number}")
    with pytest.raises(UnknownStateError):
        file.changes("calendar", middle)
    assert list(file.changes("calendar", "")[1]) == ["3"]
    # Made anew, it has another identity: what is known of the old one counts no more.
    now, _ = file.changes("calendar", "")
    file.create("calendar", {"tag": "VCALENDAR"}, [item("a")], None)
    with pytest.raises(UnknownStateError):
        file.changes("calendar", now)


def test_a_limit_counts_all_texts(file: CollectionFile) -> None:
    file.put("calendar", item("a", "x" * 600), 1000)
    with pytest.raises(OverQuotaError):
        file.put("calendar", item("b", "x" * 600), 1000)
    with pytest.raises(OverQuotaError):
        file.create("other", {}, [item("b", "x" * 600)], 1000)
    assert [found.name for found in file.collections()] == ["calendar"]
    file.put("calendar", item("a", "x" * 900), 1000)
    file.remove("calendar", "a")
    file.put("calendar", item("b", "x" * 600), 1000)
    file.delete("calendar")
    file.create("calendar", {}, [item("c", "x" * 1000)], 1000)


def test_pages_have_everything_once(file: CollectionFile) -> None:
    for number in range(7):
        file.put("calendar", item(f"{number}", "x" * 100), None)
    seen: list[str] = []
    more = True
    while more:
        page, more = file.items("calendar", Wanted(), seen[-1] if seen else "", 250)
        assert 1 <= len(page) <= 2
        seen += [found.href for found in page]
    assert seen == [f"{number}" for number in range(7)]
    assert [f.href for f in file.items("calendar", Wanted(("5", "9")), "", 999)[0]] == ["5"]
    with pytest.raises(NoSuchCollectionError):
        file.items("nowhere", Wanted(), "", 1)


def test_a_former_file_is_moved_in_once(file: CollectionFile) -> None:
    file.put("calendar", item("now"), None)
    former = [
        (Collection("", {}, "1-1", 0), []),
        (Collection("calendar", {"tag": "VCALENDAR"}, "2-2", 0), [item("then")]),
        (Collection("contacts", {"tag": "VADDRESSBOOK"}, "3-3", 0), []),
    ]
    for _ in range(2):  # a crash came before its keys were destroyed
        file.move_in("f" * 32, former)
    found = {name: [i.href for i in items] for name, items in _by_name(file)}
    assert found == {"": [], "calendar": ["now"], "calendar-2": ["then"], "contacts": []}


def _by_name(file: CollectionFile) -> list[tuple[str, Any]]:
    return [(collection.name, items) for collection, items in file.everything()]
