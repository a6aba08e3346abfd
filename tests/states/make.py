"""Makes tests/states/VERSION: what this release leaves below /state, small, by its own code.

Run it once at each release, when no format will change any more, and commit the folder
(docs/state.md has the command):

    python -m tests.states.make

Beside `state/`, the files as they lie below /state, it writes `expected.json`: what any later
release must find in them; and `code.tar.xz`, its own code, which has to find its way in what the
next release leaves. tests/unit/test_states.py opens every folder with the present code, and lets
that of the last one read what the present one wrote. The state of a released version is never made
again, and never by hand. Its keys are for tests only.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from firstboot.administration.tokens import Tokens
from firstboot.backup.automatic import Schedule as BackupSchedule
from firstboot.backup.automatic import write_schedule as write_backup_schedule
from firstboot.backup.folder import hand_over
from firstboot.backup.keys import keep_recovery, known_recovery, repository_password
from firstboot.backup.manifest import Manifest, hash_tree
from firstboot.backup.plan import Plan, write_plan
from firstboot.base.backups import Entry, note_backup
from firstboot.base.compose import StackOptions
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.notices import leave_notice
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release, write_release
from firstboot.base.renewal import Renewal, write_renewal
from firstboot.base.services import read_stack
from firstboot.base.settings import Settings, parse_settings
from firstboot.base.stack import write_stack
from firstboot.base.state import STATE_FORMAT, claim_state
from firstboot.disk.places import Places
from firstboot.disk.recovery import Pending, Record, confirm, read_record
from firstboot.update.automatic import Schedule, write_schedule
from firstboot.update.history import Attempt, begin, conclude, write_history
from firstboot.update.settle import note_failure
from firstboot.wizard.draft import Draft, write_draft
from postmaster.crypto import DataKey, FileKeyStore, PersonId, person_id
from postmaster.crypto.passwords import LEAST
from postmaster.crypto.totp import KEY_BYTES
from postmaster.crypto.wraps import Scope, scope_key
from postmaster.delivery import deliver, trace_fields
from postmaster.directory.accounts import Accounts
from postmaster.directory.alarms import Alarm, leave_alarm
from postmaster.directory.database import DirectoryDatabase
from postmaster.directory.factor_table import FactorTable, Totp
from postmaster.directory.keyring import Keyring
from postmaster.query import Adoption, RecipientVault, Unlock
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.collection_values import Item
from postmaster.storage.interface import FlagChange, Mailbox, NewMessage
from postmaster.storage.spool import Spool
from postmaster.storage.vaults import VaultStore
from postmaster.unlocking import HandedOver, KeyFiles
from tests.keyfiles import make_key_file
from tests.states.earlier import CHECKOUT, pack_code
from tests.states.table import rows
from tests.unit.firstboot.samples import HASH, make_image

STATES = Path(__file__).parent
ADA, BOB = "ada@example.com", "bob@example.com"
FAILURE = "the mail did not go round"
# Of the right form, and the key of no disk.
RECOVERY_KEY = "-".join(["cbdefghi"] * 8)
RECOVERY_CODE = "test-test-test-0000-test-0000-tetb"

SETTINGS = f"""\
version: 1
hostname: mail.example.com
domains:
  - name: example.com
people:
  - address: {ADA}
    name: Ada Lovelace
    password_hash: {HASH}
    aliases: [countess@example.com]
  - address: {BOB}
    password_hash: {HASH}
updates:
  url: https://updates.example.com/mailstead
  window: 01:00-04:00
disk:
  protection: passphrase
"""

PLAIN = b"From: bob@example.com\r\nSubject: Plain\r\n\r\nGood morning.\r\n"
UTF8 = "From: bob@example.com\r\nSubject: Grüße\r\n\r\nSchöne Grüße, 早安\r\n".encode()
PARTS = (
    b"From: bob@example.com\r\nSubject: Parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee below.\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="a.bin"\r\n\r\nAAECA//+/Q==\r\n--b--\r\n'
)
# No empty line, bare line ends, and every byte that there is.
ODD = b"Subject: Odd\nX: \r" + bytes(range(256))
MESSAGES = (PLAIN, UTF8, PARTS, ODD)


def lay_out(root: Path, version: str) -> Paths:
    """The places of an appliance below `root`, with this checkout's services in its slot."""
    paths = Paths.below(root)
    for folder in (paths.state_partition, paths.share, paths.runtime):
        folder.mkdir(parents=True)
    paths.templates.symlink_to(CHECKOUT / "compose")
    images = {s.image: make_image(s.image, "a", "b") for s in read_stack(paths.services).services}
    release = Release(version, "ubuntu", "unknown", "2026-11-24T06:00:00Z", "test", images)
    write_release(paths.release, release)
    return paths


