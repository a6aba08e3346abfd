"""Passkeys at the web pages, by one in memory; tests/stack has a browser's."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.postmaster.authenticator import FLAG, Authenticator
from tests.unit.postmaster.harness import ADA, BOB, PASSWORD, Files, Stack
from tests.unit.postmaster.pageclient import Open, PageClient, Reply

NEW, OVERVIEW, SECOND_STEP = "/second-factor/passkey", "/second-factor", "/sign-in/second-step"


@pytest.fixture
def stack(files: Files) -> Iterator[Stack]:
    """Both services; nothing counts failures, which passkeys do not need."""
    running = Stack(files, grace=0.05)
    yield running
    running.stop()


def question_on(reply: Reply) -> dict[str, Any]:
    found = re.search(r'data-question="([^"]*)"', reply.text)
    assert found, reply.words
    question: dict[str, Any] = json.loads(html.unescape(found[1]))
    return question


def form_of(reply: Reply) -> str:
    found = re.search(r'name="form" value="(\w+)"', reply.text)
    assert found
    return found[1]


def offer(browser: PageClient, passkey: Authenticator, **change: str) -> Reply:
    """Add a passkey, as the page's script does: of the page that asked."""
    page = browser.open(NEW)
    fields = {"label": "Laptop", "password": PASSWORD, "answer": passkey.make(question_on(page))}
    reply = browser.post(NEW, {"form": form_of(page), **fields, **change})
    return browser.open(reply.headers["location"]) if reply.status == 303 else reply


def show(browser: PageClient, passkey: Authenticator, page: Reply | None = None) -> Reply:
    page = page or browser.open(SECOND_STEP)
    fields = {"form": form_of(page), "answer": passkey.show(question_on(page))}
    reply = browser.post(SECOND_STEP, fields)
    return browser.open(reply.headers["location"]) if reply.status == 303 else reply


def test_a_passkey_signs_in_after_the_password(ada: PageClient, browse: Open, stack: Stack) -> None:
    other = browse()
    other.sign_in(ADA, PASSWORD)
    passkey = Authenticator()
    assert "factor is on" in offer(ada, passkey).words
    assert other.ask("GET", "/").status == 303
    browser = browse()
    assert "One more step" in browser.sign_in(ADA, PASSWORD).words
    assert browser.ask("GET", "/").headers["location"] == "/sign-in"
    assert "Your account" in show(browser, passkey).words
    with pytest.raises(stack.connect().error), stack.imap(ADA, PASSWORD):
        pass


def test_two_passkeys_are_told_apart_and_removed(ada: PageClient, browse: Open) -> None:
    first, second = Authenticator(), Authenticator()
    offer(ada, first, label="Laptop")
    page = offer(ada, second, label="Key <1>")
    assert "Laptop" in page.words
    assert "Key <1>" in page.words
    names = re.findall(r'name="id" id="[^"]+" value="([0-9a-f]+)"', page.text)
    # Those of one second stand in any order.
    assert set(names) == {first.id.hex(), second.id.hex()}
    for name in (first.id.hex(), "ab" * 32, "nonsense"):
        ada.send(OVERVIEW, {"id": name, "password": PASSWORD}, to=f"{OVERVIEW}/remove")
        browser = browse()
        browser.sign_in(ADA, PASSWORD)
        assert show(browser, first).status == 422
        assert "Your account" in show(browser, second).words
    ada.send(OVERVIEW, {"id": second.id.hex(), "password": PASSWORD}, to=f"{OVERVIEW}/remove")
    assert "Your account" in browse().sign_in(ADA, PASSWORD).words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "not your password"),
        ({"password": ""}, "not your password"),
        ({"label": ""}, "1 to 60"),
        ({"label": "x" * 61}, "1 to 60"),
        ({"answer": ""}, "a script only"),
        ({"answer": "nonsense"}, "no passkey for this page"),
        ({"answer": "[" * 4000}, "no passkey for this page"),
        ({"answer": "{}"}, "no passkey for this page"),
        ({"answer": '{"rawId": "AA", "response": {"clientDataJSON": "e30"}}'}, "no passkey"),
    ],
    ids=["wrong", "none", "no-label", "long", "no-script", "text", "deep", "empty", "half"],
)
def test_what_is_no_new_passkey_is_refused(
    somebody: PageClient, change: dict[str, str], said: str
) -> None:
    reply = offer(somebody, Authenticator(), **change)
    assert (reply.status, said in reply.words) == (422, True)
    assert "You have none" in somebody.open(OVERVIEW).words


