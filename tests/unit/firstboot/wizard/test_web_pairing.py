"""Who gets to the questions: pairing, sessions, forms, and what the console shows for it."""

from __future__ import annotations

import http.client
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from firstboot.base.firewall import SETUP_HTTPS
from firstboot.wizard.web import forms, pairing, server
from firstboot.wizard.web.app import COOKIE
from firstboot.wizard.web.invitation import (
    Invitation,
    ask_for_code,
    draw_invitation,
    read_invitation,
    write_invitation,
)
from firstboot.wizard.web.pairing import MOST_WRONG, Pairing, Sessions
from firstboot.wizard.web.redirect import location
from firstboot.wizard.web.service import Surroundings
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.wizard.client import Client, hidden_fields
from tests.unit.firstboot.wizard.site import SECONDS, Site

INVITATION = Invitation(
    ("https://192.0.2.10", "https://[2001:db8::10]"), "12345678", ":".join(["AB"] * 32)
)
PAGES = ("/", "/start", "/step/domains", "/summary", "/progress", "/reopen")


def test_a_right_code_pairs_once(site: Site) -> None:
    code = site.invitation.code
    with Client(site) as first, Client(site) as second:
        assert first.pair().url.endswith("/start")
        refused = second.submit("/pair", {"code": code})
        assert refused.status_code == 403
        assert "not the code" in refused.text
        shown = site.await_new_code(code)
        assert shown.paired == 1
        assert second.submit("/pair", {"code": shown.shown_code}).url.endswith("/start")


def test_five_wrong_codes_lock_pairing_until_the_console_is_used(site: Site) -> None:
    right = site.invitation.code
    wrong = f"{(int(right) + 1) % 10**8:08}"
    with Client(site) as client:
        form = hidden_fields(client.get("/pair").text)
        for _ in range(MOST_WRONG):
            assert client.post("/pair", {**form, "code": wrong}).status_code == 403
        page = client.get("/pair").text
        assert "Pairing is locked" in page
        assert 'name="code"' not in page
        assert client.post("/pair", {**form, "code": right}).status_code == 403
        site.wait_until(lambda: site.invitation.locked)
        ask_for_code(site.paths.invitation)
        site.await_new_code("")
        assert client.pair().url.endswith("/start")


def test_an_unpaired_browser_gets_nothing_but_the_question_for_the_code(site: Site) -> None:
    with Client(site) as client:
        for path in PAGES:
            answer = client.get(path, follow=False)
            assert (answer.status_code, answer.headers.get("location")) in {
                (303, "/pair"),
                (405, None),
            }, path
            sent = client.post(path, {"x": "y"}, allow_redirects=False)
            assert sent.status_code in {303, 405}
        assert client.get("/nothing").status_code == 404


def test_every_answer_keeps_to_itself(site: Site) -> None:
    with Client(site) as client:
        answers = [client.get(path, follow=False) for path in ("/pair", "/", "/style.css", "/x")]
        answers += [client.pair(), client.get("/step/network"), client.post("/summary", {})]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<script" not in answer.text
    cookie = answers[0].headers["Set-Cookie"].lower()
    for flag in ("__host-", "secure", "httponly", "samesite=strict", "path=/"):
        assert flag in cookie


def test_pairing_changes_the_token_of_the_browser(site: Site) -> None:
    with Client(site) as client:
        client.get("/pair")
        before = client.session.cookies[COOKIE]
        client.pair()
        assert client.session.cookies[COOKIE] != before


@pytest.mark.parametrize("page", ["/pair", "/step/network", "/summary"])
def test_a_form_counts_only_from_its_own_page(site: Site, page: str) -> None:
    with Client(site) as client:
        client.get("/pair")
        if page != "/pair":
            client.pair()
        other = hidden_fields(client.get("/step/disk" if page != "/pair" else "/pair").text)
        forms_sent: list[dict[str, str]] = [{"x": "y"}, {"form": ""}, {"form": "0" * 64}]
        if page != "/pair":
            forms_sent.append(other)
        for form in forms_sent:
            assert client.post(page, form).status_code == 403
        foreign = client.post(page, other, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "another site" in foreign.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x=" + b"a" * forms.MOST_BYTES, forms.TYPE, 413),
        (b"&".join([b"x=y"] * (forms.MOST_FIELDS + 1)), forms.TYPE, 400),
        (b"x=%ff", forms.TYPE, 400),
        (b"x=\xff", forms.TYPE, 400),
        (b"{}", "application/json", 415),
        (b"", "", 415),
    ],
)
def test_a_form_that_no_page_sends_is_refused(
    site: Site, body: bytes, kind: str, status: int
) -> None:
    with Client(site) as client:
        answer = client.session.post(
            f"{site.address}/pair", data=body, headers={"Content-Type": kind}, timeout=60
        )
    assert answer.status_code == status
    assert "Not taken" in answer.text


def test_a_form_that_does_not_come_in_time_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "BODY_SECONDS", 0.2)
    head = (
        f"POST /pair HTTP/1.1\r\nHost: x\r\nContent-Type: {forms.TYPE}\r\nContent-Length: 9\r\n\r\n"
    )
    with site.connect() as connection:
        connection.sendall(head.encode() + b"x=")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.2)
    with site.connect() as silent, site.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""


