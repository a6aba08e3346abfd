"""The administrator's pages, over the real socket to the machine's own code."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from firstboot.base.audit import read_audit
from firstboot.base.errors import CommandError
from firstboot.base.settings import require_settings
from firstboot.dns import plan
from postmaster.admin.machine_link import MachineError, MachineLink
from tests.unit.postmaster.harness import ADA, Files, Stack
from tests.unit.postmaster.harness import PASSWORD as THEIRS
from tests.unit.postmaster.machine import PASSWORD, WAITING, Machine
from tests.unit.postmaster.pageclient import PageClient, Reply

PATHS = (
    "/admin",
    "/admin?mail=day",
    "/admin/people",
    "/admin/people/new",
    "/admin/people/one?address=ada@example.com",
    "/admin/domains",
    "/admin/domains/records?domain=example.com",
    "/admin/queue",
    "/admin/log",
    "/admin/log?to=ada&from=&days=7",
    "/admin/log?to=nobody&from=&days=31",
    "/admin/audit",
    "/admin/tokens",
)


def test_nobody_gets_there_without_the_password(machine: Machine) -> None:
    for path in PATHS:
        reply = machine.browser.ask("GET", path)
        assert (reply.status, reply.headers["location"]) == (303, "/admin/sign-in")
    machine.browser.cookies["__Host-administrator"] = "x" * 43
    for path in PATHS:
        if path == "/admin/people/new":
            continue  # a form, with nothing of the machine in it
        reply = machine.browser.ask("GET", path)
        assert (reply.status, reply.headers["location"]) == (303, "/admin/sign-in")
    assert "This is not the password." in machine.sign_in("wrong password")


def test_guessing_is_slowed_down(machine: Machine) -> None:
    said = [machine.sign_in("wrong password") for _ in range(4)]
    assert "the next one counts in 2 s" in said[-1]
    assert "the next one counts in 2 s" in machine.sign_in()


def test_signing_in_and_out(machine: Machine) -> None:
    words = machine.sign_in()
    assert "How the machine is" in words
    cookie = machine.browser.cookies["__Host-administrator"]
    machine.browser.send("/admin", {}, to="/admin/sign-out")
    assert "__Host-administrator" not in machine.browser.cookies
    machine.browser.cookies["__Host-administrator"] = cookie
    assert machine.browser.ask("GET", "/admin/people").headers["location"] == "/admin/sign-in"


def test_the_first_page_tells_how_it_is(machine: Machine) -> None:
    words = machine.sign_in()
    assert "Services all 4 are well" in words
    assert "Mail that waits 7" in words
    assert "there is no place for backups yet" in words
    assert "self-signed" in words
    assert re.search(r"Version \S+", words)


def test_the_first_page_tells_how_much_mail_there_is(machine: Machine) -> None:
    machine.sign_in()
    reply = machine.browser.open("/admin")
    assert "0 received" in reply.words
    assert re.search(r"1 put in Junk [\d :UTC-]* 24 h ago at most 1 an hour now", reply.words)
    assert "1 refused" in reply.words
    assert "0 sent" in reply.words
    assert 'aria-label="put in Junk: 1 in all, 1 at most at a time"' in reply.text
    assert reply.text.count("<svg") == 4
    assert reply.text.count('class="place"') == 4 * 24
    assert len(re.findall(r"<tr>", reply.text)) == 1 + 24
    reply = machine.browser.open("/admin?mail=day")
    assert re.search(r"1 put in Junk [\d :-]* 4 weeks ago at most 1 a day now", reply.words)
    assert 'class="unknown"' in reply.text
    assert "The log goes back to" in reply.words
    machine.log.lines = []
    assert "0 received" in machine.browser.open("/admin?mail=day").words


def test_without_a_log_the_first_page_is_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_words: object, **_bounds: object) -> None:
        raise CommandError("there is no journal")

    monkeypatch.setattr(machine.log, "scan", fail)
    words = machine.sign_in()
    assert "Mail that came and went" in words
    assert "not known Each service" in words


def test_somebody_comes_changes_and_leaves(machine: Machine) -> None:
    machine.sign_in()
    browser, settings = machine.browser, machine.paths.settings
    new = {"address": "bob@example.com", "name": "<b>Bob</b>", "quota": "1G", "password": "short"}
    reply = browser.send("/admin/people/new", new)
    assert reply.status == 422
    assert "at least 10 characters" in reply.words
    assert "bob@example.com" in reply.text
    assert "short" not in reply.text.replace("shortcut", "")
    reply = browser.send("/admin/people/new", {**new, "password": "a long password"})
    assert "Added." in reply.words
    assert "&lt;b&gt;Bob&lt;/b&gt;" in reply.text
    one = "/admin/people/one?address=bob@example.com"
    fields = {"address": "bob@example.com", "name": "Bob", "quota": ""}
    assert "Changed." in browser.send(one, fields, to="/admin/people/one").words
    alias = {"address": "bob@example.com", "alias": "b@example.com"}
    browser.send(one, alias, to="/admin/people/alias")
    bob = require_settings(settings).people[1]
    assert (bob.name, bob.quota, bob.aliases) == ("Bob", None, ("b@example.com",))
    reply = browser.send(one, {**alias, "alias": "ada@example.com"}, to="/admin/people/alias")
    assert (reply.status, "is there already" in reply.words) == (422, True)
    browser.send(one, alias, to="/admin/people/alias/remove")
    leave = {"address": "bob@example.com"}
    reply = browser.send(one, leave, to="/admin/people/leave")
    assert "Take bob@example.com out?" in reply.words
    assert len(require_settings(settings).people) == 2
    browser.send(one, {**leave, "sure": "yes"}, to="/admin/people/leave")
    assert len(require_settings(settings).people) == 1
    verbs = [entry.verb for entry in read_audit(machine.paths.audit)]
    assert verbs[-2:] == ["aliases.remove", "people.leave"]
    assert "web 192.0.2.7" in browser.open("/admin/audit").words


def test_copies_of_somebodys_mail(machine: Machine) -> None:
    machine.sign_in()
    browser, settings = machine.browser, machine.paths.settings
    one = "/admin/people/one?address=ada@example.com"
    fields = {"address": "ada@example.com", "to": "ada@example.net, Ada@example.org"}
    assert "Changed." in browser.send(one, fields, to="/admin/people/forward").words
    assert 'value="ada@example.net, ada@example.org"' in browser.open(one).text
    reply = browser.send(one, {**fields, "to": "ada@example.com"}, to="/admin/people/forward")
    assert (reply.status, "an address elsewhere" in reply.words) == (422, True)
    browser.send(one, {**fields, "to": ""}, to="/admin/people/forward")
    assert require_settings(settings).people[0].forward_to == ()


def test_people_forward_their_own_mail_with_their_password(machine: Machine) -> None:
    browser, settings = machine.browser, machine.paths.settings
    browser.sign_in(ADA, THEIRS)
    assert "Copies are not" in browser.open("/forwarding").words
    new = {"to": "Ada@far.example; ada@far.example, lovelace@far.example"}
    for wrong, status in (("", 422), ("wrong", 422)):
        reply = browser.send("/forwarding", {**new, "password": wrong})
        assert (reply.status, "This is not your password." in reply.words) == (status, True)
        assert "Ada@far.example" in reply.text
    assert require_settings(settings).people[0].forward_to == ()
    assert "Saved." in browser.send("/forwarding", {**new, "password": THEIRS}).words
    assert require_settings(settings).people[0].forward_to == (
        "ada@far.example",
        "lovelace@far.example",
    )
    entry = read_audit(machine.paths.audit)[-1]
    assert (entry.who, entry.verb) == ("ada@example.com 192.0.2.7", "people.forward")
    assert THEIRS not in machine.paths.audit.read_text()
    for wrong in ("grace@example.com", "x", " ".join(f"a{n}@far.example" for n in range(11))):
        reply = browser.send("/forwarding", {"to": wrong, "password": THEIRS})
        assert (reply.status, "mail addresses elsewhere" in reply.words) == (422, True)
    # The directory shows what it has read.
    files = machine.stack.files
    text = files.settings.read_text()
    known = "forward_to: ['<i>@far.example']\n    aliases:"
    files.settings.write_text(text.replace("aliases:", known, 1))
    machine.stack.control(b'{"op": "reread"}')
    assert "Copies of your mail go to <i>@far.example." in browser.open("/").words
    assert 'value="&lt;i&gt;@far.example"' in browser.open("/forwarding").text


def test_nobody_forwards_the_mail_of_others(machine: Machine) -> None:
    """Not even the container itself, which has no token of the administrator's to show."""
    link = MachineLink(machine.socket)
    for login, password in (
        ("bob@example.com", THEIRS),
        ("ada@example.com", "guessed"),
        ("--help", THEIRS),
    ):
        before = machine.paths.settings.read_text()
        with pytest.raises(MachineError) as caught:
            asyncio.run(
                link.ask(
                    "own.forward",
                    address=login,
                    password=password,
                    forward_to=["eve@far.example"],
                    **{"from": "192.0.2.7"},
                )
            )
        # Bob's password is right, but he is not in the settings of this machine.
        assert caught.value.kind == ("missing" if login.startswith("bob") else "denied"), login
        assert machine.paths.settings.read_text() == before


