"""The persistent formats that have a version: where it stands in a file, and who reads such files.

One entry for each row of the table in docs/state.md that has a version; a test compares them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.administration.tokens import Tokens
from firstboot.backup.automatic import read_schedule as read_backup_schedule
from firstboot.backup.keys import read_recovery
from firstboot.backup.manifest import parse_manifest, read_hashes
from firstboot.backup.plan import read_plan
from firstboot.base.alarms import read_alarm
from firstboot.base.audit import read_audit
from firstboot.base.backups import read_backups
from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.renewal import read_renewal
from firstboot.base.settings import parse_settings
from firstboot.base.state import claim_state
from firstboot.disk.places import Places
from firstboot.disk.recovery import read_record
from firstboot.update.automatic import read_schedule
from firstboot.update.history import read_history
from firstboot.wizard.draft import read_draft
from postmaster.crypto import DataKey, FileKeyStore, PersonId, person_id
from postmaster.crypto.passwords import LEAST
from postmaster.crypto.sealing import MAGIC, SealError, private_key
from postmaster.crypto.wraps import Scope, scope_key
from postmaster.directory.database import DirectoryDatabase
from postmaster.directory.keyring import Keyring
from postmaster.errors import PostmasterError
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.spool import Spool
from postmaster.storage.vault import Vault
from postmaster.storage.wishes import read_wish


@dataclass(frozen=True)
class Format:
    """How to find a file's version, change it, and read the file as the appliance does.

    `read` returns something empty, or raises an error of ours, when it cannot use the file.
    """

    row: str
    version: Callable[[Path], int]
    renumber: Callable[[Path, int], None]
    read: Callable[[Path], object]

    def opens(self, file: Path) -> bool:
        """Whether the present code can use the file."""
        try:
            return bool(self.read(file))
        except (MailsteadError, PostmasterError):
            return False


def _text(row: str, pattern: str, read: Callable[[Path], object]) -> Format:
    """A text file in which the first match of `pattern` is what stands before the version."""
    found = re.compile(rf"({pattern})(\d+)", re.MULTILINE)

    def version(file: Path) -> int:
        match = found.search(file.read_text(encoding="utf-8"))
        assert match is not None, f"{file} has no version"
        return int(match[2])

    def renumber(file: Path, number: int) -> None:
        text = file.read_text(encoding="utf-8")
        file.write_text(found.sub(rf"\g<1>{number}", text, count=1), encoding="utf-8")

    return Format(row, version, renumber, read)


def _read_settings(file: Path) -> object:
    return parse_settings(file.read_text(encoding="utf-8"), str(file))


def _read_format(file: Path) -> object:
    claim_state(file)
    return file


def _read_tokens(file: Path) -> object:
    return Tokens(dataclasses.replace(Paths(), state_partition=file.parent)).all()


def _read_disk(file: Path) -> object:
    return read_record(Places(dataclasses.replace(Paths(), state_partition=file.parent)))


def _read_draft(file: Path) -> object:
    places = dataclasses.replace(Paths(), state_partition=file.parents[1], runtime=file.parent)
    return read_draft(places).done


def _read_recovery(file: Path) -> object:
    return read_recovery(dataclasses.replace(Paths(), state_partition=file.parents[1]))


def _read_plan(file: Path) -> object:
    return read_plan(dataclasses.replace(Paths(), state_partition=file.parents[1]))


def _read_renewal(file: Path) -> object:
    return read_renewal(file).failures


def _read_key(file: Path) -> object:
    return FileKeyStore(file.parent).load(PersonId(file.stem))


def _read_vault(file: Path) -> object:
    with open_vault(file) as vault:
        return vault.folders()


def _vault_version(file: Path) -> int:
    with open_vault(file) as vault:
        return int(vault._database.pragma("user_version"))


def _renumber_vault(file: Path, number: int) -> None:
    with open_vault(file) as vault:
        vault._query(f"PRAGMA user_version = {number}", ())


def _read_collections(file: Path) -> object:
    with open_collections(file) as collections:
        return collections.everything()


def _collections_version(file: Path) -> int:
    with open_collections(file) as collections:
        return int(collections._database.pragma("user_version"))


def _renumber_collections(file: Path, number: int) -> None:
    with open_collections(file) as collections:
        collections._database.query(f"PRAGMA user_version = {number}", ())


def key_of(folder: Path, vault: str) -> DataKey:
    """The key of a vault, out of its file or the directory; `folder` is that of the mail store."""
    key = FileKeyStore(folder / "keys").load(PersonId(vault))
    if key is not None:
        return key
    with open_directory(folder.parent) as keyring:
        for (address,) in keyring.database._query("SELECT address FROM people"):
            if person_id(address) == vault:
                key = keyring.open_provisional(keyring.entry(address).vault)
    assert key is not None
    return key


@contextmanager
def open_directory(mail: Path) -> Iterator[Keyring]:
    """The directory's database of a state."""
    key = bytes.fromhex((mail / "secrets" / "directory_key").read_text())
    database = DirectoryDatabase(mail / "directory" / "database", DataKey(key))
    try:
        yield Keyring(database, key, LEAST)
    finally:
        database.close()


