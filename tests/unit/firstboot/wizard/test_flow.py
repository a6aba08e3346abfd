"""The draft and the way through the questions, without any front."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from firstboot.base.errors import SettingsError
from firstboot.base.handover import Given, forget_given, read_given, write_given
from firstboot.base.passwords import hash_problem
from firstboot.base.paths import Paths
from firstboot.base.questions.catalogue import STEPS
from firstboot.base.questions.model import Facts, Kind, Step
from firstboot.base.settings import IncompleteSettingsError, parse_settings
from firstboot.wizard.draft import Draft, StaleDraftError, read_draft, write_draft
from firstboot.wizard.flow import AGAIN, Flow
from tests.unit.firstboot.samples import HASH, SETTINGS
from tests.unit.firstboot.test_questions import TYPED

NEEDS_HASH = {"test_the_plain_password_is_nowhere"}


@pytest.fixture(autouse=True)
def quick_hash(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash takes half a second, and one is enough."""
    if request.node.name not in NEEDS_HASH:
        monkeypatch.setattr("firstboot.wizard.flow.hash_password", lambda _password: HASH)


FACTS = Facts(protections=("passphrase", "key-file"))


def typed(step: Step, flow: Flow) -> dict[str, str]:
    """Right answers to what a step asks."""
    found = {question.key: TYPED[question.key] for question in step.asked(flow.context)}
    for question in step.questions:
        if question.kind is Kind.PASSWORD:
            found[question.key + AGAIN] = TYPED[question.key]
    return found


def go_through(flow: Flow) -> Flow:
    while (step := flow.present) is not None:
        flow = flow.submit(step, typed(step, flow)).flow
    return flow


def test_from_the_first_step_to_settings(paths: Paths) -> None:
    flow = Flow(Draft(), FACTS)
    assert flow.present is STEPS[0]
    outcome = flow.submit(STEPS[0], {"network.method": "static"})
    # Now the addresses are asked, on the same screen.
    assert not outcome.is_done
    assert outcome.problems == {}
    assert outcome.flow.present is STEPS[0]
    flow = go_through(outcome.flow)
    assert flow.draft.done == tuple(step.name for step in STEPS)
    flow.finish(paths)
    settings = parse_settings(paths.handed.read_text(), "x")
    assert settings.people[0].name == "Ada Lovelace"
    assert settings.network.dns == ("192.0.2.1",)
    assert paths.handed.stat().st_mode & 0o777 == 0o600


def test_the_plain_password_is_nowhere(paths: Paths) -> None:
    flow = go_through(Flow(Draft(), FACTS))
    write_draft(paths, flow.draft)
    assert TYPED["people[0].password_hash"] not in paths.draft.read_text()
    assert hash_problem(str(flow.draft.answers["people[0].password_hash"])) is None
    assert paths.draft.stat().st_mode & 0o777 == 0o600
    rows = {row.question.key: row.shown for row in flow.summary()}
    assert rows["people[0].password_hash"] == "set"
    assert rows["disk.protection"] == "By a passphrase at each start"


def test_a_password_is_not_asked_again_when_going_back() -> None:
    flow = go_through(Flow(Draft(), FACTS))
    before = flow.draft.answers["people[0].password_hash"]
    (step,) = (step for step in STEPS if step.name == "person")
    again = {**typed(step, flow), "people[0].password_hash": ""}
    again["people[0].password_hash" + AGAIN] = ""
    outcome = flow.submit(step, again)
    assert outcome.is_done
    assert outcome.flow.draft.answers["people[0].password_hash"] == before


def test_the_secret_of_a_smart_host_is_kept_and_shown_to_nobody(paths: Paths) -> None:
    """The machine has to say it, so the settings have it as it is."""
    flow = go_through(Flow(Draft(), FACTS))
    secret = TYPED["relay.password"]
    assert parse_settings(flow.settings_text(), "x").relay.password == secret
    rows = {row.question.key: row.shown for row in flow.summary()}
    assert (rows["relay.host"], rows["relay.password"]) == ("smtp.example.net", "set")
    assert secret not in str(rows)
    (step,) = (step for step in STEPS if step.name == "sending")
    # Nobody types it again, but who types another means it.
    again = flow.submit(step, {**typed(step, flow), "relay.password": ""})
    assert again.is_done
    assert again.flow.draft.answers["relay.password"] == secret
    other = flow.submit(step, {**typed(step, flow), "relay.password": " x"})
    assert "blanks at the ends" in other.problems["relay.password"]
    # Without a smart host nothing of it is left.
    without = flow.submit(step, {"relay.host": ""}).flow
    assert without.present is None
    assert "relay" not in without.settings_text()