@pytest.mark.parametrize(
    "passkey",
    [
        Authenticator(origin="https://elsewhere.example"),
        Authenticator(origin="https://below.mail.example.com"),
        Authenticator(origin="http://mail.example.com"),
        Authenticator(origin="https://[mail.example.com"),
        Authenticator(host="elsewhere.example"),
        Authenticator(flags=FLAG(0)),
    ],
    ids=["origin", "below", "http", "odd", "host", "untouched"],
)
def test_of_elsewhere_or_untouched_it_is_none(
    ada: PageClient, browse: Open, passkey: Authenticator
) -> None:
    assert offer(ada, passkey).status == 422
    # Nor is it, when it is known from here.
    good = dataclasses.replace(
        passkey, origin="https://mail.example.com", host="mail.example.com", flags=FLAG.UP
    )
    assert "factor is on" in offer(ada, good).words
    browser = browse()
    browser.sign_in(ADA, PASSWORD)
    assert show(browser, passkey).status == 422
    assert "Your account" in show(browser, good).words


def test_an_answer_counts_once_and_for_its_question(ada: PageClient, browse: Open) -> None:
    passkey = Authenticator()
    page = ada.open(NEW)
    fields = {"label": "x", "password": PASSWORD, "answer": passkey.make(question_on(page))}
    ada.open(NEW)  # asks anew
    assert ada.post(NEW, {"form": form_of(page), **fields}).status == 422
    assert "factor is on" in offer(ada, passkey).words
    assert offer(ada, passkey).status == 422  # it is there already

    browser = browse()
    page = browser.sign_in(ADA, PASSWORD)
    taken = {"form": form_of(page), "answer": passkey.show(question_on(page))}
    assert browser.post(SECOND_STEP, taken).status == 303
    again = browse()
    page = again.sign_in(ADA, PASSWORD)
    assert again.post(SECOND_STEP, taken | {"form": form_of(page)}).status == 422
    assert again.post(SECOND_STEP, {"form": form_of(page), "answer": ""}).status == 422


def test_a_stranger_s_passkey_is_none(ada: PageClient, browse: Open) -> None:
    ada_s, bob_s = Authenticator(), Authenticator()
    bob = browse()
    bob.sign_in(BOB, PASSWORD)
    offer(ada, ada_s)
    offer(bob, bob_s)
    browser = browse()
    browser.sign_in(ADA, PASSWORD)
    assert show(browser, bob_s).status == 422
    forged = dataclasses.replace(bob_s, id=ada_s.id)
    assert show(browser, forged).status == 422
    assert "Your account" in show(browser, ada_s).words


def test_a_copy_is_told_by_its_counter(ada: PageClient, browse: Open) -> None:
    passkey = Authenticator(counter=5)
    offer(ada, passkey)
    browser = browse()
    for counter, status in ((5, 422), (4, 422), (0, 422), (6, 200)):
        browser.sign_in(ADA, PASSWORD)
        passkey.counter = counter
        assert show(browser, passkey).status == status, counter


def test_the_script_runs_where_it_is_needed_only(ada: PageClient, browse: Open) -> None:
    offer(ada, Authenticator())
    halfway = browse()
    halfway.sign_in(ADA, PASSWORD)
    for browser, path in ((ada, NEW), (halfway, SECOND_STEP)):
        reply = browser.ask("GET", path)
        policy = reply.headers["content-security-policy"].split("; ")
        assert "script-src 'self'" in policy
        assert "default-src 'none'" in policy
        found = re.findall(r'<script src="(/passkeys\.js\?\w{12})" defer></script>', reply.text)
        assert len(found) == reply.text.count("<script") == 1
        script = browser.ask("GET", found[0])
        assert (script.status, "javascript" in script.headers["content-type"]) == (200, True)
    for path in (OVERVIEW, "/", "/password"):
        assert "script" not in ada.ask("GET", path).headers["content-security-policy"]
