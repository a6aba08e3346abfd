"""What earlier releases left below /state, opened by the present code, and back; the formats.

The states lie in tests/states/VERSION. A state that the present code has just made is one of them,
so that what makes them does not rot until the next release.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from firstboot.base.certificate import ensure_certificate
from firstboot.base.manifest import version_key
from firstboot.base.paths import Paths
from firstboot.base.settings import dump_settings, read_settings
from firstboot.base.state import STATE_FORMAT, claim_state, read_state_format
from firstboot.disk.places import Places
from firstboot.disk.recovery import Record, read_record
from firstboot.update.automatic import Schedule, read_schedule, write_schedule
from firstboot.update.history import (
    Attempt,
    begin,
    conclude,
    failures,
    pending,
    read_history,
    write_history,
)
from firstboot.update.settle import note_failure, read_failure
from postmaster.delivery import deliver
from postmaster.directory.people import build_directory
from postmaster.storage.interface import FlagChange, Mailbox, TextKey, TextScope
from tests.states.earlier import CHECKOUT, pack_code, read_by
from tests.states.formats import FORMATS, Format, open_vault
from tests.states.make import (
    ADA,
    BOB,
    FAILURE,
    STATES,
    confirm_recovery_key,
    copy_tree,
    lay_out,
    make_state,
    open_mail,
    project_version,
    render,
)
from tests.states.places import places
from tests.states.table import Row, row_of, rows, step_problems

NOW = "now"
RELEASES = sorted(path.parent.name for path in STATES.glob("*/expected.json"))
NEW_MAIL = b"Subject: New\r\n\r\nDelivered by another release. \xff\r\n"
BACK_MAIL = b"Subject: Back\r\n\r\nDelivered by the release that came back.\r\n"


@dataclass(frozen=True)
class OldState:
    """A copy of a state, and what is to be found in it."""

    paths: Paths
    expected: dict[str, Any]

    def files(self, row: Row) -> list[Path]:
        """The files that a row of the table is about."""
        root = self.paths.state_partition
        return [root / name for name in names_below(root) if row.covers(name)]


def names_below(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that the present code has just made."""
    folder = tmp_path_factory.mktemp("fresh")
    make_state("1.2.3", folder)
    return folder


def open_state(source: Path, root: Path) -> OldState:
    expected = json.loads((source / "expected.json").read_text(encoding="utf-8"))
    paths = lay_out(root, expected["version"])
    copy_tree(source / "state", paths.state_partition)
    if read_state_format(paths.state_format) < STATE_FORMAT - 1:
        # A machine with this state has been through the releases in between.
        paths.state_format.write_text(f"{STATE_FORMAT - 1}\n")
    return OldState(paths, expected)


@pytest.fixture(params=[*RELEASES, NOW])
def old(request: pytest.FixtureRequest, tmp_path: Path, fresh: Path) -> OldState:
    """A copy of each state in turn."""
    return open_state(fresh if request.param == NOW else STATES / request.param, tmp_path / "root")


@pytest.fixture
def newest(tmp_path: Path, fresh: Path) -> OldState:
    """A copy of the state that the present code makes."""
    return open_state(fresh, tmp_path / "newest")


async def use(paths: Paths, person: str, *messages: bytes) -> dict[str, Any]:
    """Deliver messages to a person and return all of that person's mail."""
    async with open_mail(paths) as mail:
        for message in messages:
            await deliver(mail.store, person, message)
        return await mail.read(person)


# What was left is read.


def test_old_mail_is_found_and_counted(old: OldState) -> None:
    async def look() -> tuple[bool, int, frozenset[int]]:
        async with open_mail(old.paths) as mail, mail.store.open(ADA) as mailbox:
            more = await mailbox.run(lambda box: box.prepare_search())
            usage = await mailbox.run(lambda box: box.usage())
            inbox = await mailbox.run(lambda box: box.folder("INBOX"))
            key = TextKey(TextScope.TEXT, "schone gru")
            found = await mailbox.run(lambda box: box.search(inbox.id, key))
        return more, usage.messages, found

    messages = [folder["messages"] for folder in old.expected["mail"][ADA].values()]
    assert asyncio.run(look()) == (False, sum(map(len, messages)), frozenset({2}))