def _read_directory(file: Path) -> object:
    with open_directory(file.parents[2]) as keyring:
        return keyring.database._query("SELECT person FROM people")


def _directory_version(file: Path) -> int:
    with open_directory(file.parents[2]) as keyring:
        return int(keyring.database._database.pragma("user_version"))


def _renumber_directory(file: Path, number: int) -> None:
    with open_directory(file.parents[2]) as keyring:
        keyring.database._query(f"PRAGMA user_version = {number}")


def _read_sealed(file: Path) -> object:
    folder, vault = file.parents[2], file.parent.name
    try:
        arrival = Spool(file.parents[1]).read(file, vault, private_key(key_of(folder, vault)))
    except SealError:
        return None
    return arrival.raw


def _renumber_sealed(file: Path, number: int) -> None:
    content = bytearray(file.read_bytes())
    content[len(MAGIC)] = number
    file.write_bytes(content)


@contextmanager
def open_vault(file: Path) -> Iterator[Vault]:
    """A vault of a state."""
    vault = Vault(file, key_of(file.parents[1], file.stem))
    try:
        yield vault
    finally:
        vault.close()


@contextmanager
def open_collections(file: Path) -> Iterator[CollectionFile]:
    """Calendars and contacts of a state."""
    key = key_of(file.parents[1], file.stem)
    collections = CollectionFile(file, DataKey(scope_key(key, Scope.DAV)))
    try:
        yield collections
    finally:
        collections.close()


_JSON = r'"format": '

FORMATS = (
    _text("format", "^", _read_format),
    _text("settings.yaml", "^version: ", _read_settings),
    _text("audit.jsonl", _JSON, read_audit),
    _text("api-tokens.json", _JSON, _read_tokens),
    _text("disk.json", _JSON, _read_disk),
    _text("setup/draft.json", _JSON, _read_draft),
    _text("updates/history.json", _JSON, read_history),
    _text("updates/schedule.json", _JSON, read_schedule),
    _text("backup/recovery.json", _JSON, _read_recovery),
    _text("restore/plan.json", _JSON, _read_plan),
    _text("backup/history.json", _JSON, read_backups),
    _text("backup/schedule.json", _JSON, lambda file: read_backup_schedule(file).at),
    _text("backup/manifest.json", _JSON, lambda file: parse_manifest(file.read_text())),
    _text("backup/hashes.json", _JSON, read_hashes),
    _text("mail/tls/renewal.json", _JSON, _read_renewal),
    _text("mail/directory/alarms/NAME.json", _JSON, read_alarm),
    _text("mail/mailstore/keys/ID.key", "^mailstead-key ", _read_key),
    Format(
        "mail/directory/database/directory.db",
        _directory_version,
        _renumber_directory,
        _read_directory,
    ),
    Format(
        "mail/mailstore/spool/ID/NAME.sealed",
        lambda file: file.read_bytes()[len(MAGIC)],
        _renumber_sealed,
        _read_sealed,
    ),
    _text("mail/mailstore/restored/NAME/wish.json", _JSON, lambda file: read_wish(file.parent)),
    Format("mail/mailstore/vaults/ID.vault", _vault_version, _renumber_vault, _read_vault),
    Format(
        "mail/mailstore/vaults/ID.dav",
        _collections_version,
        _renumber_collections,
        _read_collections,
    ),
)
