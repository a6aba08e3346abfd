"""People, aliases and domains: changed in the settings, and given to services that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from firstboot.base.audit import read_audit
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.settings import require_settings
from firstboot.people import changing, office
from firstboot.people.desk import PersonError
from firstboot.people.office import LATER, NOW, STARTED, STOPPED, Office
from tests.unit.firstboot.people.running import SERVICES, NotingEngine, set_up
from tests.unit.firstboot.samples import HASH, SETTINGS

PASSWORD = "correct horse battery"
REREAD = ("directory", "postmaster", "person", "--json", "reread")
SIGN = ("rspamd", "sh", "-c", "kill -HUP 1")


@pytest.fixture
def engine() -> NotingEngine:
    return NotingEngine()


@pytest.fixture
def desk(paths: Paths, engine: NotingEngine, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(office, "hash_password", lambda _password: HASH)
    set_up(paths)
    return Office(paths, engine, who="console")  # type: ignore[arg-type]


def seen(paths: Paths) -> Any:
    """The settings as the directory sees them."""
    return yaml.safe_load((paths.stack / "secrets/directory/settings/settings.yaml").read_text())


def test_a_person_is_there_at_once(desk: Office, paths: Paths, engine: NotingEngine) -> None:
    mounted = (paths.stack / "secrets/directory/settings").stat().st_ino
    compose = paths.compose_file.read_bytes()
    when = desk.add("Bob@Example.com", PASSWORD, "Bob", ["b@example.com"], "10G")
    assert when == NOW
    ada, bob = require_settings(paths.settings).people
    assert ada.address == "ada@example.com"
    assert (bob.address, bob.name, bob.aliases, bob.quota, bob.password_hash) == (
        "bob@example.com",
        "Bob",
        ("b@example.com",),
        "10G",
        HASH,
    )
    assert [person["address"] for person in seen(paths)["people"]] == [
        "ada@example.com",
        "bob@example.com",
    ]
    assert engine.ran == [REREAD]
    # What is mounted has to stay the same folder, and no container is to be made anew.
    assert (paths.stack / "secrets/directory/settings").stat().st_ino == mounted
    assert paths.compose_file.read_bytes() == compose


def test_nothing_else_of_the_settings_counts_earlier(desk: Office, paths: Paths) -> None:
    """A host name that waits for the next start does not get in by the back door."""
    text = paths.settings.read_text()
    paths.settings.write_text(text.replace("mail.example.com", "mx.example.com"))
    desk.add("bob@example.com", PASSWORD, "", [], None)
    assert seen(paths)["hostname"] == "mail.example.com"
    assert len(seen(paths)["people"]) == 2


def test_a_domain_is_signed_for(desk: Office, paths: Paths, engine: NotingEngine) -> None:
    assert desk.add_domain("Example.ORG") == NOW
    assert [name for name, _ in desk.domains()] == ["example.com", "example.org"]
    signing = paths.stack / "secrets/rspamd/dkim"
    assert (signing / "example.org/mailstead-rsa1.key").is_file()
    assert (paths.state / "dkim/example.org/mailstead-ed1.pem").is_file()
    lines = (signing / "domains.conf").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ['"example.com"', '"example.org"']
    # The signer first: who may send is to be signed for.
    assert engine.ran == [SIGN, REREAD]
    desk.remove_domain("example.org")
    assert "example.org" not in (signing / "domains.conf").read_text()
    assert (paths.state / "dkim/example.org/mailstead-ed1.pem").is_file()


def test_a_domain_in_use_stays(desk: Office, paths: Paths) -> None:
    desk.add_domain("example.org")
    desk.add_alias("ada@example.org", "ada@example.com")
    with pytest.raises(PersonError, match=r"example.org is in use: ada@example.org"):
        desk.remove_domain("example.org")
    desk.remove_alias("ada@example.org")
    desk.remove_domain("example.org")
    with pytest.raises(PersonError, match=r"in use: ada@example\.com, countess@example\.com"):
        desk.remove_domain("example.com")
    with pytest.raises(PersonError, match="no domain of this machine"):
        desk.remove_domain("example.net")
    with pytest.raises(PersonError, match="already"):
        desk.add_domain("example.com")
    assert len(require_settings(paths.settings).domains) == 1


def test_groups_and_catch_alls_are_in_use(paths: Paths, engine: NotingEngine) -> None:
    set_up(
        paths,
        SETTINGS.replace(
            "  - name: example.com\n",
            "  - {name: example.com, catch_all: countess@example.com}\n  - name: example.org\n",
        )
        + "groups: [{address: all@example.org, members: [ada@example.com]}]\n",
    )
    desk = Office(paths, engine)  # type: ignore[arg-type]
    with pytest.raises(PersonError, match=r"group all@example.org, catch-all of example.com"):
        desk.leave("ada@example.com")
    with pytest.raises(PersonError, match=r"catch-all of example.com"):
        desk.remove_alias("countess@example.com")
    with pytest.raises(PersonError, match=r"in use: all@example.org"):
        desk.remove_domain("example.org")
    with pytest.raises(PersonError, match="is a group already"):
        desk.add_alias("all@example.org", "ada@example.com")
    # Groups are given to the services that run, too, and no container is made anew for them.
    text = paths.settings.read_text().replace("all@example.org", "everybody@example.org")
    paths.settings.write_text(text)
    assert desk.apply() == NOW
    assert seen(paths)["groups"][0]["address"] == "everybody@example.org"
    assert engine.ran == [REREAD]


def test_copies_go_elsewhere(desk: Office, paths: Paths) -> None:
    assert desk.forward("countess@example.com", ["Ada@Example.net", "ada@example.org"]) == NOW
    assert seen(paths)["people"][0]["forward_to"] == ["ada@example.net", "ada@example.org"]
    assert desk.people()[0].forward_to == ("ada@example.net", "ada@example.org")
    for wrong in (["ada@example.com"], ["x"], [f"a{number}@example.net" for number in range(11)]):
        with pytest.raises(SettingsError, match=r"elsewhere|such as"):
            desk.forward("ada@example.com", wrong)
    with pytest.raises(PersonError, match="there is no"):
        desk.forward("eve@example.com", [])
    assert desk.people()[0].forward_to == ("ada@example.net", "ada@example.org")
    desk.forward("ada@example.com", [])
    assert desk.people()[0].forward_to == ()
    assert "forward_to" not in paths.settings.read_text()
    whats = [entry.what for entry in read_audit(paths.audit) if entry.outcome == "done"]
    assert whats[-1] == "ada@example.com to nobody"


def test_leaving(desk: Office, paths: Paths, engine: NotingEngine) -> None:
    with pytest.raises(PersonError, match="only person"):
        desk.leave("ada@example.com")
    desk.add("bob@example.com", PASSWORD, "", [], None)
    with pytest.raises(PersonError, match="is an alias") as caught:
        desk.leave("countess@example.com")
    assert "ada@example.com" in caught.value.hint
    assert desk.leave("ADA@example.com") == NOW
    assert [person["address"] for person in seen(paths)["people"]] == ["bob@example.com"]
    assert engine.ran == [REREAD, REREAD]


def test_the_first_one_starts_what_mailboxes_need_and_the_last_one_ends_it(
    paths: Paths, engine: NotingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "hash_password", lambda _password: HASH)
    forwarding = SETTINGS.partition("people:")[0].replace(
        "- name: example.com", "- {name: example.com, catch_all: ada@example.net}"
    )
    marked = "  store: {needed_for: mailboxes, image: redis, user: 7, command: [x], memory: 1M,"
    services = f"{SERVICES}{marked} networks: [edge], health: [{{port: 9, expect: x}}]}}\n"
    set_up(paths, forwarding + "people: []\n", services)
    desk = Office(paths, engine)  # type: ignore[arg-type]
    # What waits for the next start goes on waiting: nothing is rendered anew.
    text = paths.settings.read_text()
    paths.settings.write_text(text.replace("mail.example.com", "mx.example.com"))
    compose = paths.compose_file.read_bytes()
    assert "store" in yaml.safe_load(compose)["services"]
    assert desk.add_domain("example.org") == NOW
    assert engine.started == []
    assert desk.add("ada@example.com", PASSWORD, "", [], None) == f"{NOW} {STARTED}"
    assert desk.add("bob@example.com", PASSWORD, "", [], None) == NOW
    assert engine.started == [{"directory", "rspamd", "store"}]
    assert desk.leave("ada@example.com") == NOW
    assert desk.leave("bob@example.com") == f"{NOW} {STOPPED}"
    assert engine.started[1:] == [{"directory", "rspamd"}]
    assert seen(paths)["people"] == []
    assert seen(paths)["hostname"] == "mail.example.com"
    assert paths.compose_file.read_bytes() == compose
    assert engine.ran == [SIGN, *[REREAD] * 5]


def test_changes_of_a_person(desk: Office, paths: Paths) -> None:
    desk.change("countess@example.com", "Ada King", "5G")
    (ada,) = require_settings(paths.settings).people
    assert (ada.name, ada.quota) == ("Ada King", "5G")
    desk.change("ada@example.com", None, "default")
    (ada,) = require_settings(paths.settings).people
    assert (ada.name, ada.quota) == ("Ada King", None)
    for problem in ("ten", "-1G"):
        with pytest.raises(SettingsError, match="quota"):
            desk.change("ada@example.com", None, problem)


@pytest.mark.parametrize(
    ("address", "password", "aliases", "says"),
    [
        ("ada@example.com", PASSWORD, [], "there already"),
        ("countess@example.com", PASSWORD, [], "is an alias of ada@example.com"),
        ("bob@example.org", PASSWORD, [], r"in no domain of this machine \(example.com\)"),
        ("bob@example.com", PASSWORD, ["ada@example.com"], "there already"),
        ("bob@example.com", "short", [], "at least 10 characters"),
        ("bob@example.com", "two lines\nof password", [], "one line"),
    ],
)
def test_who_cannot_be_added(
    desk: Office, address: str, password: str, aliases: list[str], says: str
) -> None:
    with pytest.raises(PersonError, match=says):
        desk.add(address, password, "", aliases, None)
    assert desk.paths.settings.read_text() == SETTINGS


@pytest.mark.parametrize("address", ["bob", "a b@example.com", "canary@mail.example.com", ""])
def test_the_rules_of_the_settings_hold(desk: Office, paths: Paths, address: str) -> None:
    with pytest.raises((SettingsError, PersonError)):
        desk.add(address, PASSWORD, "", [], None)
    assert paths.settings.read_text() == SETTINGS


def test_services_that_do_not_run_find_it_later(
    desk: Office, paths: Paths, engine: NotingEngine
) -> None:
    engine.services = ("rspamd",)
    assert desk.add("bob@example.com", PASSWORD, "", [], None) == LATER
    assert len(seen(paths)["people"]) == 2


def test_before_the_services_are_rendered(paths: Paths, engine: NotingEngine) -> None:
    set_up(paths)
    (paths.stack / "secrets/directory/settings/settings.yaml").unlink()
    assert Office(paths, engine).apply() == LATER  # type: ignore[arg-type]
    assert engine.ran == []


def test_what_was_cut_off_before_it_was_signed_for_is_done_again(
    desk: Office, paths: Paths, engine: NotingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(engine, "execute", cut)
        with pytest.raises(KeyboardInterrupt):
            desk.add_domain("example.org")
    assert len(seen(paths)["domains"]) == 1
    assert desk.apply() == NOW
    assert engine.ran == [SIGN, REREAD]
    assert len(seen(paths)["domains"]) == 2


def test_each_change_is_noted_without_the_password(desk: Office, paths: Paths) -> None:
    desk.add("bob@example.com", PASSWORD, "Bob", [], "1G")
    with pytest.raises(PersonError):
        desk.add_alias("bob@example.com", "ada@example.com")
    first, second = read_audit(paths.audit)
    assert (first.who, first.verb) == ("console", "people.add")
    assert (first.what, first.outcome) == ("bob@example.com (name Bob; quota 1G)", "done")
    assert second.outcome == "refused: bob@example.com is there already"
    content = paths.audit.read_text()
    assert PASSWORD not in content
    assert "argon2" not in content


def call(desk: Office, monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> Any:
    monkeypatch.setattr(changing, "_office", lambda: desk)
    groups = {"user": changing, "domain": changing.domain, "alias": changing.alias}
    if words[0] == "user":
        command = getattr(changing, f"{words[1]}_user")
        return CliRunner().invoke(command, words[2:], input=typed)
    return CliRunner().invoke(groups[words[0]], words[1:], input=typed)  # type: ignore[arg-type]


def test_the_commands(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("user", "add", "bob@example.com", "--alias", "b@example.com", "--json")
    done = call(desk, monkeypatch, *words, typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {"ok": True, "address": "bob@example.com"}
    assert PASSWORD not in done.output
    assert call(desk, monkeypatch, *words).exit_code == 2
    found = json.loads(call(desk, monkeypatch, "alias", "list", "--json").output)["aliases"]
    assert found[-1] == {"alias": "b@example.com", "person": "bob@example.com"}
    shown = call(desk, monkeypatch, "domain", "add", "example.org").output
    assert "mailstead dns show --domain example.org" in shown
    found = json.loads(call(desk, monkeypatch, "domain", "list", "--json").output)["domains"]
    assert found[1] == {"name": "example.org", "addresses": []}
    assert call(desk, monkeypatch, "user", "change", "bob@example.com").exit_code == 2
    forward = ("user", "forward", "bob@example.com")
    assert call(desk, monkeypatch, *forward).exit_code == 2
    assert call(desk, monkeypatch, *forward, "bob@example.net", "--none").exit_code == 2
    shown = call(desk, monkeypatch, *forward, "Bob@example.net", "--json").output
    assert json.loads(shown)["forward_to"] == ["bob@example.net"]
    assert "go to nobody" in call(desk, monkeypatch, *forward, "--none").output
    assert "user remove" in call(desk, monkeypatch, "user", "leave", "bob@example.com").output
    assert len(desk.people()) == 1


def test_a_link_is_not_followed_out_of_the_folder(desk: Office, paths: Paths) -> None:
    """A domain becomes a folder's name: one that leads elsewhere is none."""
    for name in ("../x", "example.org/..", "."):
        with pytest.raises(SettingsError):
            desk.add_domain(name)
    assert not Path(paths.state / "x").exists()
