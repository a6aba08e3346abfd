"""Who there is changes while the stack runs: no session ends, no container is made anew."""

from __future__ import annotations

import imaplib
import re
import secrets
import urllib.parse
from collections.abc import Iterator

import pytest

from firstboot.base.waiting import wait_for
from firstboot.people.office import NOW, Office
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, refusal
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import GRACE, STRANGER
from tests.stack.web import Reply, Web
from tools.stack.example import ADA, ADMINISTRATOR, Person
from tools.stack.lifecycle import StackUp

CAROLINE = Person("caroline@example.com", "Caroline Herschel")
# Another one: a vault stays locked under the first of its passwords.
MARIA = Person("maria@example.com", "Maria Mitchell")
DOMAIN = "example.net"
# What Postfix's processes remember an answer for is half a minute; a slow host takes longer.
SECONDS = 240.0


@pytest.fixture
def office(stack: StackUp) -> Iterator[Office]:
    """Afterwards everybody is as before."""
    kept = stack.home.paths.settings.read_text()
    found = Office(stack.home.paths, stack.engine, stack.home.project, who="console")
    yield found
    stack.home.paths.settings.write_text(kept)
    found.apply()


def add(office: Office, stack: StackUp, person: Person) -> None:
    password = secrets.token_urlsafe(16)
    stack.home.password_file(person.address).write_text(password)
    assert office.add(person.address, password, person.name, [], "1G") == NOW


def refused(mail: Mail, recipient: str) -> bool:
    with mail.smtp("smtp") as smtp:
        return refusal(smtp, STRANGER, recipient)[0] == 550


def test_a_person_comes_and_leaves(
    office: Office, stack: StackUp, mail: Mail, boxes: Boxes
) -> None:
    before, mark = boxes.started, new_mark()
    with mail.imap(ADA) as ada, mail.submission(ADA) as submission:
        assert refused(mail, CAROLINE.address)
        add(office, stack, CAROLINE)
        wait_for(
            lambda: not refused(mail, CAROLINE.address), what="mail for Caroline", timeout=SECONDS
        )
        mail.send(ADA, CAROLINE.address, ordinary(mark))
        assert mark.encode() in mail.fetch(CAROLINE, mark)
        assert office.leave(CAROLINE.address) == NOW
        with mail.imap_connection() as imap, pytest.raises(imaplib.IMAP4.error):
            imap.login(CAROLINE.address, mail.password(CAROLINE))
        wait_for(lambda: refused(mail, CAROLINE.address), what="a refusal", timeout=SECONDS)
        assert ada.noop()[0] == "OK"
        assert submission.noop()[0] == 250
    add(office, stack, CAROLINE)
    # Everything is there again. The password is the one of then, which the vault is locked under.
    assert boxes.started == before


def test_a_domain_comes_and_goes(office: Office, stack: StackUp, mail: Mail, boxes: Boxes) -> None:
    before, alias, mark = boxes.started, f"ada@{DOMAIN}", new_mark()
    with mail.imap(ADA) as ada:
        assert office.add_domain(DOMAIN) == NOW
        assert office.add_alias(alias, ADA.address) == NOW
        wait_for(lambda: not refused(mail, alias), what=f"mail for {alias}", timeout=SECONDS)
        mail.receive([alias], ordinary(mark))
        assert mark.encode() in mail.fetch(ADA, mark)
        assert ada.noop()[0] == "OK"
    key = boxes.run("rspamd", "cat", f"/run/secrets/dkim/{DOMAIN}/mailstead-ed1.key")
    assert key[0] == 0, key
    signed = wait_for(
        lambda: _signed(mail, alias), what=f"a signature of {DOMAIN}", timeout=SECONDS
    )
    assert signed.count(f"d={DOMAIN};".encode()) == 2
    office.remove_alias(alias)
    office.remove_domain(DOMAIN)
    wait_for(lambda: refused(mail, alias), what="a refusal", timeout=SECONDS)
    assert boxes.started == before


def _signed(mail: Mail, sender: str) -> bytes | None:
    """What arrives of a message from `sender`, once it is signed; Rspamd may still begin anew."""
    mark = new_mark()
    with mail.submission(ADA) as smtp:
        smtp.sendmail(sender, [GRACE.address], ordinary(mark, sender=sender))
    found = mail.fetch(GRACE, mark)
    return found if b"DKIM-Signature:" in found else None


def test_the_administrator_adds_somebody_by_web(office: Office, stack: StackUp, mail: Mail) -> None:
    """From a browser through proxy, container and socket to the settings, and back to IMAP."""
    pages = Pages(Web(mail))
    wrong = pages.send("/admin/sign-in", password="not the password")
    assert wrong.status == 422
    password = stack.home.password_file(ADMINISTRATOR).read_text()
    assert pages.send("/admin/sign-in", password=password).status == 303
    assert b"/admin/queue" in pages.load("/admin").body
    new = secrets.token_urlsafe(16)
    stack.home.password_file(MARIA.address).write_text(new)
    fields = {"address": MARIA.address, "name": MARIA.name, "quota": "", "password": new}
    assert pages.send("/admin/people/new", **fields).status == 303
    mark = new_mark()
    mail.send(ADA, MARIA.address, ordinary(mark))
    assert mark.encode() in mail.fetch(MARIA, mark)
    assert MARIA.address in [person.address for person in office.people()]
    assert MARIA.address.encode() in pages.load("/admin/audit").body


class Pages:
    """A browser without pictures: cookies and the tokens of forms."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._cookies: dict[str, str] = {}

    def load(self, path: str) -> Reply:
        return self._ask("GET", path)

    def send(self, path: str, **fields: str) -> Reply:
        found = re.search(rb'name="form" value="(\w+)"', self.load(path).body)
        assert found
        body = urllib.parse.urlencode({"form": found[1].decode(), **fields})
        kind = "application/x-www-form-urlencoded"
        return self._ask("POST", path, body, Content_Type=kind, Origin=f"https://{self._web.host}")

    def _ask(self, method: str, path: str, body: str = "", **headers: str) -> Reply:
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self._cookies.items())
        reply = self._web.ask(method, path, body, None, "", **headers)
        given = {name.lower(): value for name, value in reply.headers.items()}.get("set-cookie", "")
        if given:
            name, _, value = given.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        return reply