def render(settings: Settings, paths: Paths) -> None:
    """The part of a setup that goes by the state, without the network and name of this machine."""
    write_stack(
        settings,
        read_stack(paths.services),
        read_release(paths.release),
        templates=paths.templates,
        config=paths.stack,
        state=paths.state,
        options=StackOptions(),
    )


def make_places(paths: Paths) -> None:
    """What a start of this release makes where an earlier one had nothing."""
    secret = paths.state / "secrets" / "directory_key"
    if not secret.exists():
        write_atomic(secret, "d1" * 32, mode=0o600)
    for folder in ("directory/alarms", "directory/database", "mailstore/spool"):
        make_directory(paths.state / folder)


class Keys:
    """The directory's side of a state: whose vault is opened by what, without any password."""

    def __init__(self, paths: Paths) -> None:
        key = bytes.fromhex((paths.state / "secrets" / "directory_key").read_text())
        database = DirectoryDatabase(paths.state / "directory" / "database", DataKey(key))
        self._keyring = Keyring(database, key, LEAST)
        self._accounts = Accounts(self._keyring)

    async def recipient(self, person: str) -> RecipientVault:
        vault = self._accounts.recipient(person)
        return RecipientVault(vault.owner.vault, vault.public_key)

    async def adopt(self, person: PersonId, key: DataKey) -> Adoption:
        address = {person_id(address): address for address in (ADA, BOB)}[person]
        assert not self._accounts.adopt(address, key)
        return Adoption.KEEP

    async def moved(self, person: str, vault: str) -> None:
        self._accounts.moved(person, vault)

    def unlock(self, person: str) -> Unlock:
        """What a login would bring."""
        entry = self._keyring.entry(person)
        key = self._keyring.open_provisional(entry.vault)
        assert key is not None
        return Unlock(entry.vault.owner.vault, key)

    def leave_factors(self, person: str) -> None:
        """Have somebody use an authenticator app."""
        table = FactorTable(self._keyring.database.query)
        table.set_totp(person_id(person), Totp(b"\x2a" * KEY_BYTES, 1))

    def factors(self, person: str) -> list[str]:
        """The kinds of second factors that somebody has."""
        return list(self._keyring.entry(person).factors)

    def close(self) -> None:
        self._keyring.database.close()


@dataclass(frozen=True)
class Mail:
    """The mail store over a state."""

    store: VaultStore
    keys: Keys

    async def read(self, person: str) -> dict[str, Any]:
        """Log somebody in, and return all of that person's mail."""
        await self.store.unlock(person, self.keys.unlock(person))
        async with self.store.open(person) as mailbox:
            return await mailbox.run(read_mail)


@asynccontextmanager
async def open_mail(paths: Paths) -> AsyncIterator[Mail]:
    """Open it, with every key file handed to the directory."""
    make_places(paths)
    folder = paths.state / "mailstore"
    keys, files = Keys(paths), FileKeyStore(folder / "keys")
    key_files = KeyFiles(files, keys)
    store = VaultStore(
        folder / "vaults", Spool(folder / "spool"), HandedOver(key_files, keys), files
    )
    await key_files.ensure()
    yield Mail(store, keys)
    await store.close()
    keys.close()


def read_mail(mailbox: Mailbox) -> dict[str, Any]:
    """All that a mailbox holds, as JSON has it; a byte is the character of the same number."""
    folders = {}
    for folder in mailbox.folders():
        uids = mailbox.snapshot(folder.name, claim_recent=False).uids
        contents = mailbox.contents(folder.id, uids, bodies=True, outlines=False, budget=1 << 30)
        folders[folder.name] = {
            "uidvalidity": folder.uidvalidity,
            "uidnext": folder.uidnext,
            "special_use": folder.special_use,
            "subscribed": folder.subscribed,
            "messages": [
                {
                    "uid": content.message.uid,
                    "flags": sorted(content.message.flags),
                    "date": content.message.internal_date.isoformat(),
                    "raw": content.raw.decode("latin-1"),
                }
                for content in contents
            ],
        }
    return folders