def test_wrong_answers_stay_out_and_right_ones_stay() -> None:
    flow = Flow(Draft(typed={"domains[].name": ("example.com",)}), FACTS)
    (step,) = (step for step in STEPS if step.name == "person")
    outcome = flow.submit(
        step,
        {
            "people[0].address": "ada@example.org",
            "people[0].name": "Ada",
            "people[0].password_hash": "x",
        },
    )
    assert set(outcome.problems) == {"people[0].address", "people[0].password_hash"}
    assert outcome.flow.draft.typed["people[0].name"] == "Ada"
    assert "people[0].address" not in outcome.flow.draft.typed
    assert not outcome.is_done


def test_a_doubt_is_told_once() -> None:
    (step,) = (step for step in STEPS if step.name == "domains")
    first = Flow(Draft(), FACTS).submit(step, {"domains[].name": "example.con"})
    assert "example.com?" in first.doubts["domains[].name"]
    assert not first.is_done
    other = first.flow.submit(step, {"domains[].name": "example.cmo"})
    assert not other.is_done
    second = other.flow.submit(step, {"domains[].name": "example.cmo"})
    assert second.is_done
    assert second.flow.draft.answers["domains[].name"] == ("example.cmo",)


def test_going_back_and_changing_the_domain_reopens_the_person() -> None:
    flow = go_through(Flow(Draft(), FACTS))
    assert flow.before(None) is STEPS[-1]
    assert flow.before(STEPS[0]) is None
    assert flow.after(STEPS[-1]) is None
    (domains,) = (step for step in STEPS if step.name == "domains")
    assert flow.before(domains) is STEPS[0]
    changed = flow.submit(domains, {"domains[].name": "example.net"}).flow
    assert changed.present is not None
    assert changed.present.name == "person"
    assert "one of your domains" in changed.problems(changed.present)["people[0].address"]


def test_a_power_cut_after_each_step_loses_nothing(paths: Paths) -> None:
    names = []
    while (step := Flow(read_draft(paths), FACTS).present) is not None:
        flow = Flow(read_draft(paths), FACTS)
        outcome = flow.submit(step, typed(step, flow))
        if outcome.is_done:
            names.append(step.name)
        write_draft(paths, outcome.flow.draft)
        # Half of the next write, as a power cut leaves it.
        paths.draft.with_name(".draft.json.new").write_text('{"form')
    assert names == [step.name for step in STEPS]
    parse_settings(Flow(read_draft(paths), FACTS).settings_text(), "x")


def test_two_at_once(paths: Paths) -> None:
    mine, other = read_draft(paths), read_draft(paths)
    mine = write_draft(paths, replace(mine, typed={"hostname": "mail.example.com"}))
    assert mine.revision == 1
    with pytest.raises(StaleDraftError):
        write_draft(paths, replace(other, typed={"hostname": "other.example.com"}))
    assert read_draft(paths) == mine
    assert write_draft(paths, replace(mine, done=("names",))).revision == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "revision": []}'])
def test_a_draft_that_cannot_be_read_is_begun_anew(paths: Paths, text: str) -> None:
    paths.draft.parent.mkdir(parents=True)
    paths.draft.write_text(text)
    assert read_draft(paths) == Draft()
    assert write_draft(paths, Draft(done=("network",))).revision == 1
    assert json.loads(paths.draft.read_text())["format"] == 1


def test_a_seed_leaves_questions_open(paths: Paths) -> None:
    partial = SETTINGS.replace(f"    password_hash: {HASH}\n", "")
    partial += "updates: {channel: candidate}\ndisk: {protection: key-file}\n"
    with pytest.raises(IncompleteSettingsError) as caught:
        parse_settings(partial, "stick")
    write_given(paths, Given("stick", caught.value.given))
    flow = Flow(read_draft(paths), FACTS)
    # Domains, name and disk are the seed's; the person lacks the password.
    assert [step.name for step in flow.steps] == [
        "network",
        "person",
        "sending",
        "tls",
        "updates",
        "backup",
        "administrator",
    ]
    flow = go_through(flow)
    given = {row.question.key for row in flow.summary() if row.given}
    assert given == {"domains[].name", "hostname", "disk.protection"}
    settings = parse_settings(flow.settings_text(), "x")
    assert settings.updates.channel == "candidate"
    assert settings.people[0].aliases == ("countess@example.com",)
    write_draft(paths, flow.draft)
    forget_given(paths)
    assert read_given(paths) == Given()
    assert read_draft(paths).typed == flow.draft.typed


def test_what_a_seed_says_is_asked_where_the_machine_cannot_do_it(paths: Paths) -> None:
    write_given(paths, Given("stick", {"version": 1, "disk": {"protection": "tpm2"}}))
    flow = Flow(read_draft(paths), FACTS)
    assert "disk" in [step.name for step in flow.steps]


def test_settings_that_are_not_right_are_not_handed_over(paths: Paths) -> None:
    with pytest.raises(SettingsError):
        Flow(Draft(), FACTS).finish(paths)
    assert not paths.handed.exists()