def test_domains_and_their_records(machine: Machine) -> None:
    machine.sign_in()
    browser = machine.browser
    assert browser.send("/admin/domains", {"name": "no domain"}).status == 422
    assert "Added." in browser.send("/admin/domains", {"name": "example.org"}).words
    words = browser.open("/admin/domains/records?domain=example.org").words
    assert "MX example.org" in words
    assert "v=DKIM1; k=ed25519" in words
    fields = {"name": "example.com"}
    reply = browser.send("/admin/domains", fields, to="/admin/domains/remove")
    assert (reply.status, "is in use" in reply.words) == (422, True)
    fields = {"name": "example.org"}
    assert "Removed." in browser.send("/admin/domains", fields, to="/admin/domains/remove").words


def test_an_address_that_is_not_known_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "outgoing_addresses", tuple)
    settings = machine.paths.settings
    settings.write_text(settings.read_text().replace("dns: {addresses: [93.184.216.34]}", ""))
    machine.sign_in()
    words = machine.browser.open("/admin/domains/records?domain=example.com").words
    assert "This machine has no public address." in words


def test_the_queue(machine: Machine) -> None:
    machine.sign_in()
    browser, ran = machine.browser, machine.engine.ran
    assert "The smart host does not take the login." in browser.open("/admin/queue").words
    browser.send("/admin/queue", {"id": WAITING, "deed": "hold"})
    browser.send("/admin/queue", {"id": WAITING, "deed": "retry"})
    assert ran == [("mta", "postsuper", "-h", WAITING), ("mta", "postqueue", "-i", WAITING)]
    reply = browser.send("/admin/queue", {"id": WAITING, "deed": "delete", "sender": "a@b.example"})
    assert "Delete the message from a@b.example?" in reply.words
    assert len(ran) == 2
    browser.send("/admin/queue", {"id": WAITING, "deed": "delete", "sure": "yes"})
    assert ran[2] == ("mta", "postsuper", "-d", WAITING)
    reply = browser.send("/admin/queue", {"id": "ALL", "deed": "delete", "sure": "yes"})
    assert (reply.status, len(ran)) == (422, 3)


