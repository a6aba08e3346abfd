"""The API through the real proxy, with real tokens; and what a fuzzer makes of it."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firstboot.administration.protocol import SCOPES, Scope
from firstboot.administration.tokens import Tokens
from firstboot.base.audit import read_audit
from firstboot.base.change import Change, change_settings
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from firstboot.people.office import Office
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.web import Reply, Web
from tools.stack.example import Person
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

ROSALIND = Person("rosalind@example.com", "Rosalind Franklin")
PROBLEM = "application/problem+json"
ADDRESS = "93.184.216.34"
# Of each operation; the checks themselves wait for servers elsewhere.
EXAMPLES = 15
LONG = ("check", "dns.check")
# What may be answered to what the document does not allow.
REJECTED = [400, 404, 409, 413, 415, 422]


@dataclass(frozen=True)
class Program:
    """A program with a token."""

    web: Web
    token: str

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a body as JSON."""
        sent = "" if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        headers |= {"Content_Type": "application/json"} if sent else {}
        return self.web.ask(method, f"/api/v1{path}", sent, None, "", **headers)


@pytest.fixture
def tokens(stack: StackUp) -> Iterator[Tokens]:
    """Afterwards there are none, and everybody is as before."""
    kept = stack.home.paths.settings.read_text()
    found = Tokens(stack.home.paths)
    yield found
    for token in found.all():
        found.revoke(token.id, "console")
    stack.home.paths.settings.write_text(kept)
    Office(stack.home.paths, stack.engine, stack.home.project, who="console").apply()


def program(tokens: Tokens, mail: Mail, *scopes: Scope) -> Program:
    return Program(Web(mail), tokens.add("a program", scopes or SCOPES, "console").token)


def test_somebody_comes_logs_in_and_leaves(tokens: Tokens, mail: Mail, stack: StackUp) -> None:
    mine, password = program(tokens, mail), secrets.token_urlsafe(16)
    new = {"address": ROSALIND.address, "name": ROSALIND.name, "password": password}
    reply = mine.ask("POST", "/people", new)
    assert (reply.status, json.loads(reply.body)) == (200, {"when": "It counts from now on."})
    with mail.imap_connection() as connection:
        connection.login(ROSALIND.address, password)

    def locked() -> bool:
        people = json.loads(mine.ask("GET", "/people").body)
        assert people["problem"] == ""
        found = {person["address"]: person for person in people["people"]}
        return bool(found[ROSALIND.address]["keys"]["state"] == "locked by password")

    # The directory waits for ten seconds without a question like this, or else for a minute.
    wait_for(locked, what="the vault of somebody new", timeout=300, interval=12)
    assert mine.ask("DELETE", f"/people/{ROSALIND.address}").status == 200
    status = json.loads(mine.ask("GET", "/status").body)
    assert {one["name"] for one in status["containers"]} >= {"admin", "mta", "directory"}
    noted = read_audit(stack.home.paths.audit, 1)[0]
    assert (noted.verb, noted.outcome) == ("people.leave", "done")
    assert noted.who.startswith("api a program ")


def test_a_token_opens_no_more_than_it_is_for(tokens: Tokens, mail: Mail) -> None:
    mine = program(tokens, mail, "status")
    assert mine.ask("GET", "/status").status == 200
    for token, status in ((mine.token, 403), ("mailstead_" + "x" * 43, 401)):
        reply = Program(mine.web, token).ask("GET", "/people")
        assert (reply.status, reply.headers["Content-Type"]) == (status, PROBLEM)
    assert mine.ask("GET", "/status", Host="autoconfig.example.com").status == 404


def test_what_the_proxy_says_is_a_problem_too(tokens: Tokens, mail: Mail, all_well: Boxes) -> None:
    mine = program(tokens, mail)
    reply = mine.ask("POST", "/people", {"address": "x" * 40_000})
    assert (reply.status, reply.headers["Content-Type"]) == (413, PROBLEM)
    assert json.loads(reply.body)["status"] == 413
    assert mine.ask("GET", "/people/%00").headers["Content-Type"] == PROBLEM
    all_well.kill("admin")
    reply = mine.ask("GET", "/status")
    assert (reply.status in {502, 504}, reply.headers["Content-Type"]) == (True, PROBLEM)
    all_well.start("admin")
    all_well.mend()


def test_no_input_is_too_much_and_no_answer_is_another(
    tokens: Tokens, mail: Mail, stack: StackUp, tmp_path: Path
) -> None:
    """Schemathesis, by the document that the service itself gives out."""
    mine, paths = program(tokens, mail), stack.home.paths
    # Or each question about DNS records might look for the machine's address.
    address = Change(("dns", "addresses"), (ADDRESS,))
    change_settings(paths.settings, [address], lock=paths.settings_lock)
    document = tmp_path / "openapi.json"
    document.write_bytes(mine.ask("GET", "/openapi.json").body)
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(
        f'[headers]\nHost = "{mine.web.host}"\nAuthorization = "Bearer {mine.token}"\n'
        f"[checks.negative_data_rejection]\nexpected-statuses = {REJECTED}\n"
    )
    settings.chmod(0o600)
    checks = (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", settings),
        *("run", document, "--url", f"https://{LOOPBACK}:{stack.ports['https']}/api/v1"),
        # The certificate is not for the address; other tests look at it.
        *("--tls-verify", "false", "--request-timeout", "60", "--seed", "1"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
        *("--checks", ",".join(checks), "--no-color"),
        *(word for name in LONG for word in ("--exclude-operation-id", name)),
    ]
    done = run(command, check=False, cwd=tmp_path, timeout=1200)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    described = json.loads(document.read_text())["paths"].values()
    assert f"{sum(map(len, described)) - len(LONG)} selected" in done.stdout
