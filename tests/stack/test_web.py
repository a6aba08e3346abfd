"""Port 443: how programs set themselves up, and calendars and contacts behind it."""

from __future__ import annotations

import plistlib
from xml.etree import ElementTree as ET

import pytest

from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import new_mark
from tests.stack.people import EXAMPLE, GRACE
from tests.stack.plaintext import files_with, spellings
from tests.stack.web import Web
from tests.unit.postmaster.davclient import contact, event
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp

OUTLOOK = """<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>{}</EMailAddress><AcceptableResponseSchema>
http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a
</AcceptableResponseSchema></Request></Autodiscover>"""
MOST_MEBIBYTES = {"proxy": 16, "dav": 64, "admin": 56}


@pytest.fixture
def web(mail: Mail) -> Web:
    return Web(mail)


@pytest.mark.parametrize(
    "path", ["/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"]
)
def test_thunderbird_learns_servers_and_ports(web: Web, path: str) -> None:
    reply = web.ask("GET", f"{path}?emailaddress=ada%40example.com")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/xml")
    found = ET.fromstring(reply.body)  # noqa: S314 - our own
    assert [name.text for name in found.iter("domain")] == ["example.com"]
    servers = [
        (server.get("type"), server.findtext("port"), server.findtext("socketType"))
        for kind in ("incomingServer", "outgoingServer")
        for server in found.iter(kind)
    ]
    assert servers == [
        ("imap", "993", "SSL"),
        ("pop3", "995", "SSL"),
        ("smtp", "465", "SSL"),
        ("smtp", "587", "STARTTLS"),
    ]
    assert {name.text for name in found.iter("hostname")} == {EXAMPLE.hostname}


def test_outlook_gets_its_address_back(web: Web) -> None:
    path = "/Autodiscover/Autodiscover.xml"
    reply = web.ask("POST", path, OUTLOOK.format(ADA.address))
    assert reply.status == 200
    names = {name.tag.rpartition("}")[2]: name.text for name in ET.fromstring(reply.body).iter()}  # noqa: S314
    assert (names["LoginName"], names["Server"]) == (ADA.address, EXAMPLE.hostname)
    for odd in ("", "nobody", "a&amp;b@example.com", "x@y<b>", "a\nb@example.com", "$host@x"):
        reply = web.ask("POST", path, OUTLOOK.format(odd))
        assert reply.status == 400 or b"<LoginName>$host@x</LoginName>" in reply.body
    assert web.ask("GET", path).status == 403
    assert web.ask("POST", path, "x" * 100_000).status == 413


def test_apple_gets_a_profile(web: Web) -> None:
    reply = web.ask("GET", "/mailstead.mobileconfig")
    assert reply.headers["Content-Type"] == "application/x-apple-aspen-config"
    mail, calendars, contacts = plistlib.loads(reply.body)["PayloadContent"]
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (
        EXAMPLE.hostname,
        993,
    )
    assert (calendars["CalDAVHostName"], contacts["CardDAVPort"]) == (EXAMPLE.hostname, 443)


def test_there_is_no_policy_without_a_certificate_that_all_trust(web: Web) -> None:
    assert web.ask("GET", "/.well-known/mta-sts.txt").status == 404


@pytest.mark.parametrize("path", ["/", "/nothing", "/dav/", "/mail/config-v1.1.xml"])
def test_every_answer_is_strict_and_says_little(web: Web, path: str) -> None:
    headers = web.ask("GET", path).headers
    assert headers["Server"] == "nginx"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("kind", ["caldav", "carddav"])
def test_programs_are_led_to_calendars_and_contacts(web: Web, kind: str) -> None:
    reply = web.ask("PROPFIND", f"/.well-known/{kind}")
    assert (reply.status, reply.headers["Location"]) == (301, f"https://{EXAMPLE.hostname}/dav/")
    reply = web.ask("PROPFIND", "/dav/", person=ADA, Depth="0")
    assert reply.status == 207
    assert b"/dav/ada%40example.com/" in reply.body


def test_an_event_and_a_contact_go_round_and_are_nowhere_in_clear(
    web: Web, stack: StackUp, boxes: Boxes
) -> None:
    mark = new_mark()
    home = f"/dav/{GRACE.address}"
    words = {
        form
        for word in (f"meeting-{mark}", f"friend-{mark}", f"{mark}.ics")
        for form in spellings(word.encode())
    }
    made = event(mark, f"meeting-{mark}")
    assert web.ask("PUT", f"{home}/calendar/{mark}.ics", made, GRACE).status == 201
    made = contact(mark, f"friend-{mark}")
    assert web.ask("PUT", f"{home}/contacts/{mark}.vcf", made, GRACE).status == 201
    found = web.ask("GET", f"{home}/calendar/{mark}.ics", person=GRACE)
    assert f"SUMMARY:meeting-{mark}".encode() in found.body
    # What is refused is not told to the log, either.
    broken = made.replace("END:VCARD", f"ADR:friend-{mark}")
    assert web.ask("PUT", f"{home}/contacts/broken.vcf", broken, GRACE).status == 400
    assert list((stack.home.state / "mailstore/vaults").glob("*.dav-wal"))
    assert list(files_with(stack.home.state, words)) == []
    for service, container in boxes.ids.items():
        written: bytes = boxes.api.logs(container)
        assert [word for word in words if word in written] == [], service
    # Moved within, by a full address, and nowhere else.
    old, new = (f"{home}/calendar/{name}.ics" for name in (mark, f"moved-{mark}"))
    for host, status in (("elsewhere.example.net", 502), (web.host, 201)):
        moved = web.ask("MOVE", old, person=GRACE, Destination=f"https://{host}{new}")
        assert moved.status == status
    back = web.ask("MOVE", new, person=GRACE, Destination=f"https://{web.host}{old}")
    assert back.status == 201
    # Another person, nobody, and a wrong password.
    assert web.ask("GET", f"{home}/calendar/{mark}.ics", person=ADA).status in {403, 404}
    assert web.ask("GET", f"{home}/calendar/{mark}.ics").status == 401
    wrong = web.ask("GET", f"{home}/calendar/{mark}.ics", person=GRACE, password="wrong")
    assert wrong.status == 401


def test_what_was_answered_is_there_after_a_crash(web: Web, all_well: Boxes) -> None:
    mark = new_mark()
    path = f"/dav/{GRACE.address}/calendar/{mark}.ics"
    assert web.ask("PUT", path, event(mark), GRACE).status == 201
    all_well.crash("mailstore")
    all_well.mend()
    assert web.ask("GET", path, person=GRACE).status == 200


def test_without_dav_the_rest_is_served(web: Web, all_well: Boxes) -> None:
    all_well.kill("dav")
    assert web.ask("PROPFIND", "/dav/", person=ADA).status in {502, 504}
    assert web.ask("GET", "/mail/config-v1.1.xml").status == 200
    all_well.start("dav")
    all_well.mend()
    assert web.ask("PROPFIND", "/dav/", person=ADA, Depth="0").status == 207


@pytest.mark.parametrize("service", sorted(MOST_MEBIBYTES))
def test_it_needs_little_memory(stack: StackUp, service: str) -> None:
    containers = {found.service: found for found in stack.engine.containers(stack.home.project)}
    used = stack.engine.memory(containers[service])
    assert used is not None
    assert used < MOST_MEBIBYTES[service] * 1024 * 1024