def test_why_mail_did_not_arrive(machine: Machine) -> None:
    machine.sign_in()
    browser = machine.browser
    assert "Found" not in browser.open("/admin/log").words
    reply = browser.open("/admin/log?to=&from=EVE&days=1")
    assert "Found: 2" in reply.words
    assert "refused to b&<i@example.com Nobody here has this address." in reply.words
    assert "in Junk to ada@example.com" in reply.words
    assert reply.words.index("refused to") < reply.words.index("in Junk to")  # the newest first
    assert "250 2.0.0 Delivered to Junk" in reply.words
    assert "b&amp;&lt;i@example.com" in reply.text
    assert "The log goes back to" not in reply.words
    words = browser.open("/admin/log?to=bob@far&from=&days=31").words
    assert "waits to bob@far.example The recipient's mailbox is full." in words
    assert "ada@example.com" not in words
    assert "The log goes back to" in words
    words = browser.open("/admin/log?to=nobody&from=&days=1").words
    assert "Nothing was found" in words
    assert "mailstead check" in words
    browser.headers["Accept-Language"] = "zh"
    words = browser.open("/admin/log?to=bob@far&from=&days=1").words
    assert re.search("等待中 收件人.bob@far.example 收件人的邮箱已满", words)
    assert read_audit(machine.paths.audit)[-1].verb == "administrator.login"