def make_state(version: str, target: Path) -> None:
    """Make `target`/state and `target`/expected.json as release `version` leaves them."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as folder:
        paths = lay_out(Path(folder), version)
        claim_state(paths.state_format)
        render(parse_settings(SETTINGS, "settings"), paths)
        write_atomic(paths.settings, SETTINGS, mode=0o600)
        write_renewal(paths.renewal, Renewal(2, now.isoformat(), now.isoformat(), FAILURE))
        repository_password(paths)
        keep_recovery(paths, known_recovery("k1ts", RECOVERY_CODE))
        write_plan(
            paths, Plan("0" * 64, now.isoformat(), "everything", STATE_FORMAT, ("mail/dkim",))
        )
        _leave_backups(paths, version, now)
        _leave_folder(paths, now)
        write_draft(paths, Draft(typed={"hostname": "mail.example.com"}, done=("network",)))
        expected: dict[str, Any] = {
            "version": version,
            "made": now.isoformat(),
            "hostname": "mail.example.com",
            "people": {ADA: ["countess@example.com"], BOB: []},
            "second_factors": {ADA: ["totp"], BOB: []},
            "recovery": asdict(confirm_recovery_key(paths, now)),
            # By which the next release is judged: what it writes, this one has to read.
            "formats": {
                row.path: {"version": row.version, "reads": row.reads}
                for row in rows()
                if row.version is not None
            },
            **_leave_upgrades(paths, version, now),
        }
        expected["mail"] = asyncio.run(_leave_mail(paths, target / "state"))
    write_atomic(target / "expected.json", json.dumps(expected, indent=1) + "\n")


def confirm_recovery_key(paths: Paths, now: datetime.datetime) -> Record:
    """Show a recovery key that was made `now` and have it confirmed, as its owner does."""
    places = Places(paths)
    pending = Pending(RECOVERY_KEY, group=1, slot=2, created=now.isoformat())
    write_atomic(places.pending, json.dumps(asdict(pending)), mode=0o600)
    assert confirm(places, pending.groups[0])
    record = read_record(places)
    assert record is not None
    return record


def _leave_backups(paths: Paths, version: str, now: datetime.datetime) -> None:
    """A good backup, and when the next one is due."""
    when = now.isoformat()
    note_backup(paths.backup_history, Entry("home", "backup", when, checked=True, files=3))
    write_backup_schedule(paths.backup_schedule, BackupSchedule(at=when, since=when))
    files = hash_tree(paths.tls, paths.backup_hashes)
    manifest = Manifest("mail.example.com", version, STATE_FORMAT, when, files)
    write_atomic(paths.backup / "manifest.json", manifest.dump(), mode=0o600)


def _leave_folder(paths: Paths, now: datetime.datetime) -> None:
    """A mail folder out of a backup, which waits for a login; its vault is not opened here."""
    make_directory(paths.restored_folders)
    make_directory(paths.staging)
    files = {suffix: paths.staging / f"vault{suffix}" for suffix in ("", "-wal")}
    for file in files.values():
        file.write_bytes(b"as it was in the backup")
    place = paths.restored_folders / f"{person_id(ADA)}.0123abcd.89efcdab"
    hand_over(paths, files, place, "Projects", now.isoformat())


def _leave_upgrades(paths: Paths, version: str, now: datetime.datetime) -> dict[str, Any]:
    """A good attempt, a failed one, and one that is under way."""
    when = now.isoformat()
    attempts: Sequence[Attempt] = begin((), Attempt(version, "0.0.1", when, "network", "pending"))
    attempts = conclude(attempts, "good", "")
    attempts = begin(attempts, Attempt("98.0.0", version, when, "delta", "pending"))
    attempts = conclude(attempts, "failed", FAILURE)
    attempts = begin(attempts, Attempt("99.0.0", version, when, "file", "pending"))
    schedule = Schedule("99.0.0", now + datetime.timedelta(days=1))
    write_history(paths.update_history, attempts)
    write_schedule(paths.update_schedule, schedule)
    note_failure(paths, FAILURE)
    # The audit log notes it.
    Tokens(paths).add("a monitor", ["status"], "console")
    leave_notice(paths, "upgrade-98.0.0", "The upgrade did not work", FAILURE)
    leave_alarm(
        paths.alarms, Alarm(ADA, "person_hour", 200, now, now + datetime.timedelta(hours=1))
    )
    return {
        "attempts": [attempt.as_json() for attempt in attempts],
        "scheduled": {"version": schedule.version, "at": schedule.at.isoformat()},
        "last_failure": FAILURE,
    }


async def _leave_mail(paths: Paths, target: Path) -> dict[str, Any]:
    """Deliver mail and copy the state.

    Ada's vault has a key file, as releases before wrapped keys made it, and is closed. Bob's is
    open, as a power cut leaves it, and there is mail that was sealed for it.
    """
    make_key_file(paths.state / "mailstore" / "keys", person_id(ADA))
    async with open_mail(paths) as mail:
        for message in MESSAGES:
            await deliver(mail.store, ADA, _traced(ADA, message))
        async with mail.store.open(ADA) as ada:
            await ada.run(_live_in)
        mail.keys.leave_factors(ADA)
    async with open_mail(paths) as mail:
        await mail.read(BOB)
        await deliver(mail.store, BOB, _traced(BOB, PLAIN))
        async with open_mail(paths) as other:
            await deliver(other.store, BOB, _traced(BOB, UTF8))
        with _calendar(paths, mail.keys.unlock(BOB)):
            copy_tree(paths.state_partition, target)
    async with open_mail(paths) as mail:
        found = {person: await mail.read(person) for person in (ADA, BOB)}
    inbox = [message["raw"].encode("latin-1") for message in found[ADA]["INBOX"]["messages"]]
    assert inbox == [_traced(ADA, message) for message in MESSAGES]
    return found


@contextmanager
def _calendar(paths: Paths, unlock: Unlock) -> Iterator[None]:
    """Somebody's calendar with an event in it, open while the context lasts."""
    file = paths.state / "mailstore" / "vaults" / f"{unlock.vault}.dav"
    collections = CollectionFile(file, DataKey(scope_key(unlock.key, Scope.DAV)))
    event = Item("tea.ics", "tea", "VEVENT", '"1"', 0, 3600, "BEGIN:VCALENDAR\r\n")
    collections.create("calendar", {"tag": "VCALENDAR"}, [event], None)
    yield
    collections.close()


