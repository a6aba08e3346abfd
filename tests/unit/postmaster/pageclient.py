"""A browser as far as the web pages of `admin` need one: cookies, forms, redirects; no pictures."""

from __future__ import annotations

import html
import http.client
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.unit.postmaster.harness import DEADLINE

HOST = "mail.example.com"
Fields = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]  # as they were set
    text: str

    @property
    def words(self) -> str:
        """What a person reads."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text)).split())


def secret_on(reply: Reply) -> str:
    """The secret that a page shows once."""
    found = re.search(r'<p class="secret"[^>]*>([^<]+)<', reply.text)
    assert found, reply.words
    return found[1]


@dataclass
class PageClient:
    """One browser; it comes from the address that the proxy says."""

    port: int
    client: str = "192.0.2.7"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: str | None = None, **more: str) -> Reply:
        """Send one request, without following where it leads."""
        headers = {"Host": HOST, "Client-Address": self.client, **self.headers}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={v}" for name, v in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, headers)
            found = connection.getresponse()
            data = found.read().decode()
        finally:
            connection.close()
        cookies = found.headers.get_all("Set-Cookie") or []
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value.strip('"')
        return Reply(found.status, dict(found.getheaders()), cookies, data)

    def open(self, path: str) -> Reply:
        """Load a page, wherever it leads."""
        reply = self.ask("GET", path)
        while reply.status == 303:
            reply = self.ask("GET", reply.headers["location"])
        return reply

    def token(self, path: str) -> str:
        """The token of the forms of a page."""
        found = re.search(r'name="form" value="(\w+)"', self.open(path).text)
        assert found, f"no form at {path}"
        return found[1]

    def post(self, path: str, fields: Fields, **more: str) -> Reply:
        """Send a form as a browser does, without following where it leads."""
        headers = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Origin": f"https://{HOST}",
            "Sec_Fetch_Site": "same-origin",
        }
        return self.ask("POST", path, urllib.parse.urlencode(fields, True), **headers | more)

    def send(self, path: str, fields: Fields, *, to: str = "") -> Reply:
        """Fill in the form of a page and send it, and go where it leads."""
        reply = self.post(to or path, {"form": self.token(path), **fields})
        return self.open(reply.headers["location"]) if reply.status == 303 else reply

    def sign_in(self, address: str, password: str) -> Reply:
        """Log in."""
        return self.send("/sign-in", {"address": address, "password": password})


Open = Callable[[], PageClient]  # one more browser