def test_an_empty_log_does_not_say_that_nothing_came(machine: Machine) -> None:
    machine.log.lines = []
    machine.sign_in()
    words = machine.browser.open("/admin/log?days=1").words
    assert "The log is empty" in words
    assert "no such mail came" not in words


@pytest.mark.parametrize(
    "query", ["days=0", "days=-1", "days=x", "days=%00", "days=9999&to=a&to=b"]
)
def test_an_odd_search_is_none(machine: Machine, query: str) -> None:
    machine.sign_in()
    reply = machine.browser.open(f"/admin/log?{query}&from={'x' * 3000}%ff%00")
    assert (reply.status, "Found" in reply.words) == (200, False)


@pytest.mark.parametrize(("language", "said"), [("en", "Another search"), ("zh", "另一次查询")])
def test_one_search_at_a_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    machine.sign_in()
    machine.browser.headers["Accept-Language"] = language
    others: list[Reply] = []

    def scan(*_bounds: object, **_more: object) -> None:
        others.append(machine.browser.open("/admin/log?days=1"))

    monkeypatch.setattr(machine.log, "scan", scan)
    assert machine.browser.open("/admin/log?days=1").status == 200
    (other,) = others
    assert (other.status, said in other.words) == (503, True)
    assert "log.search" not in other.words


def test_an_odd_name_is_searched_for(machine: Machine) -> None:
    machine.sign_in()
    reply = machine.browser.open(f"/admin/log?days=7&from={'x' * 3000}&to=%ff%00%22%3E")
    assert (reply.status, "Nothing was found" in reply.words) == (200, True)


def test_what_is_too_much_is_left_out_and_told(machine: Machine) -> None:
    to = "to=<r{}@far.example>, relay=mx[192.0.2.9]:25, delay=1, status=sent (250 ok)"
    machine.log.lines = [
        (60, f"postfix/smtp[6]: 4bYx1Q2dzJ{message:02}: {to.format(number)}")
        for message in range(60)
        for number in range(70 if message == 59 else 1)
    ]
    machine.sign_in()
    words = machine.browser.open("/admin/log?days=1").words
    assert "Found: 60" in words
    assert "The newest 50 are shown" in words
    assert "and 20 more recipients" in words
    words = machine.browser.open("/admin/log?days=1&to=r69@").words
    assert "taken by mx to r69@far.example" in words
    assert "and 69 more recipients" in words


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_is_strict_and_in_its_language(machine: Machine, language: str) -> None:
    machine.sign_in()
    machine.browser.headers["Accept-Language"] = language
    for path in (*PATHS, "/admin/sign-in"):
        reply = machine.browser.ask("GET", path)
        assert reply.status == 200, path
        words = reply.words.replace("中文", "")
        assert bool(re.search(r"[\u4e00-\u9fff]", words)) == language.startswith("zh"), path
        assert (reply.text.count("<h1>"), reply.text.count("<main")) == (1, 1)
        assert reply.headers["cache-control"] == "no-store"
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", reply.text)


def test_the_language_is_switched_there_too(machine: Machine) -> None:
    machine.sign_in()
    fields = {"language": "zh", "back": "/admin"}
    assert "系统状态" in machine.browser.send("/admin", fields, to="/language").words


def test_a_form_of_another_page_is_refused(machine: Machine) -> None:
    machine.sign_in()
    new = {"name": "example.org"}
    assert machine.browser.post("/admin/domains", {"form": "0" * 64, **new}).status == 403
    token = machine.browser.token("/sign-in")
    assert machine.browser.post("/admin/domains", {"form": token, **new}).status == 403
    assert len(require_settings(machine.paths.settings).domains) == 1


def test_without_a_machine_the_pages_say_so(files: Files) -> None:
    stack = Stack(files, grace=0.05)
    browser = PageClient(stack.start_admin(Path("/nowhere/socket")))
    reply = browser.send("/admin/sign-in", {"password": PASSWORD})
    assert (reply.status, "does not answer" in reply.words) == (503, True)
    stack.stop()
