"""Setup through the web wizard, request by request, up to a machine that is ready."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from firstboot.backup.keys import present_recovery, read_recovery
from firstboot.base.errors import MachineError
from firstboot.base.handover import Given, hand_over, write_given
from firstboot.base.paths import Paths
from firstboot.base.questions.catalogue import STEPS
from firstboot.base.questions.model import Context, Kind
from firstboot.base.settings import require_settings
from firstboot.wizard.draft import Draft, read_draft
from firstboot.wizard.flow import Flow
from firstboot.wizard.web import service, steps
from firstboot.wizard.web.fields import make_fields
from firstboot.wizard.web.kit import COMMAND, CONFIRM, CommandDesk, Kit
from firstboot.wizard.web.pages import render, with_code
from firstboot.wizard.web.progress import is_waiting, read_progress
from firstboot.wizard.web.records import DnsRecord, find_records
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.wizard.client import Client, hidden_fields
from tests.unit.firstboot.wizard.site import RECORDS, Site, open_site

PASSWORD = "orchid lantern gravel teacup"
PERSON = {
    "people[0].address": "ada",
    "people[0].name": "Ada Lovelace",
    "people[0].password_hash": PASSWORD,
    "people[0].password_hash again": PASSWORD,
}
ANSWERS: dict[str, dict[str, str]] = {
    "network": {"network.method": "dhcp"},
    "domains": {"domains[].name": "example.com, example.net"},
    "names": {"hostname": "mail.example.com"},
    "person": PERSON,
    "disk": {"disk.protection": "key-file"},
    "tls": {"tls.method": "self-signed"},
    "administrator": {
        "administrator.password_hash": PASSWORD,
        "administrator.password_hash again": PASSWORD,
    },
}
STARTED = (
    "containers loaded (3, 41.2 s)",
    "containers started",
    "a mail went round (0.8 s)",
    "ready mail.example.com",
)


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    """A paired browser."""
    with Client(site) as opened:
        opened.pair()
        yield opened


def answer_all(client: Client, **more: dict[str, str]) -> None:
    """Go through every step as the pages lead; some are shown again with further questions."""
    page = client.get("/step/network")
    for _ in range(len(STEPS) + len(more)):
        name = page.url.rpartition("/")[2]
        if name == "summary":
            break
        fields = {**preset_fields(page.text), **ANSWERS.get(name, {}), **more.get(name, {})}
        page = client.post(f"/step/{name}", fields)
        assert page.status_code == 200, page.text
    assert page.url.endswith("/summary"), page.url


def preset_fields(page: str) -> dict[str, str]:
    """What a browser sends when nothing is changed on a page."""
    fields = hidden_fields(page)
    for tag in re.findall(r"<input [^>]+>", page):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes["type"] in {"text", "password"} or " checked" in tag:
            fields[html.unescape(attributes["name"])] = html.unescape(attributes["value"])
    return fields


def test_every_question_has_a_field_by_its_kind(paths: Paths) -> None:
    flow = Flow(Draft())
    for step in STEPS:
        for question, field in zip(step.questions, make_fields(flow, step.questions), strict=True):
            page = render(
                "step",
                step=step,
                number=1,
                total=9,
                shown=(field,),
                problems=[],
                notice="",
                notes={},
                back="/",
                form="x",
                revision=0,
            )
            text = bytes(page.body).decode()
            named = text.count(f'name="{html.escape(question.key)}"')
            choices = question.choices(Context())
            wanted = {Kind.YES_NO: 2, Kind.CHOICE: len(choices) + question.optional}
            assert named == wanted.get(question.kind, 1), question.key
            said = html.unescape(re.sub(r"</?code>", "`", text))
            for words in (question.text, question.help):
                assert words in said


def test_a_whole_setup_ends_with_a_ready_machine(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_all(client)
    summary = client.get("/summary").text
    for shown in ("example.com, example.net", "mail.example.com", "ada@example.com"):
        assert shown in summary
    assert PASSWORD not in summary
    assert "argon2" not in summary
    assert client.post("/summary", hidden_fields(summary)).url.endswith("/progress")
    site.wait_until(site.paths.settings.exists)
    settings = require_settings(site.paths.settings)
    assert [domain.name for domain in settings.domains] == ["example.com", "example.net"]
    assert settings.disk.protection == "key-file"
    assert PasswordHasher().verify(settings.people[0].password_hash, PASSWORD)
    site.wait_until(lambda: not site.paths.draft.exists())

    # Nothing can be asked or answered any more.
    assert client.get("/step/domains").url.endswith("/progress")
    assert client.get("/summary").url.endswith("/progress")
    site.wait_until(lambda: "setup done" in site.paths.progress.read_text())
    site.say("loading mailstead/redis:0123456789ab")
    progress = client.get("/progress").text
    assert 'http-equiv="refresh"' in progress
    assert re.findall(r'<li class="(\w+)"', progress) == ["done"] * 2 + ["present"] + ["open"] * 3
    assert "redis" in progress
    site.say(*STARTED)
    ready = client.get("/progress").text
    for record in RECORDS:
        assert record.data in ready
        assert record.name in ready
    assert "the public address of the machine" in ready
    assert "mail.example.com runs" in ready
    assert re.findall(r"mail.example.com, port (\d+), ([A-Z]+)<", ready) == [
        ("993", "TLS"),
        ("587", "STARTTLS"),
    ]
    monkeypatch.setattr(service, "LAST_PAGE_SECONDS", 0.0)
    site.wait_until(lambda: not site.paths.invitation.exists())


def be_ready(client: Client, site: Site, **answers: dict[str, str]) -> str:
    """Set the machine up; return its last page."""
    answer_all(client, **answers)
    page = client.get("/summary").text
    client.post("/summary", hidden_fields(page))
    site.wait_until(site.paths.settings.exists)
    site.wait_until(lambda: "setup done" in site.paths.progress.read_text())
    site.say(*STARTED)
    return client.get("/progress").text


def test_the_recovery_kit_is_given_out_until_a_part_of_it_comes_back(
    client: Client, site: Site
) -> None:
    assert client.get("/kit").url.endswith("/start")  # there is none before the machine is ready
    place = {"backup.targets[0].repository": "disk:MAILBACKUP"}
    ready = be_ready(client, site, backup=place)
    assert "Four things are left to do" in ready
    assert 'href="/kit"' in ready
    recovery = read_recovery(site.paths)
    assert recovery is None
    page = client.get("/kit").text
    recovery = present_recovery(site.paths)
    assert recovery.code in page
    assert f"Group {recovery.group} of the code" in page
    text = client.get("/kit.txt")
    assert recovery.code in text.text
    assert text.headers["content-disposition"].endswith('filename="mailstead-recovery-kit.txt"')
    printed = client.get("/kit.pdf")
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.content.startswith(b"%PDF-")
    assert {page.headers["cache-control"] for page in (text, printed)} == {"no-store"}

    wrong = client.submit("/kit", {"group": "iiii"})
    assert wrong.status_code == 422
    assert "That is not the group asked for" in wrong.text
    assert present_recovery(site.paths).confirmed is False
    right = recovery.groups[recovery.group - 1]
    kept = client.submit("/kit", {"group": f" {right.upper()}"})
    assert "The kit is confirmed" in kept.text
    assert present_recovery(site.paths).confirmed is True
    for path in ("/kit", "/kit.txt", "/kit.pdf"):
        found = client.get(path)
        assert found.url.endswith("/kit")
        assert recovery.code not in found.text
    assert "Done: the kit is confirmed" in client.get("/progress").text


def test_without_a_place_for_backups_no_kit_is_shown(client: Client, site: Site) -> None:
    assert "Three things are left to do" in be_ready(client, site)
    for path in ("/kit", "/kit.txt", "/kit.pdf"):
        assert client.get(path).url.endswith("/progress")
    assert read_recovery(site.paths) is None


def test_whoever_is_not_paired_gets_no_kit(client: Client, site: Site) -> None:
    be_ready(client, site, backup={"backup.targets[0].repository": "disk:MAILBACKUP"})
    with Client(site) as other:
        for path in ("/kit", "/kit.txt", "/kit.pdf"):
            assert other.get(path).url.endswith("/pair")
    form = hidden_fields(client.get("/kit").text)
    assert client.post("/kit", {**form, "form": "0" * 64, "group": "abcd"}).status_code == 403


def test_the_kit_is_that_of_another_feature(programs: FakePrograms, tmp_path: Path) -> None:
    found = {"ok": True, "kit": "k1ts", "code": "a-b", "group": 2, "confirmed": False, "page": "p"}
    body = "cat <<'END'\n{}\nEND\n[ -z \"$6\" ] || printf %s PDF > $6"
    programs.add("mailstead", body.format(json.dumps(found)))
    desk = CommandDesk(tmp_path)
    assert desk.fetch() == Kit("k1ts", "a-b", 2, "p", b"PDF")
    assert programs.calls[0][:-1] == ["mailstead", *COMMAND[1:]]
    assert list(tmp_path.glob("tmp*")) == []
    programs.add("mailstead", body.format(json.dumps({**found, "confirmed": True})))
    assert desk.fetch() is None
    for broken in ("exit 3", "echo '{}'", "echo no"):
        programs.add("mailstead", broken)
        assert desk.fetch() is None
    programs.add("mailstead", 'read -r group; [ "$group" = "a b" ]')
    assert desk.confirm("a b")
    assert not desk.confirm("other")
    # A part of a code is no word of a command line.
    assert programs.calls[-1] == ["mailstead", *CONFIRM[1:]]


def test_the_redirection_makes_room_for_an_authority(client: Client, site: Site) -> None:
    answer_all(client)
    page = client.get("/summary").text
    assert site.accepts(site.service.ports[1])
    client.post("/summary", hidden_fields(page))
    site.wait_until(lambda: not site.accepts(site.service.ports[1]))
    assert site.accepts(site.service.ports[0])


def test_what_is_wrong_is_said_beside_the_field_and_what_was_typed_stays(client: Client) -> None:
    typed = "gmail.com <script>alert(1)</script>"
    page = client.submit("/step/domains", {"domains[].name": typed})
    assert page.status_code == 422
    assert f'value="{html.escape(typed)}"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "<title>Error: " in page.text
    assert "<script" not in page.text


def test_a_password_is_never_sent_back(client: Client, site: Site) -> None:
    client.submit("/step/domains", ANSWERS["domains"])
    other = {**PERSON, "people[0].password_hash again": "orchid lantern gravel teacups"}
    page = client.submit("/step/person", other)
    assert page.status_code == 422
    assert "orchid" not in page.text
    assert 'value="Ada Lovelace"' in page.text
    page = client.submit("/step/person", {**PERSON, "people[0].address": "ada@elsewhere.example"})
    assert page.status_code == 422
    assert "orchid" not in page.text
    assert "A password has been chosen" in page.text
    first = site.paths.draft.read_text()
    assert "orchid" not in first
    assert "$argon2id$" in first
    # It need not be typed again once it is right.
    empty = {"people[0].password_hash": "", "people[0].password_hash again": ""}
    page = client.submit("/step/person", {**PERSON, **empty})
    assert page.status_code == 200


def test_a_doubt_is_told_once(client: Client) -> None:
    typed = {"domains[].name": "bücher.example"}
    page = client.submit("/step/domains", typed)
    assert page.status_code == 422
    assert 'class="doubt"' in page.text
    page = client.submit("/step/domains", preset_fields(page.text))
    assert page.status_code == 200
    assert "xn--bcher-kva.example" in page.text


def test_more_is_asked_because_of_an_answer(client: Client, site: Site) -> None:
    page = client.submit("/step/network", {"network.method": "static"})
    assert page.status_code == 200
    assert page.url.endswith("/step/network")
    assert "a little more to ask" in page.text
    assert 'class="problem"' not in page.text
    fields = {
        **preset_fields(page.text),
        "network.addresses": "192.0.2.10/24 2001:db8::10/64",
        "network.gateways": "192.0.2.1",
        "network.dns": "192.0.2.1",
    }
    page = client.post("/step/network", fields)
    assert page.url.endswith("/step/domains")
    later = ("domains", "names", "person", "sending", "disk", "tls", "updates", "backup")
    for name in (*later, "administrator"):
        page = client.post(f"/step/{name}", {**preset_fields(page.text), **ANSWERS.get(name, {})})
    assert 'href="https://192.0.2.10/"' in page.text
    assert 'href="https://[2001:db8::10]/"' in page.text


def test_the_password_of_a_smart_host_is_never_sent_back(client: Client, site: Site) -> None:
    answers = {"relay.host": "smtp.example.net", "relay.tls": "implicit", "relay.username": "ada"}
    page = client.submit("/step/sending", answers)
    field = '<input type="password" name="relay.password" id="relay-password" value=""'
    assert field in page.text
    assert "relay.password again" not in page.text
    page = client.submit("/step/sending", {**answers, "relay.password": "trumpet harbour "})
    assert "blanks at the ends" in page.text
    assert "trumpet" not in page.text
    client.submit("/step/sending", {**answers, "relay.password": "trumpet harbour"})
    assert read_draft(site.paths).answers["relay.password"] == "trumpet harbour"
    page = client.get("/step/sending")
    assert field in page.text
    assert "Leave the field empty to keep it." in page.text
    assert "trumpet" not in page.text


def test_two_browsers_at_once(client: Client, site: Site) -> None:
    with Client(site) as other:
        other.pair()
        shown = client.get("/step/domains").text
        other.submit("/step/domains", {"domains[].name": "example.net"})
        late = {**hidden_fields(shown), "domains[].name": "example.com"}
        page = client.post("/step/domains", late)
        assert page.status_code == 409
        assert "changed elsewhere" in page.text
        assert 'value="example.net"' in page.text
        assert read_draft(site.paths).answers["domains[].name"] == ("example.net",)
        # It goes on from the present answers.
        again = {**preset_fields(page.text), "domains[].name": "example.org"}
        assert client.post("/step/domains", again).status_code == 200
        assert read_draft(site.paths).answers["domains[].name"] == ("example.org",)


def test_the_summary_that_was_seen_is_what_is_set_up(client: Client, site: Site) -> None:
    answer_all(client)
    seen = hidden_fields(client.get("/summary").text)
    with Client(site) as other:
        other.pair()
        other.submit("/step/names", {"hostname": "mx.example.com"})
    page = client.post("/summary", seen)
    assert page.status_code == 409
    assert "mx.example.com" in page.text
    assert not site.paths.handed.exists()


def test_going_back_in_the_browser_is_no_change_elsewhere(client: Client) -> None:
    old = client.get("/step/domains").text
    client.submit("/step/domains", {"domains[].name": "example.com"})
    client.submit("/step/names", {"hostname": "mail.example.com"})
    page = client.post("/step/domains", {**hidden_fields(old), "domains[].name": "example.net"})
    assert page.status_code == 200


@pytest.mark.parametrize("revision", ["", "-1", "x", "99", "²"])
def test_a_revision_that_never_was_is_a_change_elsewhere(client: Client, revision: str) -> None:
    fields = {"domains[].name": "example.com", "revision": revision}
    assert client.submit("/step/domains", fields).status_code == 409


def test_the_summary_needs_all_answers(client: Client) -> None:
    assert client.get("/summary").url.endswith("/step/network")
    assert client.get("/step/nothing").url.endswith("/step/network")


def test_answers_that_the_machine_refuses_can_be_changed(client: Client, site: Site) -> None:
    site.refusal = MachineError("This machine has no TPM 2.0", "Choose another protection.")
    answer_all(client)
    client.post("/summary", hidden_fields(client.get("/summary").text))
    site.wait_until(lambda: "no TPM" in site.paths.progress.read_text())
    page = client.get("/progress").text
    assert "This machine has no TPM 2.0" in page
    assert "Choose another protection." in page
    assert 'http-equiv="refresh"' not in page
    page = client.post("/reopen", hidden_fields(page)).text
    assert not site.paths.handed.exists()
    site.refusal = None
    client.submit("/step/disk", {"disk.protection": "passphrase"})
    client.post("/summary", hidden_fields(client.get("/summary").text))
    site.wait_until(lambda: "setup done" in site.paths.progress.read_text())
    page = client.get("/progress").text
    assert "no TPM" not in page
    assert "asks for the passphrase" in page
    site.say("the passphrase opens the disk from now on")
    assert "asks for the passphrase" not in client.get("/progress").text


def test_settings_from_the_console_are_not_refused_for_older_errors(
    paths: Paths, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site(paths, programs, monkeypatch) as site, Client(site) as client:
        site.console.error(MachineError("the stick leaves questions open"))
        site.console.say("waiting for settings")
        site.start_service()
        site.wait_until_served()
        client.pair()
        hand_over(paths, SETTINGS)
        page = client.get("/start")
        assert page.url.endswith("/progress")
        assert "Setting up" in page.text
        assert "leaves questions open" not in page.text


def test_what_a_seed_says_is_not_asked(
    paths: Paths, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given("the stick", {"version": 1, "domains": ({"name": "example.com"},)})
    with open_site(paths, programs, monkeypatch) as site, Client(site) as client:
        site.console.say("waiting for settings")
        write_given(paths, given)
        site.start_service()
        site.wait_until_served()
        page = client.pair().text
        assert "came from the stick" in page
        assert client.get("/step/domains").url.endswith("/step/network")


def test_a_machine_that_has_its_settings_opens_no_port(
    paths: Paths, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_site(paths, programs, monkeypatch) as site:
        site.start_service()
        assert not paths.invitation.exists()
        paths.settings.write_text(SETTINGS)
        site.wait_until(lambda: not site.threads[0].is_alive())
        assert site.service.ports == (0, 0)


def test_it_ends_when_somebody_else_has_set_the_machine_up(site: Site) -> None:
    site.paths.settings.write_text(SETTINGS)
    site.wait_until(lambda: not site.paths.invitation.exists())


def test_a_browser_that_went_away_does_not_keep_it_open(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.say("settings from the answers", "setup done", *STARTED)
    site.paths.settings.write_text(SETTINGS)
    assert client.get("/pair").url.endswith("/progress")
    monkeypatch.setattr(service, "UNSEEN_SECONDS", 0.0)
    monkeypatch.setattr(service, "LAST_PAGE_SECONDS", 0.0)
    site.wait_until(lambda: not site.paths.invitation.exists())


def test_the_records_are_those_of_another_feature(programs: FakePrograms) -> None:
    record = {"zone": None, "type": "A", "name": "x", "data": None, "need": "required", "why": "?"}
    found = json.dumps({"records": [{**record, "kind": "address"}]})
    programs.add("mailstead", f"cat <<'END'\n{found}\nEND")
    assert find_records() == (DnsRecord("", "A", "x", "", "required", "?"),)
    assert programs.calls == [["mailstead", "dns", "show", "--json"]]
    for body in ("exit 3", "echo '{}'", "echo no"):
        programs.add("mailstead", body)
        assert find_records() == ()


def test_words_of_code_are_shown_as_such() -> None:
    assert with_code("made by `a <b>` & so") == "made by <code>a &lt;b&gt;</code> &amp; so"


def test_a_defect_shows_no_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("detail")

    monkeypatch.setattr(steps, "make_fields", fail)
    page = client.get("/step/domains")
    assert page.status_code == 500
    assert "your answers are kept" in page.text
    assert "detail" not in page.text
    assert "RuntimeError: detail" in caplog.text


@pytest.mark.parametrize(
    ("lines", "waiting"),
    [
        ((), False),
        (("console ready",), False),
        (("console ready", "waiting for settings"), True),
        (("waiting for settings", "settings from the answers"), False),
    ],
)
def test_whether_the_machine_waits(lines: tuple[str, ...], waiting: bool) -> None:
    assert is_waiting(lines) is waiting


def test_errors_before_the_hand_over_do_not_count() -> None:
    before = ("error: stick: hostname: expected more", "hint: Correct it.", "waiting for settings")
    assert read_progress(before, handed=3).errors == ()
    after = (*before, "error: no TPM", "  at all", "hint: Choose.", "waiting for settings")
    progress = read_progress(after, handed=3)
    assert progress.errors == ("no TPM", "at all", "Choose.")
    assert not progress.taken
    taken = read_progress((*after, "settings from the answers", "setup done"), handed=3)
    assert (taken.taken, taken.errors, taken.done) == (True, (), 2)
