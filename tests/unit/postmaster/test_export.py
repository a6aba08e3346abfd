"""What one's own mail takes, and all of it as one file: from the page to the vault and back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import mailbox
import os
import re
import socket
import urllib.parse
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstboot.base.audit import read_audit
from firstboot.base.waiting import wait_for
from firstboot.vaults.sources import read_source
from postmaster.admin.machine_link import MachineError, MachineLink
from postmaster.crypto import DataKey
from postmaster.dav.link import Address
from postmaster.dav.server import DavOptions, serving_dav
from postmaster.directory import passes, second_factors
from postmaster.directory.passes import Passes, Purpose
from postmaster.export.archive import Archive
from postmaster.export.link import ExportError, VaultLink
from postmaster.export.mbox import PIECE_BYTES, mbox_entry
from postmaster.export.protocol import LENGTH, Problem
from postmaster.query import Unlock
from postmaster.storage.interface import Content, Message
from tests.unit.postmaster.davclient import DavClient, contact, event
from tests.unit.postmaster.harness import ADA, DEADLINE, PASSWORD, RawImap, Stack, until
from tests.unit.postmaster.machine import Machine
from tests.unit.postmaster.pageclient import HOST, Reply
from tests.unit.postmaster.test_second_factor import Clock, set_up

HELLO = b"Subject: hello\r\n\r\nFrom here on,\r\n>From there.\r\n"
LONDON = (
    "BEGIN:VTIMEZONE\r\nTZID:Europe/London\r\nBEGIN:STANDARD\r\nDTSTART:19701025T020000\r\n"
    "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
CLIENT = "192.0.2.7"


@pytest.fixture
def signed_in(machine: Machine) -> Machine:
    machine.browser.sign_in(ADA, PASSWORD)
    return machine


@contextlib.contextmanager
def calendar_program(stack: Stack) -> Iterator[DavClient]:
    mailstore = Address("127.0.0.1", stack.ports.mailstore.dav)
    with serving_dav(DavOptions("127.0.0.1", 0, mailstore)) as port:
        yield DavClient(port, ADA)


def begin_export(machine: Machine, password: str = PASSWORD) -> http.client.HTTPResponse:
    """Press the button, and read nothing of the answer's body yet."""
    browser = machine.browser
    form = {"form": browser.token("/storage"), "password": password}
    connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=DEADLINE)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {
        "Host": HOST,
        "Client-Address": CLIENT,
        "Cookie": cookies,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": f"https://{HOST}",
    }
    connection.request("POST", "/storage/export", urllib.parse.urlencode(form), headers)
    return connection.getresponse()


def archive_of(machine: Machine) -> zipfile.ZipFile:
    reply = begin_export(machine)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip")
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert re.fullmatch(
        r'attachment; filename="mailstead-[0-9-]{10}\.zip"', reply.headers["Content-Disposition"]
    )
    found = zipfile.ZipFile(io.BytesIO(reply.read()))
    assert found.testzip() is None
    return found


def count(machine: Machine, password: str = PASSWORD) -> Reply:
    return machine.browser.send("/storage", {"password": password})


def pass_for(machine: Machine, purpose: str, login: str = ADA, password: str = PASSWORD) -> str:
    asked = {"from": CLIENT, "purpose": purpose}
    link = MachineLink(machine.socket)
    made = asyncio.run(link.ask("own.open", address=login, password=password, **asked))
    return str(made["pass"])


def vault_link(machine: Machine) -> VaultLink:
    return VaultLink("127.0.0.1", machine.stack.ports.mailstore.export)


def problem_of(machine: Machine, op: str, key: str) -> Problem:
    async def ask() -> None:
        link = vault_link(machine)
        await (link.count(key) if op == "count" else link.export(key, {}))

    with pytest.raises(ExportError) as caught:
        asyncio.run(ask())
    return caught.value.problem


# How much there is


def test_what_is_there_is_counted_by_folder(signed_in: Machine) -> None:
    assert "locked under your password" in signed_in.browser.open("/storage").words
    client = RawImap(signed_in.stack)
    client.ok("CREATE <i>")
    client.append(HELLO, '"<i>"')
    for _ in range(4):
        assert client.append(b"Subject: large\r\n\r\n" + b"x" * 200_000, '"<i>"')[:2] == b"OK"
    client.close()
    reply = count(signed_in)
    assert reply.status == 200
    assert "<i> 781.4 KiB · messages: 5" in reply.words
    assert "&lt;i&gt;" in reply.text
    assert "Inbox 0 bytes · messages: 0" in reply.words


