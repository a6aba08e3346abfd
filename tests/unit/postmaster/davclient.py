"""A client for CalDAV and CardDAV that does no more than it is told."""

from __future__ import annotations

import http.client
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from tests.unit.postmaster.harness import DEADLINE, PASSWORD

DAV = "{DAV:}"


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    def hrefs(self, status: str = "200 OK") -> set[str]:
        """What a multistatus (RFC 4918 13) says of resources with a status."""
        return {
            unquote(found.findtext(f"{DAV}href", ""))
            for found in ET.fromstring(self.text).iter(f"{DAV}response")  # noqa: S314 - from our server
            if any(status in (code.text or "") for code in found.iter(f"{DAV}status"))
        }

    @property
    def token(self) -> str:
        """The sync-token of a report (RFC 6578)."""
        return ET.fromstring(self.text).findtext(f"{DAV}sync-token", "")  # noqa: S314


@dataclass(frozen=True)
class DavClient:
    """Somebody's requests, each over a connection of its own."""

    port: int
    person: str
    password: str = PASSWORD

    @property
    def home(self) -> str:
        return f"/{self.person}/"

    def ask(self, method: str, path: str, text: str = "", **headers: str) -> Answer:
        """Make a request; `_` in a header's name stands for `-`."""
        login = b64encode(f"{self.person}:{self.password}".encode()).decode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(
                method, path, text.encode(), {"Authorization": f"Basic {login}", **sent}
            )
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read().decode())
        finally:
            connection.close()

    def put(self, path: str, text: str, **headers: str) -> Answer:
        """Upload an event or a contact to a path below the person's own."""
        return self.ask("PUT", self.home + path, text, **headers)

    def get(self, path: str) -> Answer:
        """Fetch a path below the person's own."""
        return self.ask("GET", self.home + path)

    def sync(self, collection: str, token: str = "") -> Answer:
        """Ask what has changed since a token."""
        report = (
            '<sync-collection xmlns="DAV:">'
            f"<sync-token>{token}</sync-token><sync-level>1</sync-level>"
            "<prop><getetag/></prop></sync-collection>"
        )
        return self.ask("REPORT", f"{self.home}{collection}/", report)

    def ctag(self, collection: str) -> str:
        """The CTag of a collection, which changes with everything in it."""
        asked = (
            '<propfind xmlns="DAV:" xmlns:CS="http://calendarserver.org/ns/">'
            "<prop><CS:getctag/></prop></propfind>"
        )
        answer = self.ask("PROPFIND", f"{self.home}{collection}/", asked, Depth="0")
        found = re.search(r"getctag[^>]*>([^<]+)<", answer.text)
        assert found is not None, answer.text
        return found[1]


def event(uid: str, summary: str = "Tea", start: str = "20260101T100000Z") -> str:
    """An event of an hour (RFC 5545)."""
    end = f"{start[:9]}{int(start[9:11]) + 1:02}{start[11:]}"
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Mailstead//Tests//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
        f"DTSTART:{start}",
        f"DTEND:{end}",
        f"SUMMARY:{summary}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return "\r\n".join(lines)


def contact(uid: str, name: str) -> str:
    """A contact (RFC 2426)."""
    lines = ("BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{name}", f"N:{name};;;;", "END:VCARD")
    return "\r\n".join((*lines, ""))