def test_every_released_version_left_its_state() -> None:
    news = (CHECKOUT / "NEWS.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+)(.*)$", news, re.MULTILINE)
    released = {version for version, rest in headings if "not released" not in rest}
    assert released <= set(RELEASES), "see tests/states/make.py"


def test_the_versions_in_the_files_are_read(old: OldState) -> None:
    for form in FORMATS:
        row = row_of(form.row)
        if row.path not in old.expected["formats"]:
            continue  # it is younger than the release
        files = old.files(row)
        # A release that did not have the format yet left no such file.
        assert files or form.row not in old.expected["formats"], f"there is no {form.row}"
        for file in files:
            assert form.version(file) in row.reads, file
            assert form.opens(file), file


def test_settings_are_read_by_both_programs(old: OldState) -> None:
    settings = read_settings(old.paths.settings)
    assert settings is not None
    assert settings.hostname == old.expected["hostname"]
    people = {person.address: list(person.aliases) for person in settings.people}
    assert people == old.expected["people"]
    directory = build_directory(yaml.safe_load(dump_settings(settings)))
    assert set(directory.people) == set(people)


def test_a_start_keeps_all_that_was_there(old: OldState) -> None:
    root = old.paths.state_partition
    # Whether that still fits depends on the date; see below.
    names = [name for name in names_below(root) if not name.startswith(("mail/tls/", "format"))]
    before = {name: (root / name).read_bytes() for name in names}
    claim_state(old.paths.state_format)
    settings = read_settings(old.paths.settings)
    assert settings is not None
    render(settings, old.paths)
    assert {name: (root / name).read_bytes() for name in names} == before


def test_the_certificate_is_used_as_long_as_it_is_good(old: OldState) -> None:
    folder = old.paths.tls
    before = (folder / "certificate.pem").read_bytes(), (folder / "key.pem").read_bytes()
    made = datetime.datetime.fromisoformat(old.expected["made"])
    found = ensure_certificate(folder, old.expected["hostname"], now=made)
    assert (found.certificate, found.key) == before


def test_the_recovery_key_stays_confirmed(old: OldState) -> None:
    assert read_record(Places(old.paths)) == Record(**old.expected["recovery"])


def test_the_history_of_upgrades_is_known(old: OldState) -> None:
    attempts = read_history(old.paths.update_history)
    assert [attempt.as_json() for attempt in attempts] == old.expected["attempts"]
    assert failures(attempts) == {"98.0.0": FAILURE}
    assert pending(attempts) == attempts[-1]


def test_the_next_upgrade_stays_due(old: OldState) -> None:
    scheduled = old.expected["scheduled"]
    at = datetime.datetime.fromisoformat(scheduled["at"])
    assert read_schedule(old.paths.update_schedule) == Schedule(scheduled["version"], at)


def test_why_a_version_failed_is_known(old: OldState) -> None:
    assert read_failure(old.paths, old.expected["version"]) == old.expected["last_failure"]


@pytest.mark.parametrize("person", [ADA, BOB])
def test_mail_is_there_byte_for_byte_and_more_can_come(old: OldState, person: str) -> None:
    wanted = old.expected["mail"][person]
    assert asyncio.run(use(old.paths, person)) == wanted
    inbox = wanted["INBOX"]
    uid, inbox["uidnext"] = inbox["uidnext"], inbox["uidnext"] + 1
    found = asyncio.run(use(old.paths, person, NEW_MAIL))
    new = found["INBOX"]["messages"].pop()
    assert found == wanted
    assert (new["uid"], new["raw"].encode("latin-1")) == (uid, NEW_MAIL)


def test_second_factors_are_still_asked_for(old: OldState) -> None:
    async def look() -> dict[str, list[str]]:
        async with open_mail(old.paths) as mail:
            return {person: mail.keys.factors(person) for person in (ADA, BOB)}

    assert asyncio.run(look()) == old.expected.get("second_factors", {ADA: [], BOB: []})


# What is left can be read by the release before.