def test_the_quota_shows_how_full_it_is(signed_in: Machine) -> None:
    settings = signed_in.stack.files.settings
    quota = "quota: 1M\n    aliases:"
    settings.write_text(settings.read_text().replace("aliases:", quota, 1))
    signed_in.stack.control(b'{"op": "reread"}')
    client = RawImap(signed_in.stack)
    for _ in range(5):
        client.append(b"Subject: x\r\n\r\n" + b"x" * 200_000)
    client.close()
    reply = count(signed_in)
    assert "of 1 MiB, 95 %" in reply.words
    assert "Little room is left." in reply.words


def test_counting_takes_the_password(signed_in: Machine) -> None:
    for wrong in ("", "guessed"):
        reply = count(signed_in, wrong)
        assert (reply.status, "not your password" in reply.words) == (422, True)
        assert "messages:" not in reply.words
    assert read_audit(signed_in.paths.audit) == ()


# All of it


def test_everything_comes_as_one_file(signed_in: Machine, tmp_path: Path) -> None:
    stack = signed_in.stack
    # Sealed, since she has not logged in to her mail yet: the export is the first login.
    assert stack.deliver(b"Subject: sealed\r\n\r\nwhile locked\r\n") == {}
    with calendar_program(stack) as program:
        assert program.put("calendar/tea.ics", event("tea", "Tea, with milk")).status == 201
        for name in ("one", "two"):
            text = event(name, name).replace("BEGIN:VEVENT", f"{LONDON}BEGIN:VEVENT")
            assert program.put(f"calendar/{name}.ics", text).status == 201
        assert program.put("contacts/bob.vcf", contact("bob", "Bob Ünal")).status == 201
    client = RawImap(stack)
    client.ok('CREATE "Work/2026: a"')
    client.append(HELLO, '"Work/2026: a"', "\\Seen \\Flagged")
    client.append(b"Subject: two\r\n\r\nno end", '"Work/2026: a"')
    client.ok("CREATE work")
    client.ok("CREATE WORK")
    client.close()

    archive = archive_of(signed_in)
    names = archive.namelist()
    assert names[:2] == ["README.txt", "settings.json"]
    assert {"mail/INBOX.mbox", "mail/Work/2026%3A a.mbox", "mail/Sent.mbox"} <= set(names)
    assert {"calendars/Calendar.ics", "contacts/Contacts.vcf"} <= set(names)
    # Files that would be one where A and a are the same.
    assert len({name.casefold() for name in names}) == len(names)
    assert ADA in archive.read("README.txt").decode()

    archive.extractall(tmp_path / "taken")
    kept = mailbox.mbox(tmp_path / "taken/mail/Work/2026%3A a.mbox")
    assert [(m["Subject"], m.get_flags()) for m in kept] == [("hello", "ROF"), ("two", "O")]
    inbox = archive.read("mail/INBOX.mbox")
    assert b"Subject: sealed\n" in inbox
    assert b"\nwhile locked\n" in inbox
    # `mailstead vault import` puts them back into their folders.
    again = [(item.folder, item.mail.raw) for item in read_source(tmp_path / "taken/mail")]
    assert [folder for folder, _ in again] == ["INBOX", "Work/2026: a", "Work/2026: a"]
    assert again[1][1].endswith(HELLO)

    calendar = archive.read("calendars/Calendar.ics").decode()
    assert calendar.count("BEGIN:VCALENDAR") == 1
    assert calendar.count("BEGIN:VEVENT") == 3
    assert calendar.count("BEGIN:VTIMEZONE") == 1
    assert "SUMMARY:Tea" in calendar
    assert calendar.endswith("END:VEVENT\r\nEND:VCALENDAR\r\n")
    assert "FN:Bob Ünal" in archive.read("contacts/Contacts.vcf").decode()
    counted = count(signed_in)
    assert re.search(r"Calendar [0-9.]+ (bytes|KiB) · entries: 3", counted.words)