def test_a_browser_that_goes_from_page_to_page_keeps_its_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocols: list[Any] = []
    real = server._BoundedProtocol.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        real(self, transport)
        protocols.append(self)

    def let_time_pass() -> None:
        """As if CONNECTION_SECONDS were over."""
        protocol, done = protocols[0], threading.Event()
        protocol.loop.call_soon_threadsafe(protocol._end, protocol.transport, False)
        protocol.loop.call_soon_threadsafe(done.set)
        assert done.wait(SECONDS)

    monkeypatch.setattr(server._BoundedProtocol, "connection_made", connection_made)
    with site.connect() as secure:
        browser = http.client.HTTPConnection("x")
        browser.sock = secure
        assert status_of(browser) == 200
        site.wait_until(lambda: protocols[0].cycle.response_complete)
        let_time_pass()
        assert status_of(browser) == 200
        secure.sendall(b"GET / HTTP")
        site.wait_until(lambda: bool(protocols[0].conn.trailing_data[0]))
        let_time_pass()
        assert secure.recv(1) == b""


def status_of(browser: http.client.HTTPConnection) -> int:
    browser.request("GET", "/icon.svg")
    answer = browser.getresponse()
    answer.read()
    return answer.status


def test_more_connections_than_can_be_served_are_not_held(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    with site.connect(), site.connect(), site.connect() as third:
        assert third.recv(1) == b""


def test_port_80_leads_to_https(site: Site) -> None:
    with requests.Session() as plain:
        plain.trust_env = False
        answer = plain.get(
            f"{site.plain_address}/step/x",
            headers={"Host": "mail.example.com"},
            allow_redirects=False,
            timeout=60,
        )
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://mail.example.com/")


@pytest.mark.parametrize(
    ("host", "there"),
    [
        ("192.0.2.1:80", "https://192.0.2.1/"),
        ("[2001:db8::1]", "https://[2001:db8::1]/"),
        ("a@evil.example", "https://192.0.2.7/"),
        ("x\r\ny", "https://192.0.2.7/"),
        ("", "https://192.0.2.7/"),
    ],
)
def test_where_port_80_leads(host: str, there: str) -> None:
    assert location(host, "192.0.2.7") == there


def test_a_session_ends_when_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    token = sessions.begin()
    assert sessions.find(token) is not None
    monkeypatch.setattr(pairing, "IDLE_SECONDS", -1.0)
    assert sessions.find(token) is None


def test_there_are_not_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "MOST_SESSIONS", 2)
    sessions = Sessions()
    first, second, third = (sessions.begin() for _ in range(3))
    assert sessions.find(first) is None
    assert sessions.find(second) is not None
    assert sessions.find(third) is not None


def test_a_code_has_eight_digits_and_may_be_typed_with_spaces() -> None:
    codes = {Pairing().code for _ in range(20)}
    assert len(codes) > 1
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    one = Pairing(code="00012345")
    assert one.redeem(" 0001-2345 ")
    assert not one.redeem("")


def test_an_invitation_is_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "setup/invitation.json"
    assert read_invitation(path) is None
    write_invitation(path, INVITATION)
    assert read_invitation(path) == INVITATION
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_an_invitation_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "invitation.json"
    path.write_text(content)
    assert read_invitation(path) is None


def test_the_invitation_fits_a_console(programs: FakePrograms) -> None:
    programs.add("qrencode", f"for line in $(seq 19); do echo {'X' * 37}; done")
    lines = draw_invitation(INVITATION)
    assert len(lines) <= 19
    assert lines[0].startswith("X" * 37)
    assert max(map(len, lines)) <= 80
    shown = "\n".join(lines)
    for text in ("https://192.0.2.10", "1234 5678", "AB:AB:AB"):
        assert text in shown
    assert INVITATION.link == "https://192.0.2.10/pair?code=12345678"


def test_a_long_address_takes_the_room_of_the_code(programs: FakePrograms) -> None:
    programs.add("qrencode", f"for line in $(seq 19); do echo {'X' * 37}; done")
    address = "https://[2001:db8:85a3:1234:5678:8a2e:370:7334]"
    lines = draw_invitation(Invitation((address,), "12345678", INVITATION.fingerprint))
    assert max(map(len, lines)) <= 80
    assert f"  {address}" in lines
    both = draw_invitation(
        Invitation(("https://192.0.2.10", address), "12345678", INVITATION.fingerprint)
    )
    assert max(map(len, both)) <= 80


def test_the_invitation_says_what_is_missing(programs: FakePrograms) -> None:
    locked = "\n".join(draw_invitation(Invitation(INVITATION.addresses, "", "AB")))
    assert "locked" in locked
    assert "192.0.2.10" not in locked
    lonely = "\n".join(draw_invitation(Invitation((), "12345678", "AB")))
    assert "no network address" in lonely


def test_the_code_of_a_link_is_filled_in(site: Site) -> None:
    with Client(site) as client:
        page = client.get("/pair?code=1234%205678%22%3E").text
        assert 'value="12345678"' in page
        assert json.dumps(site.invitation.code) not in page
        assert site.invitation.fingerprint in page


@pytest.mark.parametrize(("port", "shown"), [(SETUP_HTTPS, ""), (443, ""), (4711, ":4711")])
def test_the_address_is_that_of_443_wherever_it_listens(site: Site, port: int, shown: str) -> None:
    """The firewall leads 443 there: the services' own web server has that while setup goes on."""
    assert Surroundings.https_port == SETUP_HTTPS
    site.service.ports = (port, 0)
    hosts = ("127.0.0.1", "[2001:db8::10]")
    assert site.service._addresses() == tuple(f"https://{host}{shown}" for host in hosts)