def _traced(person: str, message: bytes) -> bytes:
    return trace_fields("carol@example.net", person) + message


def _live_in(mailbox: Mailbox) -> None:
    """Leave something in every table of a vault."""
    inbox = mailbox.folder("INBOX").id
    mailbox.store_flags(inbox, [1, 3], FlagChange.ADD, frozenset({"\\Seen", "$Later"}))
    mailbox.copy(inbox, [3], "Archive")
    mailbox.create_folder("Lists/Grüße")
    mailbox.subscribe("Lists/Grüße", False)
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    sent = datetime.datetime(2020, 2, 29, 23, 59, 59, tzinfo=zone)
    mailbox.append("Lists/Grüße", NewMessage(PARTS, frozenset({"\\Draft"}), sent))
    _, uid = mailbox.append("INBOX", NewMessage(PLAIN, frozenset({"\\Deleted"}), sent))
    mailbox.expunge(inbox, [uid])


def copy_tree(source: Path, target: Path) -> None:
    """Copy what the files hold: owners, modes and empty folders are not kept in the repository."""
    for path in sorted(source.rglob("*")):
        # SQLite's index of the log is made anew whenever nobody has the vault open.
        if path.is_file() and not path.name.endswith("-shm"):
            make_directory((target / path.relative_to(source)).parent)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def project_version() -> str:
    """The version that this checkout is, or will be."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


@click.command()
def main() -> None:
    """Make the state of the release that this checkout is."""
    target = STATES / project_version()
    if target.exists():
        click.echo(f"{target} is there already; remove it if it was never released", err=True)
        sys.exit(1)
    make_state(target.name, target)
    pack_code(target / "code.tar.xz")
    click.echo(target)


if __name__ == "__main__":
    main()