def test_the_settings_are_in_it_without_what_is_secret(signed_in: Machine) -> None:
    made = signed_in.browser.send(
        "/app-passwords/new", {"label": "Telephone", "scope": "mail", "password": PASSWORD}
    )
    found = re.search(r'<p class="secret"[^>]*>([^<]+)<', made.text)
    assert found
    text = archive_of(signed_in).read("settings.json").decode()
    settings = json.loads(text)
    assert (settings["address"], settings["aliases"]) == (ADA, ["countess@example.com"])
    assert [app["label"] for app in settings["app_passwords"]] == ["Telephone"]
    assert found[1] not in text
    assert PASSWORD not in text


def test_it_is_noted_and_takes_the_password(signed_in: Machine) -> None:
    for wrong in ("", "guessed"):
        reply = begin_export(signed_in, wrong)
        assert (reply.status, "not your password" in reply.read().decode()) == (422, True)
    assert read_audit(signed_in.paths.audit) == ()
    archive_of(signed_in)
    (entry,) = read_audit(signed_in.paths.audit)
    assert (entry.who, entry.verb, entry.what) == (f"{ADA} {CLIENT}", "people.export", ADA)


def test_an_app_password_takes_nothing_out(signed_in: Machine) -> None:
    made = signed_in.browser.send(
        "/app-passwords/new",
        {"label": "x", "scope": ["mail", "send", "dav"], "password": PASSWORD},
    )
    found = re.search(r'<p class="secret"[^>]*>([^<]+)<', made.text)
    assert found
    with pytest.raises(MachineError) as caught:
        pass_for(signed_in, "export", password=found[1])
    assert caught.value.kind == "denied"


