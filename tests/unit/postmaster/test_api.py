"""The API, over HTTP and the real socket to the machine's own code, with real tokens."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from firstboot.administration.protocol import SCOPES, Scope
from firstboot.administration.tokens import MOST_LABEL, Tokens
from firstboot.base.audit import read_audit
from firstboot.base.settings import require_settings
from firstboot.cli.results import result_types
from postmaster.admin.pages import tokens as page_of_tokens
from tests.unit.postmaster.harness import Files, Stack
from tests.unit.postmaster.machine import WAITING, Machine
from tests.unit.postmaster.pageclient import PageClient, Reply

BOB: dict[str, Any] = {
    "address": "bob@example.com",
    "password": "a long password",
    "aliases": [],
    "quota": "1G",
}

WRONG: tuple[tuple[str, str, Any, int], ...] = (
    ("GET", "", None, 404),
    ("GET", "/nothing", None, 404),
    ("DELETE", "/aliases/%0A", None, 404),
    ("GET", "/people/ada@example.com", None, 405),
    ("PUT", "/people", BOB, 405),
    ("OPTIONS", "/people", None, 405),
    ("GET", "/audit?last=0", None, 422),
    ("GET", "/audit?last=many", None, 422),
    ("GET", "/audit?last=1&last=2", None, 422),
    ("GET", "/audit?other=1", None, 422),
    ("GET", "/audit?verb=1&token=2&self=3", None, 422),
    ("GET", "/rates?per=week", None, 422),
    ("GET", "/log?days=32", None, 422),
    ("GET", "/log?most=0", None, 422),
    ("GET", "/log?from=a&from=b", None, 422),
    ("GET", "/log?sender=a", None, 422),
    ("GET", "/check?groups=none", None, 422),
    ("GET", "/check?outside=perhaps", None, 422),
    ("GET", "/dns?domain=example.net", None, 422),
    ("GET", "/dns?domain=%ff%00", None, 422),
    ("POST", "/people", "", 400),
    ("POST", "/people", "{", 400),
    ("POST", "/people", '{"address": NaN}', 400),
    ("POST", "/people", '{"a":' * 3000, 400),
    ("POST", "/people", '{"a":' * 300 + "1" + "}" * 300, 422),
    ("POST", "/people", '{"address": "\\ud800", "password": "a long password"}', 422),
    ("POST", "/people", "[]", 422),
    ("POST", "/people", {}, 422),
    ("POST", "/people", BOB | {"aliases": None}, 422),
    ("POST", "/people", BOB | {"token": "x", "verb": "y", "self": "z"}, 422),
    ("POST", "/people?address=x", BOB, 422),
    ("POST", "/people", BOB | {"password": "short"}, 409),
    ("POST", "/people", BOB | {"address": "ada@example.com"}, 409),
    ("POST", "/people", BOB | {"name": "x" * 17_000}, 413),
    ("PATCH", "/people/ada@example.com", {"address": "bob@example.com"}, 422),
    ("PATCH", "/people/nobody@example.com", {"name": "Nobody"}, 404),
    ("PATCH", "/people/" + "x" * 300, {"name": "Nobody"}, 422),
    ("DELETE", "/people/nobody@example.com", None, 404),
    ("DELETE", "/people/ada@example.com", None, 409),
    ("DELETE", "/aliases/nobody@example.com", None, 404),
    ("DELETE", "/domains/example.net", None, 404),
    ("DELETE", "/domains/example.com", None, 409),
    ("POST", "/queue/hold", {"ids": []}, 422),
    ("POST", "/queue/hold", {"ids": [1]}, 422),
)


@dataclass
class Program:
    """A program with a token."""

    client: PageClient
    token: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a body as JSON, or a text as it is."""
        if body is not None:
            body = body if isinstance(body, str) else json.dumps(body)
            headers = {"Content_Type": "application/json", **headers}
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}", **headers}
        reply = self.client.ask(method, f"/api/v1{path}", body, **headers)
        assert "set-cookie" not in reply.headers
        assert "access-control-allow-origin" not in reply.headers
        assert reply.headers["cache-control"] == "no-store"
        if reply.status >= 400 and method != "HEAD":
            assert reply.headers["content-type"] == "application/problem+json"
            assert json.loads(reply.text)["status"] == reply.status
        return reply

    def get(self, path: str) -> Any:
        """What a path answers."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.text
        return json.loads(reply.text)


def program(machine: Machine, *scopes: Scope) -> Program:
    made = Tokens(machine.paths).add("a program", scopes or SCOPES, "console")
    return Program(PageClient(machine.browser.port), made.token)


def detail(reply: Reply) -> str:
    return str(json.loads(reply.text)["detail"])


def test_the_document_is_for_everybody(machine: Machine) -> None:
    reply = Program(PageClient(machine.browser.port), "").ask("GET", "/openapi.json")
    document = json.loads(reply.text)
    assert (reply.status, document["openapi"], document["servers"]) == (
        *(200, "3.1.0"),
        [{"url": "/api/v1"}],
    )
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert {one["x-scope"] for one in operations} == set(SCOPES) == set(page_of_tokens.SCOPES)
    assert page_of_tokens.MOST_LABEL == MOST_LABEL
    names = {one["operationId"] for one in operations}
    assert names == set(result_types())
    assert not [name for name in names if name.startswith(("administrator", "tokens", "api"))]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', reply.text)) <= set(
        document["components"]["schemas"]
    )


def test_what_is_answered_is_what_the_document_says(machine: Machine) -> None:
    mine, types = program(machine), result_types()
    paths = {
        "status": "/status",
        "check": "/check?groups=machine&outside=false",
        "people.list": "/people",
        "aliases.list": "/aliases",
        "domains.list": "/domains",
        "dns.records": "/dns?domain=example.com",
        "queue.list": "/queue",
        "mail.rates": "/rates?per=day",
        "log.search": "/log?from=eve&most=1",
        "backup.status": "/backups",
        "certificate.status": "/certificate",
        "audit.list": "/audit?last=5",
    }
    for name, path in paths.items():
        found, adapter = mine.get(path), TypeAdapter(types[name])
        shown = adapter.dump_python(adapter.validate_python(found), mode="json")
        # What could not be read on this machine is left out of the status.
        assert {key: shown[key] for key in found} == found, name
    assert [one["id"] for one in mine.get("/queue")["messages"]].count(WAITING) == 1


def test_people_come_change_and_leave(machine: Machine) -> None:
    mine, settings = program(machine), machine.paths.settings
    reply = mine.ask("POST", "/people", BOB)
    assert (reply.status, json.loads(reply.text)) == (200, {"when": "It counts from now on."})
    assert mine.ask("PATCH", "/people/bob%40example.com", {"name": "Bob"}).status == 200
    alias = {"alias": "b@example.com", "address": "bob@example.com"}
    assert mine.ask("POST", "/aliases", alias).status == 200
    bob = require_settings(settings).people[1]
    assert (bob.name, bob.quota, bob.aliases) == ("Bob", "1G", ("b@example.com",))
    assert mine.ask("DELETE", "/aliases/b@example.com").status == 200
    assert mine.ask("DELETE", "/people/bob@example.com").status == 200
    assert len(require_settings(settings).people) == 1
    noted = read_audit(machine.paths.audit)
    assert [entry.verb for entry in noted][-2:] == ["aliases.remove", "people.leave"]
    assert {entry.who for entry in noted[1:]} == {"api a program 192.0.2.7"}
    assert BOB["password"] not in machine.paths.audit.read_text()


def test_domains_and_the_queue(machine: Machine) -> None:
    mine = program(machine)
    assert mine.ask("POST", "/domains", {"name": "example.org"}).status == 200
    assert mine.get("/domains")["domains"][1] == {"name": "example.org", "addresses": []}
    assert mine.ask("DELETE", "/domains/example.org").status == 200
    assert mine.ask("POST", "/queue/hold", {"ids": [WAITING]}).status == 200
    assert ("mta", "postsuper", "-h", WAITING) in machine.engine.ran
    assert mine.ask("POST", "/queue/delete", {"ids": ["ALL"]}).status == 409


def test_a_token_is_for_its_scopes(machine: Machine) -> None:
    mine = program(machine, "status")
    assert mine.get("/status")["hostname"] == "mail.example.com"
    for method, path, body in (
        ("GET", "/people", None),
        ("GET", "/audit", None),
        ("GET", "/log", None),
        ("POST", "/people", BOB),
        ("POST", "/domains", {"name": "example.org"}),
        ("POST", "/queue/delete", {"ids": [WAITING]}),
    ):
        reply = mine.ask(method, path, body)
        assert reply.status == 403, path
        assert "is not for the scope" in detail(reply)
    assert len(require_settings(machine.paths.settings).people) == 1


def test_nobody_gets_in_without_a_token(machine: Machine) -> None:
    machine.sign_in()
    session = machine.browser.cookies["__Host-administrator"]
    stranger = Program(PageClient(machine.browser.port), "")
    for headers in (
        {},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": "Bearer"},
        {"Cookie": f"__Host-administrator={session}"},
        {"Authorization": f"Bearer {session}"},
    ):
        reply = stranger.ask("GET", "/people", **headers)
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(machine: Machine) -> None:
    mine = program(machine)
    wrong = Program(mine.client, "mailstead_" + "x" * 43)
    assert [wrong.ask("GET", "/status").status for _ in range(4)] == [401, 401, 429, 429]
    assert wrong.ask("GET", "/status").headers["retry-after"] == "2"
    assert mine.ask("GET", "/status").status == 200
    elsewhere = Program(PageClient(machine.browser.port, "198.51.100.9"), wrong.token)
    assert elsewhere.ask("GET", "/status").status == 401
    # Nor is the administrator kept out.
    assert "How the machine is" in machine.sign_in()


def test_a_revoked_token_opens_nothing(machine: Machine) -> None:
    mine, tokens = program(machine), Tokens(machine.paths)
    assert mine.ask("GET", "/status").status == 200
    tokens.revoke(tokens.all()[0].id, "console")
    assert mine.ask("GET", "/status").status == 401


def test_what_is_wrong_is_told_as_a_problem(machine: Machine) -> None:
    mine, before = program(machine), machine.paths.settings.read_bytes()
    for method, path, body, status in WRONG:
        reply = mine.ask(method, path, body)
        assert reply.status == status, (method, path, body, reply.text)
        assert "a long password" not in reply.text
    assert machine.paths.settings.read_bytes() == before


def test_a_body_says_that_it_is_json(machine: Machine) -> None:
    reply = program(machine).ask("POST", "/people", BOB, Content_Type="text/plain")
    assert reply.status == 415


def test_a_method_that_is_not_there_names_those_that_are(machine: Machine) -> None:
    reply = program(machine).ask("PUT", "/people/ada@example.com", {})
    assert set(reply.headers["allow"].split(", ")) == {"PATCH", "DELETE"}


def test_a_token_is_made_and_revoked_on_a_page(machine: Machine) -> None:
    machine.sign_in()
    browser, page = machine.browser, "/admin/tokens"
    reply = browser.send(page, {"label": "Monitoring"})
    assert (reply.status, "scopes are one or more of" in reply.words) == (422, True)
    assert 'value="Monitoring"' in reply.text
    reply = browser.send(page, {"label": "<b>Monitoring</b>", "scope": ["status", "read"]})
    token = re.search(r"mailstead_[\w-]{43}", reply.text)
    assert token is not None
    assert "&lt;b&gt;Monitoring&lt;/b&gt;" in reply.text
    assert Program(PageClient(browser.port), token[0]).ask("GET", "/people").status == 200
    reply = browser.open(page)
    assert "Last used just now" in reply.words
    assert token[0] not in reply.text
    known = re.search(r'name="id" value="(\w+)"', reply.text)
    assert known is not None
    assert "is revoked" in browser.send(page, {"id": known[1]}, to=f"{page}/revoke").words
    assert Program(PageClient(browser.port), token[0]).ask("GET", "/people").status == 401
    assert browser.send(page, {"id": known[1]}, to=f"{page}/revoke").status == 422
    noted = [(entry.verb, entry.what) for entry in read_audit(machine.paths.audit)]
    assert noted[1:] == [
        ("tokens.add", "<b>Monitoring</b> (status, read)"),
        ("tokens.revoke", "<b>Monitoring</b>"),
    ]
    assert token[0] not in machine.paths.audit.read_text()


def test_without_a_machine_it_says_so(files: Files) -> None:
    stack = Stack(files, grace=0.05)
    mine = Program(PageClient(stack.start_admin(Path("/nowhere/socket"))), "x")
    assert mine.ask("GET", "/openapi.json").status == 503
    assert mine.ask("GET", "/status").status == 503
    stack.stop()