def release_before() -> str:
    """The last release; while there is none, the state that stands for it."""
    present = version_key(project_version())
    earlier = [version for version in RELEASES if version_key(version) < present] or RELEASES
    return max(earlier, key=version_key)


def go_on(state: OldState) -> dict[str, Any]:
    """Run the present release on trial, which fails; what the one that comes back has to find."""
    paths, version = state.paths, state.expected["version"]
    claim_state(paths.state_format)
    settings = read_settings(paths.settings)
    assert settings is not None
    render(settings, paths)
    attempts = conclude(read_history(paths.update_history), "good", "")
    last = Attempt(version, "0.0.9", "2026-12-01T03:00:00+00:00", "network", "pending")
    attempts = begin(attempts, last)
    at = datetime.datetime(2026, 12, 2, 3, 30, tzinfo=datetime.UTC)
    write_history(paths.update_history, attempts)
    write_schedule(paths.update_schedule, Schedule("99.0.1", at))
    note_failure(paths, FAILURE)
    record = confirm_recovery_key(paths, at)
    return {
        "hostname": settings.hostname,
        "people": state.expected["people"],
        "attempts": [attempt.as_json() for attempt in attempts],
        "scheduled": {"version": "99.0.1", "at": at.isoformat()},
        "last_failure": FAILURE,
        "recovery": asdict(record),
        "mail": {person: asyncio.run(use(paths, person, NEW_MAIL)) for person in (ADA, BOB)},
    }


@pytest.mark.parametrize("release", [release_before(), NOW])
def test_the_release_before_comes_back_and_finds_everything(
    release: str, tmp_path: Path, fresh: Path
) -> None:
    """By its own code, which then does its work; and the present one finds what that left."""
    archive = STATES / release / "code.tar.xz"
    if release == NOW:
        archive = tmp_path / "code.tar.xz"
        pack_code(archive)
    root = tmp_path / "root"
    state = open_state(fresh if release == NOW else STATES / release, root)
    wanted = go_on(state)
    found = read_by(archive, tmp_path / "code", root, BACK_MAIL)
    for person, folders in found["mail"].items():
        inbox, before = folders["INBOX"], wanted["mail"][person]["INBOX"]
        back = inbox["messages"][-1]
        assert (back["uid"], back["raw"].encode("latin-1")) == (before["uidnext"], BACK_MAIL)
        before["messages"].append(back)
        before["uidnext"] += 1
    assert found == wanted
    claim_state(state.paths.state_format)
    assert {person: asyncio.run(use(state.paths, person)) for person in (ADA, BOB)} == (
        found["mail"]
    )


def test_this_release_is_one_step_from_the_one_before() -> None:
    formats = json.loads((STATES / release_before() / "expected.json").read_text())["formats"]
    before = [Row(path, found["version"], tuple(found["reads"])) for path, found in formats.items()]
    assert step_problems(before, [row for row in rows() if row.version is not None]) == []


FORMAT_5, FORMAT_6 = Row("format", 5, (4, 5, 6)), Row("format", 6, (5, 6, 7))


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ([FORMAT_5, Row("a", 1, (1,))], [FORMAT_5, Row("a", 1, (1,)), Row("b", 1, (1,))], ""),
        ([FORMAT_5, Row("a", 1, (1,))], [FORMAT_6, Row("a", 1, (1, 2))], ""),
        ([FORMAT_5, Row("a", 1, (1, 2))], [FORMAT_6, Row("a", 2, (1, 2))], ""),
        ([FORMAT_5, Row("a", 1, (1,))], [FORMAT_5, Row("a", 1, (1, 2))], "a: raise"),
        ([FORMAT_5, Row("a", 1, (1, 2))], [FORMAT_5, Row("a", 2, (1, 2))], "a: raise"),
        ([FORMAT_5, Row("a", 1, (1,))], [FORMAT_6, Row("a", 2, (1, 2))], "a: the release before"),
        ([FORMAT_5], [Row("format", 7, (6, 7, 8))], "format: the release before"),
    ],
)
def test_a_step_that_is_too_long_is_told(before: list[Row], after: list[Row], problem: str) -> None:
    found = step_problems(before, after)
    assert [text.startswith(problem) for text in found] == ([True] if problem else [])


# And what the next release leaves behind when it is given up.


