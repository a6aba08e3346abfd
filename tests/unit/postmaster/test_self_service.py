"""The port of the directory that `admin` asks: whose token counts, and what nobody is told."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.unit.postmaster.harness import (
    ADA,
    ADMIN_TOKEN,
    CANARY,
    CANARY_PASSWORD,
    DEADLINE,
    MAILSTORE_TOKEN,
    PASSWORD,
    Stack,
)

BAD = {"error": "bad request"}


def ask(stack: Stack, line: bytes) -> Any:
    address = ("127.0.0.1", stack.ports.directory.self_service)
    with socket.create_connection(address, DEADLINE) as client:
        client.sendall(line + b"\n")
        return json.loads(client.makefile("rb").readline())


def request(stack: Stack, token: str | None = ADMIN_TOKEN, **fields: Any) -> Any:
    shown = {} if token is None else {"token": token}
    return ask(stack, json.dumps({"address": "192.0.2.1", **shown, **fields}).encode())


@pytest.mark.parametrize(
    "token", [None, "", "0" * 64, MAILSTORE_TOKEN, "ü"], ids=["none", "empty", "0", "store", "odd"]
)
def test_only_the_token_of_the_pages_counts(shared_stack: Stack, token: str | None) -> None:
    for fields in (
        {"op": "log-in", "login": ADA, "password": PASSWORD},
        {"op": "describe", "person": ADA},
        {"op": "app-list", "person": ADA},
    ):
        assert request(shared_stack, token, **fields) == BAD


@pytest.mark.parametrize("op", ["list", "reset", "vaults", "destroy", "reread", "", "authenticate"])
def test_what_is_an_operators_is_not_done(shared_stack: Stack, op: str) -> None:
    fields = {"op": op, "person": ADA, "new": "set by nobody at all", "secret": PASSWORD}
    assert request(shared_stack, **fields) == BAD
    assert request(shared_stack, op="log-in", login=ADA, password=PASSWORD)["ok"]


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"nul", b'"\\ud800"', b"[" * 9000, b'{"token": 1}'], ids=range(6)
)
def test_what_is_no_request_has_an_answer(shared_stack: Stack, line: bytes) -> None:
    assert ask(shared_stack, line) == BAD


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "log-in", "login": ADA},
        {"op": "describe"},
        {"op": "describe", "person": 1},
        {"op": "password", "person": ADA, "secret": PASSWORD},
        {"op": "app-add", "person": ADA, "secret": PASSWORD, "label": "x", "scopes": 1},
        {"op": "app-revoke", "person": ADA},
        {"op": "passkey-check", "person": "nobody@example.com", "state": "{}"},
        {"op": "describe", "person": ADA, "address": None},
    ],
    ids=["password", "nobody", "number", "new", "scopes", "id", "answer", "address"],
)
def test_a_request_that_lacks_something_is_bad(shared_stack: Stack, fields: Any) -> None:
    assert request(shared_stack, **fields) == BAD


def test_no_answer_tells_who_exists_or_has_a_key(shared_stack: Stack, person: str) -> None:
    for somebody in (person, "nobody@example.com", CANARY):
        for op, more in (
            ("password", {"new": "a new one, quite long"}),
            ("recovery-code", {}),
            ("app-add", {"label": "x", "scopes": ["mail"]}),
        ):
            answer = request(shared_stack, op=op, person=somebody, secret="wrong", **more)
            assert answer == {"ok": False, "problem": "wrong"}, (somebody, op)
    assert request(shared_stack, op="describe", person=CANARY)["problem"] == "nobody"
    canary = request(shared_stack, op="log-in", login=CANARY, password=CANARY_PASSWORD)
    assert canary == {"ok": False, "problem": "wrong"}
    accepted = request(shared_stack, op="log-in", login=person, password=PASSWORD)
    assert accepted == {"ok": True, "person": person}
    known = {"ok", "person", "aliases", "forward_to", "quota", "stamp", "state", "recovery_code"}
    found = request(shared_stack, op="describe", person=person)
    assert set(found) == known | {"app_passwords", "sealed", "second_factor"}