def test_a_second_factor_is_shown_at_the_sign_in(
    signed_in: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it takes the password alone here, which opens nothing elsewhere then."""
    clock = Clock()
    monkeypatch.setattr(second_factors, "now", clock)
    signed_in.stack.deliver(HELLO)
    with signed_in.stack.imap():
        pass
    set_up(signed_in.browser, clock)
    with pytest.raises(signed_in.stack.connect().error), signed_in.stack.imap():
        pass
    assert b"Subject: hello" in archive_of(signed_in).read("mail/INBOX.mbox")


def test_one_export_at_a_time_until_its_browser_goes_away(signed_in: Machine) -> None:
    client = RawImap(signed_in.stack)
    for _ in range(40):
        # So dense that it does not fit into the buffers on the way.
        client.append(b"Subject: x\r\n\r\n" + os.urandom(100_000).hex().encode())
    client.close()
    reply = begin_export(signed_in)
    assert reply.read(2) == b"PK"
    second = begin_export(signed_in)
    assert (second.status, "is under way" in second.read().decode()) == (429, True)
    # The browser goes away in the midst.
    reply.close()
    wait_for(
        lambda: begin_export(signed_in).status == 200,
        what="the end of the first",
        timeout=DEADLINE,
        interval=0.05,
    )


# Passes


def test_a_pass_works_once_and_for_one_purpose(signed_in: Machine) -> None:
    key = pass_for(signed_in, "count")
    assert asyncio.run(vault_link(signed_in).count(key))["messages"] == 0
    assert problem_of(signed_in, "count", key) is Problem.PASS
    assert problem_of(signed_in, "export", pass_for(signed_in, "count")) is Problem.PASS
    assert problem_of(signed_in, "count", pass_for(signed_in, "export")) is Problem.PASS
    assert problem_of(signed_in, "count", "guessed") is Problem.PASS


def test_a_pass_ends_and_its_key_with_it() -> None:
    async def check() -> None:
        known = Passes(seconds=0.01)
        unlocks = [Unlock("0" * 32, DataKey.random()) for _ in range(passes.MOST + 2)]
        made = [known.make(Purpose.COUNT, ADA, unlock) for unlock in unlocks]
        assert [unlock.key.wiped for unlock in unlocks[:3]] == [True, True, False]
        found = known.take(made[-1])
        assert found is not None
        await until(lambda: unlocks[-2].key.wiped, "the end of the passes")
        assert known.take(made[-2]) is None
        assert [unlock.key.wiped for unlock in unlocks] == [True] * (passes.MOST + 1) + [False]
        known.make(Purpose.COUNT, ADA, found.unlock)
        known.close()
        assert found.unlock.key.wiped

    asyncio.run(check())


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"\n",
        b"nonsense\n",
        b"[" * 5000 + b"\n",
        b'{"op": "export", "pass": "x"}\n',
        b'{"op": "export", "pass": "x", "texts": {"a": 1}}\n',
        b'{"op": "remove", "pass": "x"}\n',
        b'{"op": "count", "pass": "\\ud800"}\n',
        b"x" * 100_000 + b"\n",
    ],
    ids=["empty", "nothing", "words", "deep", "no-texts", "odd-texts", "op", "surrogate", "long"],
)
def test_nonsense_is_told_so(stack: Stack, line: bytes) -> None:
    with socket.create_connection(
        ("127.0.0.1", stack.ports.mailstore.export), DEADLINE
    ) as connection:
        connection.sendall(line)
        answer = json.loads(connection.makefile("rb").readline())
    assert answer == {"ok": False, "problem": "bad question"}


# The file itself


def test_a_file_that_does_not_become_whole_is_an_error() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"ok": true}\n' + LENGTH.pack(2) + b"PK")
        writer.close()

    async def check() -> None:
        server = await asyncio.start_server(half, "127.0.0.1", 0)
        async with server:
            link = VaultLink("127.0.0.1", server.sockets[0].getsockname()[1])
            pieces = await link.export("x", {})
            assert await anext(pieces) == b"PK"
            with pytest.raises(ConnectionError):
                await anext(pieces)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Subject: x\r\n\r\n", b"From here\r\n>From there\r\n" * 40_000),
        (b"Subject: x\r\n\r\n", b"x" * 700_000),
        (b"Subject: x\r\n", b""),
        (b"Subject: x", b""),
        (b"", b""),
    ],
    ids=["lines", "one-line", "no-body", "no-end", "nothing"],
)
def test_a_large_message_is_written_in_pieces(header: bytes, body: bytes) -> None:
    arrived = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    message = Message(1, frozenset(), arrived, 0, len(header + body), 1, 1)
    pieces = list(mbox_entry(Content(message, header, body)))
    if b"\n" in body:
        assert max(map(len, pieces)) < PIECE_BYTES + 100
    text = (header + body).replace(b"\r\n", b"\n").replace(b"From", b">From")
    end = b"\n" if text.endswith(b"\n") or not text else b"\n\n"
    head = b"From MAILER-DAEMON Tue Dec 01 00:00:00 2026\nStatus: O\n"
    assert b"".join(pieces) == head + text + end


def test_names_are_harmless_everywhere() -> None:
    archive = Archive()
    wanted = (
        "..",
        "a/b",
        "C:\\x",
        ".hidden",
        "",
        "a.mbox",
        "Ä",
        "ä",
        "Ä",
        "Con",
        "a\u202eb ",
        "\x85",
    )
    for name in wanted:
        archive.begin((name,), ".mbox")
    archive.begin(("a.mbox", "b"), ".mbox")
    archive.close()
    with zipfile.ZipFile(io.BytesIO(archive.take())) as found:
        names = found.namelist()
    assert names == [
        "%2E%2E.mbox",
        "a%2Fb.mbox",
        "C%3A%5Cx.mbox",
        "%2Ehidden.mbox",
        "%20.mbox",
        "a%2Embox.mbox",
        "Ä.mbox",
        "ä-2.mbox",
        "Ä-3.mbox",
        "%43%6F%6E.mbox",
        "a%E2%80%AEb%20.mbox",
        "%C2%85.mbox",
        "a%2Embox/b.mbox",
    ]


@pytest.mark.parametrize("letter", ["x", "Ä", "漢", "%", ". "])
def test_names_of_any_length_can_be_unpacked(letter: str, tmp_path: Path) -> None:
    archive = Archive()
    for levels in ((letter * 30_000,), (letter * 30_000,), (letter * 300, "x")):
        archive.begin(("calendars", *levels), ".ics")
        archive.write(b"x")
    archive.begin((letter,) * 30_000, ".mbox")
    archive.close()
    with zipfile.ZipFile(io.BytesIO(archive.take())) as found:
        found.extractall(tmp_path)
        names = found.namelist()
    assert len(set(names)) == 4
    for level in (level for name in names for level in name.split("/")):
        assert level.rstrip(". ") == level
        assert "\ufffd" not in urllib.parse.unquote(level)


def test_what_is_large_says_its_size_in_eight_bytes() -> None:
    archive = Archive()
    archive.begin(("large",), ".mbox", 3 << 30)
    archive.write(b"x")
    archive.close()
    data = archive.take()
    assert data[4:6] == b"\x2d\x00"  # version 4.5 (APPNOTE 4.4.3.2)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.read("large.mbox") == b"x"