def test_the_state_of_the_next_release_is_used(newest: OldState) -> None:
    """As far as it only expanded, as docs/state.md demands."""
    paths = newest.paths
    paths.state_format.write_text(f"{STATE_FORMAT + 1}\n")
    history = json.loads(paths.update_history.read_text())
    history["attempts"].insert(0, {**history["attempts"][0], "how": "by radio"})
    for file, data in (
        (paths.update_history, history),
        (paths.update_schedule, json.loads(paths.update_schedule.read_text())),
        (Places(paths).record, json.loads(Places(paths).record.read_text())),
    ):
        file.write_text(json.dumps({**data, "new": [1]}))
    claim_state(paths.state_format)
    assert [attempt.as_json() for attempt in read_history(paths.update_history)] == (
        newest.expected["attempts"]
    )
    assert read_schedule(paths.update_schedule) is not None
    assert read_record(Places(paths)) == Record(**newest.expected["recovery"])


_TABLES = "SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%'"


def test_a_vault_of_the_next_release_is_used(newest: OldState) -> None:
    """Every table (the search index is none) has got a column, and there is one more table."""
    for file in newest.files(row_of("mail/mailstore/vaults/ID.vault")):
        with open_vault(file) as vault:
            version = int(vault._database.pragma("user_version"))
            for (table,) in vault._query(_TABLES, ()):
                vault._query(f"ALTER TABLE {table} ADD COLUMN added TEXT", ())
            vault._query("CREATE TABLE added (id INTEGER PRIMARY KEY) STRICT", ())
            vault._query(f"PRAGMA user_version = {version + 1}", ())
    assert asyncio.run(use(newest.paths, ADA)) == newest.expected["mail"][ADA]
    for file in newest.files(row_of("mail/mailstore/vaults/ID.vault")):
        with open_vault(file) as vault:
            _live_in(vault)
    found = asyncio.run(use(newest.paths, ADA, NEW_MAIL))
    assert found["INBOX"]["messages"][-1]["raw"].encode("latin-1") == NEW_MAIL


def _live_in(mailbox: Mailbox) -> None:
    """Change whatever can be changed."""
    inbox = mailbox.snapshot("INBOX", claim_recent=True)
    first = inbox.uids[0]
    mailbox.create_folder("A")
    mailbox.rename_folder("A", "B")
    mailbox.subscribe("B", False)
    mailbox.copy(inbox.folder.id, [first], "B")
    moved = mailbox.move(inbox.folder.id, [first], "B")
    folder = mailbox.folder("B").id
    mailbox.store_flags(folder, moved.target, FlagChange.ADD, frozenset({"\\Deleted"}))
    assert mailbox.expunge(folder, None) == list(moved.target)
    mailbox.delete_folder("B")


# The table says what the code does.


def test_every_versioned_format_is_listed() -> None:
    assert {form.row for form in FORMATS} == {row.path for row in rows() if row.version is not None}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.row)
def test_a_format_is_written_and_read_as_listed(form: Format, newest: OldState) -> None:
    row = row_of(form.row)
    files = newest.files(row)
    assert row.version is not None
    assert {form.version(file) for file in files} == {row.version}
    file, written = files[0], row.version
    read = []
    for number in range(written, written + 4):
        form.renumber(file, number)
        if form.opens(file):
            read.append(number)
        # One that is refused does not open to be renumbered either.
        else:
            break
    assert [number for number in row.reads if number >= written] == read


def test_every_file_of_a_state_is_listed(old: OldState) -> None:
    names = names_below(old.paths.state_partition)
    assert [name for name in names if not any(row.covers(name) for row in rows())] == []


def test_every_place_that_the_code_names_is_listed() -> None:
    listed = [row.path for row in rows()]
    unlisted = [
        name
        for name in places()
        if not any(row.backed_by(name) for row in rows())
        and not any(path.startswith(f"{name}/") for path in listed)
    ]
    assert unlisted == []


def test_nothing_is_listed_that_is_not_there(fresh: Path) -> None:
    known = {*places(), *names_below(fresh / "state")}
    assert [row.path for row in rows() if not any(row.backed_by(name) for name in known)] == []
